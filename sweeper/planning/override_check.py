"""Whether one override of a value fits the config it is laid on: the key is there, and its type is kept."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeper.planning.overrides import nearest
from sweeper.planning.setting_rules import NULLABLE_NODES, type_problem


def value_problem(override: Override, config: DictConfig, raw: Mapping[str, Any], groups: Iterable[str]) -> str | None:
    """Return a line if an override names no setting, or replaces a value by one of another type.

    Args:
        override: of a value, not of a group.
        config: the config it is laid on.
        raw: the same as plain data, interpolations as text.
        groups: names of config groups, for the misspelt ones.
    """
    key, line = override.key_or_group, override.input_line or ""
    groups = list(groups)
    if override.is_add() or override.is_force_add():
        return None
    node: Any = raw
    walked: list[str] = []
    for part in key.split("."):
        if _is_link(node):
            # Hydra would replace the link by a node that holds nothing but this value.
            here, target = ".".join(walked), node.removeprefix("${").removesuffix("}")
            rest = key.removeprefix(f"{here}.")
            return f"value behind a link in override '{line}': {here} follows {node}; set {target}.{rest} there"
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, Mapping) and part in node:
            node = node[part]
        elif node is None and len(walked) == 1 and walked[0] in groups:
            return f"no setting '{key}': no {walked[0]} is chosen; {walked[0]}=NAME beside it"
        else:
            # Without the value, so that an axis is told once and not for each of its values.
            return f"no setting '{key}'{nearest(key, [*_keys(raw), *groups]) or f'; +{key}=VALUE adds one'}"
        walked.append(part)
    if override.is_delete():
        if walked[0] in NULLABLE_NODES and len(walked) > 1:
            return None
        return f"setting cannot be left out in override '{line}': {key}; give it a value"
    value = override.value()
    if isinstance(node, Mapping) and isinstance(value, dict):
        new = [str(name) for name in value if name not in node]
        if new:
            return f"no setting in override '{line}': {key} has no {', '.join(new)}; '+{line}' adds it"
    if _is_link(node):
        try:
            node = OmegaConf.select(config, key)
        except OmegaConfBaseException:
            return None  # a link that needs the data set tells nothing about the type
        node = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    return type_problem(key, node, value, line)


def _is_link(node: Any) -> bool:
    return isinstance(node, str) and "${" in node


def _keys(node: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in node.items():
        yield f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{name}.")
