"""What is wanted of a search's trials: metrics that are maximized or minimized, and limits that a trial has to keep."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runners.contract import metrics as names
from runners.contract.dimensions import text
from runners.contract.hypothesis import POINTS, is_average_precision

Direction = Literal["maximize", "minimize"]

DIRECTIONS = ("maximize", "minimize")
COSTS = (
    names.PARAMETERS_M,
    names.MULTIPLY_ADDS_G,
    names.PEAK_MEMORY_GB,
    names.PEAK_DEVICE_GB,
    names.PEAK_HOST_GB,
    names.ITERATION_S,
    names.VALIDATION_IMAGE_S,
    names.IMAGES_PER_S,
    names.WALL_S,
    names.FIRST_ITERATION_S,
)
# Of every epoch's validation: what a trial can be pruned by.
BY_EPOCH = (*(f"val/{name}" for name in names.AP_NAMES), names.VAL_LOSS)
_OF_A_CLASS = "val/bbox_mAP_class/"


@dataclass(frozen=True)
class Objective:
    """One metric that a search is after.

    Attributes:
        metric: its full name, ``val/bbox_mAP_50``; read at the last epoch.
        direction: which way is better.
    """

    metric: str
    direction: Direction

    @property
    def is_maximized(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"

    @property
    def scale(self) -> float:
        """What a value is multiplied by to be shown: average precisions are shown in points."""
        return scale_of(self.metric)


@dataclass(frozen=True)
class Constraint:
    """A limit on what is measured; a trial that breaks one is infeasible, whatever it reaches.

    Attributes:
        metric: its full name, ``cost/peak_memory_gb``.
        min: the smallest value that keeps it, in the metric's unit (average precisions in 0-1); None: any.
        max: the largest.
    """

    metric: str
    min: float | None = None
    max: float | None = None

    def violation(self, value: float) -> float:
        """Return by how much a value breaks the limit, in the metric's unit; 0 or less is feasible."""
        below = -math.inf if self.min is None else self.min - value
        above = -math.inf if self.max is None else value - self.max
        return max(below, above)


def scale_of(metric: str) -> float:
    """Return what a metric's value is multiplied by to be shown."""
    return POINTS if is_average_precision(metric) else 1.0


def better_direction(metric: str) -> Direction:
    """Return which way a metric is better: precision and pace upwards, losses and costs downwards."""
    return "maximize" if is_average_precision(metric) or metric == names.IMAGES_PER_S else "minimize"


def is_by_epoch(metric: str) -> bool:
    """Whether a metric is measured on val after every epoch."""
    return metric in BY_EPOCH or (metric.startswith(_OF_A_CLASS) and metric != _OF_A_CLASS)


def read_objectives(node: Any, where: str, problems: list[str]) -> tuple[Objective, ...]:
    """Read ``{val/bbox_mAP_50: maximize}`` or, each in its better direction, ``[val/bbox_mAP_50, cost/wall_s]``.

    What is wrong is added to `problems`.
    """
    if isinstance(node, str):
        node = [node]
    if not isinstance(node, Mapping):
        node = {str(metric): None for metric in node} if isinstance(node, list | tuple) else {}
    if not node:
        problems.append(f"no objective in {where}: nothing to search for; objectives: [val/bbox_mAP_50]")
    objectives = []
    for metric, direction in node.items():
        told = _metric_problem("objective", str(metric), where)
        if told is not None:
            problems.append(told)
            continue
        better = better_direction(metric)
        if direction not in (None, *DIRECTIONS):
            problems.append(f"unknown direction in {where}: {metric} {text(direction)}; {' or '.join(DIRECTIONS)}")
        elif direction not in (None, better):
            problems.append(f"wrong direction in {where}: {metric} {direction}; it is better to {better} it")
        else:
            objectives.append(Objective(str(metric), better))
    return tuple(objectives)


def read_constraints(node: Any, where: str, problems: list[str]) -> tuple[Constraint, ...]:
    """Read ``{cost/peak_memory_gb: {max: 20}}``, average precisions in points; what is wrong is added to `problems`."""
    if node is not None and not isinstance(node, Mapping):
        problems.append(f"no limits in {where}: constraints {text(node)}; {{cost/peak_memory_gb: {{max: 20}}}}")
        return ()
    constraints = []
    for metric, limits in (node or {}).items():
        told = list(_limit_problems(str(metric), limits, where))
        problems += told
        if not told:
            ends = {end: float(limit) / scale_of(metric) for end, limit in limits.items() if limit is not None}
            constraints.append(Constraint(str(metric), **ends))
    return tuple(constraints)


def describe_constraints(constraints: tuple[Constraint, ...]) -> dict[str, dict[str, float]]:
    """Return the node that `read_constraints` reads."""
    return {
        limit.metric: {
            end: value * scale_of(limit.metric)
            for end, value in (("min", limit.min), ("max", limit.max))
            if value is not None
        }
        for limit in constraints
    }


def _limit_problems(metric: str, limits: Any, where: str) -> Iterator[str]:
    told = _metric_problem("constraint", metric, where)
    if told is not None:
        yield told
    given = {str(end): limit for end, limit in limits.items() if limit is not None} if _is_limits(limits) else {}
    unknown = [end for end in given if end not in ("min", "max")]
    if unknown or not given:
        yield f"no limit in {where}: constraint {metric} {text(limits)}; {{max: 20}}, {{min: 30}} or both"
        return
    wrong = [end for end, limit in given.items() if isinstance(limit, bool) or not isinstance(limit, int | float)]
    for end in wrong:
        yield f"no number in {where}: constraint {metric} {end} {text(given[end])}; such as 20"
    if not wrong and len(given) == 2 and given["min"] >= given["max"]:
        yield f"empty range in {where}: constraint {metric} min {given['min']}, max {given['max']}; min below max"


def _is_limits(limits: Any) -> bool:
    return isinstance(limits, Mapping)


def _metric_problem(what: str, metric: str, where: str) -> str | None:
    if metric.startswith("test/"):
        return f"{what} on test in {where}: {metric}; test is what confirms a search, search by val"
    if is_by_epoch(metric) or metric in (names.TRAIN_LOSS, *COSTS):
        return None
    return (
        f"unknown metric in {where}: {what} {metric}; one of {', '.join(BY_EPOCH)}, "
        f"{_OF_A_CLASS}NAME, {names.TRAIN_LOSS}, {', '.join(COSTS)}"
    )
