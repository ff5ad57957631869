"""Ways to search that are compared: samplers and pruners through the controller, and batches as Hydra's plugin runs."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.replayed_search import Spent, replay
from benchmarks.search_curves import VAL_AP50, Curve, Point, Table
from runners.contract.search import Search, read_search
from runners.contract.states import JobState
from runners.contract.trials import Trial, TrialRecord
from sweeper.study.optuna_study import Study


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        sampler: name, or node with options.
        pruner: the same.
        is_batched: whether a batch waits for its slowest trial.
    """

    sampler: str | Mapping[str, Any] = "tpe"
    pruner: str | Mapping[str, Any] = "none"
    is_batched: bool = False


RANDOM = "random"
DEFAULT = "tpe, successive halving that pauses"
PLUGIN = "batches, tpe as Hydra's plugin sets it"
METHODS: Mapping[str, Method] = {
    RANDOM: Method("random"),
    PLUGIN: Method(
        {"name": "tpe", "n_startup_trials": 10, "multivariate": False, "constant_liar": False}, "none", True
    ),
    "batches, tpe as detsweep sets it": Method(is_batched=True),
    "tpe": Method(),
    "tpe, median": Method(pruner="median"),
    "tpe, percentile": Method(pruner="percentile"),
    "tpe, successive halving that ends": Method(pruner={"name": "successive_halving", "pauses": False}),
    DEFAULT: Method(pruner={"name": "successive_halving", "pauses": True}),
    "tpe, hyperband": Method(pruner="hyperband"),
}


def _pausing(**options: int) -> dict[str, Any]:
    return {"name": "successive_halving", "pauses": True, **options}


# Other settings of the rungs, and rungs without a model: to choose defaults by.
VARIANTS: Mapping[str, Method] = {
    "random, successive halving that pauses": Method("random", _pausing()),
    **{
        f"pauses, one in {factor} from epoch {first} on": Method(
            pruner=_pausing(reduction_factor=factor, min_resource=first)
        )
        for factor in (2, 3, 4)
        for first in (1, 2, 3)
    },
    **{
        f"ends, one in {factor} from epoch {first} on": Method(
            pruner={**_pausing(reduction_factor=factor, min_resource=first), "pauses": False}
        )
        for factor in (2, 4)
        for first in (1, 2)
    },
}


@dataclass(frozen=True)
class Task:
    """One search.

    Attributes:
        method: how.
        table: of what.
        width: slots.
        seed: of sampler and draws.
        n_trials: after which it gives up.
    """

    method: Method
    table: Table
    width: int
    seed: int
    n_trials: int


def search_once(task: Task) -> Spent:
    """Run one search of a method until it has found a good point, or gives up."""
    search = search_of(task.method, task.table, task.seed, task.n_trials)
    if task.method.is_batched:
        return in_batches(search, task.table, task.width, task.seed)
    return replay(search, task.table, task.width, task.seed).spent


def search_of(method: Method, table: Table, seed: int, n_trials: int) -> Search:
    """Return a search over all points of a table."""
    node = {
        "name": "replay",
        "space": table.space(),
        "objectives": [VAL_AP50],
        **{"sampler": method.sampler, "pruner": method.pruner, "n_trials": n_trials, "warm_start": False, "seed": seed},
    }
    return read_search(node, "the benchmark")


def in_batches(search: Search, table: Table, width: int, seed: int) -> Spent:
    """Search as Hydra's Optuna plugin does: ask for as many points as there are slots, train all, tell all."""
    study, draw = Study(search, table.n_epochs, 1), random.Random(seed)
    wall_s, n_trials = 0.0, 0
    best: tuple[float, Point] | None = None
    while n_trials < search.n_trials:
        asked = [one for one in (study.ask() for _ in range(min(width, search.n_trials - n_trials))) if one]
        if not asked:
            break
        points = [table.find(one.point) for one in asked]
        curves = [draw.choice(point.curves) for point in points]
        ends_s = [curve.begin_s + sum(curve.epoch_s) for curve in curves]
        for end_s, point, curve in sorted(zip(ends_s, points, curves, strict=True), key=lambda ended: ended[0]):
            if best is None or curve.ap50[-1] > best[0]:
                best = (curve.ap50[-1], point)
            if table.is_good(point):
                epochs = n_trials * table.n_epochs + sum(_epochs_by(end_s, other) for other in curves)
                return Spent(True, epochs, wall_s + end_s, n_trials + len(asked), table.is_good(best[1]))
        for one, curve in zip(asked, curves, strict=True):
            told = dict(enumerate(curve.ap50, start=1))
            record = TrialRecord(Trial(n_trials, one.params), "", JobState.COMPLETED, {VAL_AP50: curve.ap50[-1]}, told)
            study.tell(one.handle, record)
            n_trials += 1
        wall_s += max(ends_s)
    return Spent(False, float(n_trials * table.n_epochs), wall_s, n_trials, best is not None and table.is_good(best[1]))


def _epochs_by(now_s: float, curve: Curve) -> float:
    """Return how many epochs of a curve are trained so many seconds after its job was begun."""
    left_s, epochs = now_s - curve.begin_s, 0.0
    for took_s in curve.epoch_s:
        epochs += min(1.0, max(0.0, left_s / took_s))
        left_s -= took_s
    return epochs
