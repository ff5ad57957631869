"""The final values of a config: every interpolation replaced, what is missing or leads nowhere told with its file."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException, UnsupportedInterpolationType

from runners.contract.errors import UserError
from runners.contract.naming import GROUPS
from sweeper.planning.axes import SWEEP_SETTINGS
from sweeper.planning.overrides import nearest
from sweeper.planning.setting_rules import SETTINGS, range_problems

MISSING = "???"


def sweep_settings(config: DictConfig) -> dict[str, Any]:
    """Return the sweep's own settings, resolved.

    Raises:
        UserError: a value is missing or breaks its rule.
    """
    keys = [key for key in SWEEP_SETTINGS if key in config]
    problems = range_problems(config, [key for key in SETTINGS if key.partition(".")[0] in keys])
    if problems:
        raise UserError(*problems)
    settings: dict[str, Any] = resolve(OmegaConf.masked_copy(config, keys))
    return settings


def resolve(config: DictConfig, dataset: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the config as plain data, every interpolation replaced; Hydra's own node becomes `choices`.

    Args:
        config: a composed config.
        dataset: the prepared `dataset` node, which takes the place of the composed one as it is: class names are data,
            and one that reads ``${x}`` or ``???`` is no interpolation.

    Raises:
        UserError: values are missing, or interpolations lead nowhere or in a circle; all of them.
    """
    ours = _without_hydra(config)
    if dataset is not None:
        with open_dict(ours):
            ours.dataset = {**dataset, "classes": [str(number) for number in range(len(dataset["classes"]))]}
    problems = missing_problems(ours, config)
    if not problems:
        try:
            resolved = OmegaConf.to_container(ours, resolve=True)
        except OmegaConfBaseException as error:
            problems = interpolation_problems(ours, config) or [_reason(error, [])]
    if problems:
        raise UserError(*problems)
    assert isinstance(resolved, dict)
    chosen = OmegaConf.select(config, "hydra.runtime.choices") or {}
    choices = {group: chosen[group] for group in GROUPS if group in chosen}
    return (
        {str(key): value for key, value in resolved.items()}
        | ({"dataset": dict(dataset)} if dataset is not None else {})
        | ({"choices": choices} if choices else {})
    )


def config_problems(config: DictConfig, with_interpolations: bool = True) -> list[str]:
    """Return a line for each missing value of a composed config, or else for each interpolation that leads nowhere.

    The class list is left out: it asks for the data set, which is looked at later, by `prepare_dataset`.

    Args:
        config: a composed config.
        with_interpolations: False where values are known to be wrong, for what is computed from them then fails too.
    """
    ours = _without_hydra(config)
    if "dataset" in ours and OmegaConf.is_interpolation(ours.dataset, "classes"):
        ours.dataset.classes = ["object"]
    missing = missing_problems(ours, config)
    return interpolation_problems(ours, config) if with_interpolations and not missing else missing


def missing_problems(config: DictConfig, whole: DictConfig) -> list[str]:
    """Return a line for each value that a config leaves to the person (``???``).

    Args:
        config: without Hydra's node, whose gaps Hydra fills later.
        whole: the same with it, to tell where a value comes from.
    """
    raw = OmegaConf.to_container(config, resolve=False)
    return [
        f"missing value in {key}: {MISSING} in {origin(whole, key)}; give {key}=VALUE"
        for key, value in leaves(raw)
        if value == MISSING
    ]


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for everything in plain data that is neither a mapping nor a list."""
    if isinstance(node, dict | list):
        for name, entry in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(entry, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def origin(config: DictConfig, key: str) -> str:
    """Return what gave a key its value: the override, or the file of a chosen option.

    Args:
        config: a composed config with Hydra's node.
        key: a dotted key.
    """
    if "hydra" not in config:
        return "the config"
    # Unresolved, for an override may itself hold the interpolation that is broken.
    task = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(task, list)
    for line in reversed(task):
        if line.partition("=")[0].lstrip("+") == key:
            return f"override '{line}'"
    options = [f"{group}/{option}" for group, option in config.hydra.runtime.choices.items() if isinstance(option, str)]
    folders = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
    for name in [*reversed(options), str(config.hydra.job.config_name)]:
        for path in (folder / f"{name}.yaml" for folder in folders):
            if path.is_file() and _sets(path, key):
                return str(path)
    return "the config"


def _sets(path: Path, key: str) -> bool:
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    for part in key.split("."):
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict) and part in node:
            node = node[part]
        else:
            return False
    return True


def interpolation_problems(config: DictConfig, whole: DictConfig) -> list[str]:
    """Return a line for each interpolation that cannot be replaced; one that only follows a broken one is left out.

    Args:
        config: without Hydra's node.
        whole: the same with it, to tell where a value comes from.
    """
    values = dict(leaves(OmegaConf.to_container(config, resolve=False)))
    reasons: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, str) and "${" in value:
            try:
                OmegaConf.select(config, key, throw_on_missing=True)
            except OmegaConfBaseException as error:
                reasons[key] = _reason(error, list(values))
    follows = {key: {other for other in reasons if other != key and _names(values[key], other)} for key in reasons}
    for _ in reasons:  # at most so many steps from one to the other
        follows = {key: seen.union(*(follows[other] for other in seen)) for key, seen in follows.items()}
    return [
        f"broken interpolation in {key}: {values[key]} in {origin(whole, key)}; {reason}"
        for key, reason in reasons.items()
        if not follows[key] or key in follows[key]  # a cause of its own, or part of a circle
    ]


def _names(text: str, key: str) -> bool:
    """Whether an interpolation reads a key or something around it."""
    return any(key == name or key.startswith(f"{name}.") for name in re.findall(r"\$\{([\w.]+)\}", text))


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _reason(error: OmegaConfBaseException, keys: list[str]) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return "; ".join(cause.problems)
        cause = cause.__cause__ or cause.__context__
    text = str(error).splitlines()[0]
    if isinstance(error, InterpolationKeyError):
        wanted = text.partition("'")[2].partition("'")[0]
        return f"there is no '{wanted}'{nearest(wanted, keys)}"
    if isinstance(error, UnsupportedInterpolationType):
        return f"there is no resolver '{text.rpartition(' ')[2]}'"
    return "it leads back to itself" if "Recursive" in text else text
