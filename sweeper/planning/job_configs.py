"""The config of every job of a sweep: whole once for each combination of groups, in parts where only values differ."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from runners.contract.errors import UserError
from sweeper.planning.axes import SWEEP_SETTINGS, Axes
from sweeper.planning.compose import Composer
from sweeper.planning.dataset import PreparedDataset, prepare_dataset
from sweeper.planning.mm_masks import mask_problems
from sweeper.planning.overrides import parse_override
from sweeper.planning.resolvers import RESOLVERS
from sweeper.planning.setting_rules import SETTINGS, batch_problems, class_count_problems, range_problems
from sweeper.planning.settings import MISSING, leaves, resolve

# What stands between ``${`` and the end of the interpolation, or the colon behind a resolver's name.
_HEAD = re.compile(r"\$\{([^${}:]*)(:?)")
_NAME = re.compile(r"[A-Za-z_]\w*")
# The data set is prepared from more than its own node.
_OF_DATASET = frozenset({"dataset", "fold"})


@dataclass(frozen=True)
class JobConfig:
    """What is trained, and on what.

    Attributes:
        config: the resolved config without the sweep's own settings; its parts may be shared by many jobs.
        dataset: the data set, prepared.
    """

    config: dict[str, Any]
    dataset: PreparedDataset


@dataclass(frozen=True)
class _Pattern:
    """A job that was composed as a whole, for those that differ from it in the values of the same keys.

    Attributes:
        part: what depends on these keys, and what that needs to be resolved; interpolations as they stand.
        changing: the top-level keys that depend on them.
        whole: the job.
    """

    part: DictConfig
    changing: frozenset[str]
    whole: JobConfig


class JobConfigs:
    """Composes and checks the jobs of a sweep, one after the other.

    A job is composed by Hydra's own code, and resolved as a whole, the first time that its combination of groups comes
    up. In those that follow only the top-level nodes are composed and resolved again that hold an axis' value or follow
    one by interpolation, from whatever they refer to; the result is equal, and thousands of jobs share the rest.

    Args:
        composer: composes them.
        axes: what the sweep varies.
        output_dir: where generated and split data goes.
    """

    def __init__(self, composer: Composer, axes: Axes, output_dir: Path) -> None:
        self._composer = composer
        self._axes = axes
        self._output_dir = output_dir
        self._value_keys = [key for key in axes.values if not composer.is_choice(key.lstrip("+~"))]
        self._patterns: dict[tuple[tuple[str, str], ...], _Pattern | None] = {}
        self._known_parts: dict[str, Any] = {}

    def job(self, point: Mapping[str, str]) -> JobConfig:
        """Return the job at a point of the grid.

        Raises:
            UserError: all problems of its config and data set.
        """
        combination = tuple((key, value) for key, value in point.items() if key not in self._value_keys)
        pattern = self._patterns.get(combination)
        varied = None if pattern is None else self._vary(pattern, point)
        if varied is not None:
            return varied
        composed = self._composer.compose(self._axes.overrides(point))
        # Before the data set is looked at, which changes its node.
        untouched = copy.deepcopy(composed) if combination not in self._patterns and self._value_keys else None
        job = self._whole(composed)
        if untouched is not None:
            self._patterns[combination] = _pattern(untouched, self._value_keys, job)
        return job

    def _whole(self, config: DictConfig) -> JobConfig:
        dataset = prepare_dataset(dataset_node(config), self._output_dir, config.fold)
        mismatches = [
            *batch_problems(config, dataset.n_images["train"]),
            *class_count_problems(config, len(dataset.classes)),
            *mask_problems(config, dataset),
        ]
        if mismatches:
            raise UserError(*mismatches)
        resolved = resolve(config, dataset.node)
        ours = {key: value for key, value in resolved.items() if key not in (*SWEEP_SETTINGS, "hydra")}
        return JobConfig(self._shared(ours), dataset)

    def _vary(self, pattern: _Pattern, point: Mapping[str, str]) -> JobConfig | None:
        """Return a job of the pattern; None if only the whole can be composed, or can tell what is wrong."""
        lines = [f"{key}={point[key]}" for key in self._value_keys]
        overrides = [parse_override(line) for line in lines]
        is_plain = all(
            "${" not in line and MISSING not in line and not isinstance(override.value(), dict)
            for line, override in zip(lines, overrides, strict=True)
        )
        if not is_plain or self._composer.problems(self._axes.overrides(point)):
            return None
        part, dataset = copy.deepcopy(pattern.part), pattern.whole.dataset
        settings = [key for key in SETTINGS if key.partition(".")[0] in pattern.changing]
        try:
            ConfigLoaderImpl._apply_overrides_to_config(overrides, part)
            problems = range_problems(part, settings)
            if "batch_size" in pattern.changing:
                problems += batch_problems(part, dataset.n_images["train"])
            if "model" in pattern.changing:
                problems += class_count_problems(part, len(dataset.classes))
            resolved = {} if problems else resolve(part, dataset.node if "dataset" in part else None)
        except (HydraException, OmegaConfBaseException, UserError):
            return None
        if problems:
            return None
        changed = {key: value for key, value in resolved.items() if key in pattern.changing}
        # In the order of the whole, as the file of a job that is composed alone has it.
        shared = self._shared({key: value for key, value in changed.items() if key in pattern.whole.config})
        return JobConfig({**pattern.whole.config, **shared}, dataset)

    def _shared(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return an equal config, each part of which is the one object for all jobs; none of it may be changed."""
        return {key: self._one(value) for key, value in config.items()}

    def _one(self, part: Any) -> Any:
        if not isinstance(part, dict | list):
            return part
        return self._known_parts.setdefault(json.dumps(part, default=repr), part)


