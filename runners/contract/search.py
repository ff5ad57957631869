"""A search: what trials differ in, what is wanted of them, and when it is enough; written down before the first run."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runners.contract.dimensions import Dimension as Dimension
from runners.contract.dimensions import Value, describe_space, read_space, text, texts
from runners.contract.errors import UserError
from runners.contract.hypothesis import is_average_precision
from runners.contract.objectives import (
    Constraint,
    Direction,
    Objective,
    better_direction,
    describe_constraints,
    read_constraints,
    read_objectives,
    scale_of,
)
from runners.contract.search_checks import KEYS, SearchProblems, read_number, read_options, read_pruner, read_truth

Exclusion = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Search:
    """A search as it was declared, with all that a command line added to it.

    Attributes:
        name: the file's.
        dimensions: in the order in which they are chosen: a dimension comes after those that its conditions name.
        exclude: what is not tried: a point is left out if it has, of every key of one of these, one of the values.
        objectives: the first one counts for `target` and, unless `prune_by` says otherwise, for pruning.
        constraints: limits on what is measured.
        sampler: ``name`` and options of Optuna's class.
        pruner: ``name`` and options of Optuna's class; ``pauses`` of successive halving: jobs wait at rungs.
        prune_by: the metric that is reported to the pruner after every epoch.
        n_trials: trials that are trained, the default's among them, failed ones as well.
        timeout_s: seconds of running after which nothing new is asked for; None: no limit.
        target: value of the first objective at which nothing new is asked for, of average precision in 0-1; None: none.
        max_failures: so many failed trials end the search; None: none do.
        warm_start: whether finished runs of the tracking store are told to the study first.
        confirm: seeds with which the best and the default are trained again; 0: no confirmation.
        n_candidates: how many of the best are confirmed.
        seed: of the sampler.
    """

    name: str
    dimensions: tuple[Dimension, ...]
    exclude: tuple[Exclusion, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    prune_by: str
    n_trials: int
    timeout_s: float | None
    target: float | None
    max_failures: int | None
    warm_start: bool
    confirm: int
    n_candidates: int
    seed: int

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are searched over, each once."""
        return tuple(dict.fromkeys(dimension.key for dimension in self.dimensions))

    @property
    def n_jobs(self) -> int:
        """How many jobs there may be in the end, those of the confirmation among them."""
        return self.n_trials + self.confirm * (self.n_candidates + 1)

    @property
    def prunes(self) -> bool:
        """Whether trials may end before their last epoch."""
        return bool(self.pruner["name"] != "none")

    @property
    def pauses(self) -> bool:
        """Whether jobs wait at rungs and go on from their checkpoints if they are promoted."""
        return bool(self.pruner.get("pauses", False))

    @property
    def prune_direction(self) -> Direction:
        """Which way the metric that is pruned by is better."""
        return better_direction(self.prune_by)

    @property
    def confirmed_by(self) -> str | None:
        """The metric that candidates are judged by: the first objective on test; None where images play no part."""
        split, _, name = self.objectives[0].metric.partition("/")
        return f"test/{name}" if split == "val" and is_average_precision(self.objectives[0].metric) else None

    def active(self, point: Mapping[str, str]) -> Iterator[Dimension]:
        """Yield the dimensions that a point has, in order; looked at anew at each step, so a point may be growing.

        Args:
            point: values as they stand in overrides, by key.
        """
        for dimension in self.dimensions:
            if dimension.applies(point):
                yield dimension

    def is_excluded(self, point: Mapping[str, str]) -> bool:
        """Whether a point is one of those that are not tried."""
        return any(all(point.get(key) in values for key, values in pair.items()) for pair in self.exclude)

    def params(self, point: Mapping[str, str]) -> dict[str, Value]:
        """Return a point's values as the study knows them, by the dimensions' names; values outside among them.

        A dimension that the point lacks is left out, as the default lacks what only an override adds.

        Raises:
            ValueError: text where a number should be.
        """
        return {
            dimension.name: dimension.value(point[dimension.key])
            for dimension in self.active(point)
            if dimension.key in point
        }

    def point(self, params: Mapping[str, Value]) -> dict[str, str]:
        """Return the overrides, key to value, of what the study chose, by the dimensions' names."""
        return {
            dimension.key: dimension.written(params[dimension.name])
            for dimension in self.dimensions
            if dimension.name in params
        }

    def grid(self) -> list[dict[str, str]]:
        """Return all points in order, without the excluded; the last dimension turns fastest.

        Raises:
            ValueError: a dimension is continuous.
        """
        points: list[dict[str, str]] = [{}]
        for dimension in self.dimensions:
            grown = (
                [{**point, dimension.key: value} for value in dimension.values()]
                if dimension.applies(point)
                else [point]
                for point in points
            )
            points = list(itertools.chain.from_iterable(grown))
        return [point for point in points if not self.is_excluded(point)]

    def describe(self) -> dict[str, Any]:
        """Return the node that `read_search` reads to an equal search; average precisions in points."""
        return {
            "name": self.name,
            "space": describe_space(self.dimensions),
            "exclude": [{key: list(values) for key, values in pair.items()} for pair in self.exclude],
            "objectives": {objective.metric: objective.direction for objective in self.objectives},
            "constraints": describe_constraints(self.constraints),
            "sampler": dict(self.sampler),
            "pruner": dict(self.pruner),
            "prune_by": self.prune_by,
            "n_trials": self.n_trials,
            "timeout": self.timeout_s,
            "target": None if self.target is None else self.target * self.objectives[0].scale,
            "max_failures": self.max_failures,
            "warm_start": self.warm_start,
            "confirm": self.confirm,
            "candidates": self.n_candidates,
            "seed": self.seed,
        }


