"""What of a search does not go together: sampler and space, pruner and objectives, exclusions and dimensions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.contract.dimensions import Dimension, text
from runners.contract.naming import REPLICATE_KEYS
from runners.contract.objectives import is_by_epoch

KEYS = (
    "name",
    "space",
    "exclude",
    "objectives",
    "constraints",
    "sampler",
    "pruner",
    "prune_by",
    "n_trials",
    "timeout",
    "target",
    "max_failures",
    "warm_start",
    "confirm",
    "candidates",
    "seed",
)
SAMPLERS = ("tpe", "random", "cmaes", "nsgaii", "qmc", "grid")
PRUNERS = ("none", "median", "percentile", "successive_halving", "hyperband", "threshold", "patient")
# The pruner whose rungs can also pause jobs.
PAUSING = "successive_halving"
# What decides how many epochs a trial has.
_LENGTHS = ("n_epochs", "schedule")
_NAMES = {"sampler": SAMPLERS, "pruner": PRUNERS}


@dataclass(frozen=True)
class SearchProblems:
    """The parts of a search that depend on each other.

    Attributes:
        where: the file, for messages.
        dimensions: of the space.
        metrics: of the objectives.
        sampler: ``name`` and options.
        pruner: ``name`` and options.
        prune_by: the metric that is reported to the pruner.
    """

    where: str
    dimensions: Sequence[Dimension]
    metrics: Sequence[str]
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    prune_by: str

    def of_method(self) -> Iterator[str]:
        """Yield what is wrong with sampler, pruner and objectives, whatever the space."""
        if self.sampler["name"] == "cmaes" and len(self.metrics) > 1:
            yield (
                f"sampler with several objectives in {self.where}: cmaes, {', '.join(self.metrics)}; cmaes knows one, "
                "nsgaii and tpe several"
            )
        if self.pruner.get("pauses", False) and self.pruner["name"] != PAUSING:
            yield (
                f"pauses without rungs in {self.where}: pruner {self.pruner['name']}; only {PAUSING} pauses jobs: "
                "leave pauses out or choose it"
            )
        if self.pruner["name"] != "none" and not is_by_epoch(self.prune_by):
            yield (
                f"nothing to prune by in {self.where}: {self.prune_by or 'null'} is not measured on val after every "
                "epoch; prune_by: val/bbox_mAP_50, or pruner: {name: none}"
            )

    def of_space(self) -> Iterator[str]:
        """Yield what is wrong with the space, and with the sampler for it."""
        if not self.dimensions:
            yield (
                f"no space in {self.where}: nothing to search over; give intervals or choices, such as "
                "'optimizer.lr=tag(log,interval(0.001,0.1))'"
            )
            return
        yield from self._of_keys()
        if self.sampler["name"] == "grid":
            for dimension in self.dimensions:
                if not dimension.is_finite:
                    yield (
                        f"continuous dimension in {self.where}: space {dimension.name} {dimension.ends()}; a grid goes "
                        "through values: give a step or choices, or another sampler"
                    )
        if self.sampler["name"] == "cmaes":
            free = [entry.name for entry in self.dimensions if entry.kind != "categorical" and not entry.when]
            if len(free) < 2:
                yield (
                    f"sampler without effect in {self.where}: cmaes, of {', '.join(free) or 'no numbers'}; it wants "
                    "two or more numbers that are there in every trial, tpe takes choices and conditions as well"
                )

    def _of_keys(self) -> Iterator[str]:
        """Yield the dimensions in which trials may not differ, since they could not be compared."""
        for key in dict.fromkeys(dimension.key.lstrip("+") for dimension in self.dimensions):
            if key.partition(".")[0] == "dataset" or key in REPLICATE_KEYS:
                yield f"trials on different terms in {self.where}: space {key}; start one search for each of its values"
            elif key in _LENGTHS and self.pruner["name"] != "none":
                yield (
                    f"trials of different length in {self.where}: space {key} beside pruner {self.pruner['name']}, "
                    "which compares them epoch by epoch; search.pruner=none, or one length"
                )

    def of_exclude(self, exclude: Sequence[Mapping[str, tuple[str, ...]]]) -> Iterator[str]:
        """Yield what is wrong with the points that are not tried."""
        keys = tuple(dict.fromkeys(dimension.key for dimension in self.dimensions))
        for key, values in [pair for entry in exclude for pair in entry.items()]:
            if key not in keys:
                yield f"unknown key in {self.where}: exclude {key}; one of the dimensions {', '.join(keys)}"
                continue
            of_key = [dimension for dimension in self.dimensions if dimension.key == key]
            for value in values:
                if not any(dimension.holds(value) for dimension in of_key):
                    ranges = "; ".join(dimension.ends() for dimension in of_key)
                    yield f"unknown value in {self.where}: exclude {key} {value}; it has {ranges}"


def read_options(what: str, node: Any, where: str, problems: list[str]) -> Mapping[str, Any]:
    """Read ``{name: tpe, n_startup_trials: 5}``, or a name alone; what is wrong is added to `problems`.

    Args:
        what: ``sampler`` or ``pruner``.
        node: as it stands in the config; null is ``none``.
        where: the file, for messages.
        problems: lines.
    """
    options = {"name": node} if not isinstance(node, Mapping) else {str(key): value for key, value in node.items()}
    options["name"] = "none" if options.get("name") is None else options["name"]
    if options["name"] not in _NAMES[what]:
        problems.append(f"unknown {what} in {where}: {text(options['name'])}; one of {', '.join(_NAMES[what])}")
    return options


def read_pruner(node: Any, where: str, problems: list[str]) -> Mapping[str, Any]:
    """Read a pruner; successive halving pauses unless it is told not to. What is wrong is added to `problems`."""
    options = dict(read_options("pruner", node, where, problems))
    pauses = options.pop("pauses", None)
    pauses = options["name"] == PAUSING if pauses is None else read_truth("pruner pauses", pauses, where, problems)
    return {**options, "pauses": pauses} if pauses or options["name"] == PAUSING else options


def read_number(
    key: str,
    value: Any,
    ends: tuple[float, float],
    is_whole: bool,
    takes_null: bool,
    where: str,
    problems: list[str],
) -> Any:
    """Read a number; what is wrong is added to `problems`.

    Args:
        key: its name.
        value: as it stands in the config.
        ends: the smallest and the largest.
        is_whole: whether it is a whole number.
        takes_null: whether it may be left out.
        where: the file, for messages.
        problems: lines.

    Returns:
        The number, of its type; None where it was left out or is wrong.
    """
    if value is None and takes_null:
        return None
    low, high = ends
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if is_number and low <= value <= high and (not is_whole or value == int(value)):
        return int(value) if is_whole else float(value)
    kind = "a whole number" if is_whole else "a number"
    problems.append(
        f"number out of range in {where}: {key} {text(value)}; {kind} from {low:g} to {high:g}"
        f"{', or null' if takes_null else ''}"
    )
    return None


def read_truth(key: str, value: Any, where: str, problems: list[str]) -> bool:
    """Read true or false; what is wrong is added to `problems`."""
    if not isinstance(value, bool):
        problems.append(f"unknown value in {where}: {key} {text(value)}; true or false")
    return value is True