def _pattern(config: DictConfig, keys: Sequence[str], whole: JobConfig) -> _Pattern | None:
    """Return a job as the pattern of those that differ from it in `keys`; None if its parts cannot be told apart."""
    changed = {key.partition(".")[0] for key in keys}
    if not all(map(_NAME.fullmatch, changed)) or changed & _OF_DATASET:
        return None
    raw = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    assert isinstance(raw, dict)
    needs: dict[str, set[str]] = {}
    for key, node in raw.items():
        references = _references(node)
        if references is None:
            return None
        needs[str(key)] = references
    changing = _reached({key: {other for other in needs if key in needs[other]} for key in needs}, changed)
    if changing & _OF_DATASET:
        return None
    needed = _reached(needs, changing)
    part = OmegaConf.masked_copy(config, [key for key in needs if key in needed])
    return _Pattern(part, frozenset(changing), whole)


def _references(node: Any) -> set[str] | None:
    """Return the top-level keys that a node's interpolations refer to; None if that cannot be told from their text."""
    found: set[str] = set()
    for _, value in leaves({"": node}):
        if not isinstance(value, str) or "${" not in value:
            continue
        for head, colon in _HEAD.findall(value):
            name = _NAME.match(head)
            if colon and head in RESOLVERS:
                continue  # our resolvers read nothing but their arguments
            if colon or name is None:
                return None
            found.add(name.group())
    return found


def _reached(steps: Mapping[str, set[str]], start: set[str]) -> set[str]:
    """Return all that can be reached from a set of keys, these included."""
    reached, new = set(start), set(start)
    while new:
        new = set().union(*(steps.get(key, set()) for key in new)) - reached
        reached |= new
    return reached


def dataset_node(config: DictConfig) -> dict[str, Any]:
    """Return the `dataset` node; classes that are interpolated come from its own files, not from a resolver."""
    with open_dict(config.dataset):
        if OmegaConf.is_interpolation(config.dataset, "classes"):
            config.dataset.classes = None
    node = OmegaConf.to_container(config.dataset, resolve=True)
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}