def read_search(node: Mapping[str, Any], where: str, is_open: bool = False) -> Search:
    """Read a search.

    Args:
        node: as it stands in the config, interpolations replaced.
        where: the file, for messages.
        is_open: whether the space is still to be filled or narrowed, so that what depends on all of it is not judged.

    Raises:
        UserError: all that is wrong with it.
    """
    problems = [f"unknown key in {where}: {key}; a search has {', '.join(KEYS)}" for key in node if key not in KEYS]
    objectives = read_objectives(node.get("objectives"), where, problems)
    sampler = read_options("sampler", node.get("sampler", "tpe"), where, problems)
    pruner = read_pruner(node.get("pruner", "none"), where, problems)
    first = objectives[0].metric if objectives else ""
    prune_by = node.get("prune_by")

    def number(key: str, default: float | None, low: float, high: float, whole: bool = True) -> Any:
        return read_number(key, node.get(key, default), (low, high), whole, default is None, where, problems)

    target = number("target", None, -1e12, 1e12, whole=False)
    search = Search(
        name=str(node.get("name") or "search"),
        dimensions=read_space(node.get("space"), where, problems),
        exclude=_read_exclude(node.get("exclude"), where, problems),
        objectives=objectives,
        constraints=read_constraints(node.get("constraints"), where, problems),
        sampler=sampler,
        pruner=pruner,
        prune_by=first if prune_by is None else str(prune_by),
        n_trials=number("n_trials", 50, 1, 100_000),
        timeout_s=number("timeout", None, 1, 1e9, whole=False),
        target=None if target is None else target / scale_of(first),
        max_failures=number("max_failures", None, 1, 100_000),
        warm_start=read_truth("warm_start", node.get("warm_start", True), where, problems),
        confirm=number("confirm", 0, 0, 100),
        n_candidates=number("candidates", 2, 1, 20),
        seed=number("seed", 0, 0, 2**32 - 1),
    )
    if not problems:
        problems = search_problems(search, where, is_open)
    if problems:
        raise UserError(*problems)
    return search


def search_problems(search: Search, where: str, is_open: bool = False) -> list[str]:
    """Return a line for each of a search's parts that do not go together.

    Args:
        search: read, each of its parts being sound.
        where: the file, for messages.
        is_open: whether the space is still to be filled or narrowed.
    """
    told = SearchProblems(
        where=where,
        dimensions=search.dimensions,
        metrics=tuple(objective.metric for objective in search.objectives),
        sampler=search.sampler,
        pruner=search.pruner,
        prune_by=search.prune_by,
    )
    problems = list(told.of_method())
    return problems if is_open else [*problems, *told.of_space(), *told.of_exclude(search.exclude)]


def _read_exclude(node: Any, where: str, problems: list[str]) -> tuple[Exclusion, ...]:
    """Read ``[{optimizer: sgd, backbone: [swin_t, swin_s]}]``; what is wrong is added to `problems`."""
    if node is not None and not isinstance(node, list | tuple):
        problems.append(f"no list in {where}: exclude {text(node)}; [{{optimizer: sgd, backbone: swin_t}}]")
        return ()
    wrong = [entry for entry in node or () if not isinstance(entry, Mapping) or not entry]
    problems += [
        f"no values in {where}: exclude {text(entry)}; {{optimizer: sgd, backbone: swin_t}}" for entry in wrong
    ]
    return tuple(
        {str(key): texts(values) for key, values in entry.items()} for entry in node or () if entry not in wrong
    )
