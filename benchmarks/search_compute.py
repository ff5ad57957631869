"""What a search spends until it has trained a point that is within 1 % of the best: samplers, pruners, and batches.

``python -m benchmarks.search_compute``; some minutes. Every method searches the recorded table
(`benchmarks.search_curves`) on 1, 4 and 8 slots, 50 times each with seeds of its own, through the real controller with
a clock that is moved by hand (`benchmarks.replayed_search`). No search tries a point twice; what a trial measures is
one of its point's two runs, drawn. Beside it stands what Hydra's Optuna plugin does: as many points as there are slots
are asked for, all are trained to their end, and all are told.
"""

import argparse
import math
import os
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.replayed_search import Spent
from benchmarks.results import RESULTS, Result
from benchmarks.search_curves import TABLE, Table, read_table
from benchmarks.search_methods import DEFAULT, METHODS, PLUGIN, RANDOM, VARIANTS, Method, Task, search_once

WIDTHS = (1, 4, 8)
N_REPETITIONS = 50
N_RESAMPLES = 2000
OF_RANDOM, OF_BATCHES = 0.25, 0.5
AIM_WIDTH = 8


def main() -> None:
    """Replay every method on every width, and tell what was spent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="slots")
    parser.add_argument("--repetitions", type=int, default=N_REPETITIONS)
    parser.add_argument(
        "--trials", type=int, default=None, help="after which a search gives up; by default when all are tried"
    )
    parser.add_argument("--within", type=float, default=0.01, help="share of the best within which a point is good")
    parser.add_argument("--variants", action="store_true", help="other settings of successive halving as well")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    methods = {**METHODS, **(VARIANTS if arguments.variants else {})}
    table = read_table(arguments.table, arguments.within)
    with ProcessPoolExecutor(arguments.processes) as pool:
        result = measure(
            table,
            *(methods, arguments.widths, arguments.repetitions, arguments.trials or len(table.points)),
            run=lambda search, tasks: list(pool.map(search, tasks)),
        )
    result.tell(arguments.out)


Run = Callable[[Callable[[Task], Spent], Sequence[Task]], list[Spent]]


def measure(
    table: Table,
    methods: Mapping[str, Method],
    widths: Sequence[int],
    n_repetitions: int,
    n_trials: int,
    run: Run = lambda search, tasks: list(map(search, tasks)),
) -> Result:
    """Return what each method has spent.

    Args:
        table: the curves.
        methods: by name; those that the aims are about among them.
        widths: slots.
        n_repetitions: searches of each method on each width.
        n_trials: after which a search gives up.
        run: maps a function over tasks, in order.
    """
    spent = {
        (width, name): run(search_once, [Task(method, table, width, seed, n_trials) for seed in range(n_repetitions)])
        for width in widths
        for name, method in methods.items()
    }
    rows = [_row(width, name, spent) for width, name in spent]
    good = [point for point in table.points if table.is_good(point)]
    return Result(
        "search_compute",
        f"Compute until within {100 * table.within:g} % of the best ({n_repetitions} searches each)",
        rows,
        [
            f"table: {len(table.points)} points, {table.n_epochs} epochs; best {100 * table.best:.1f} AP50 (mean of "
            f"its seeds), {len(good)} within {100 * table.within:g} %; "
            f"seeds of a point differ by {100 * seed_noise(table):.1f} (sigma)",
            f"epochs: trained by all trials, median (and quartiles); a search that has found nothing after {n_trials} "
            "trials counts as endless. best: how often its best number so far was a good point's.",
            "/ random, / batches: ratio of medians to random search and to Hydra's plugin on as many slots, and the "
            "90 % interval of the repetitions; wall: simulated, starting a job included.",
            "Every search but a batched one trains the default (sgd, 0.02) first, and to its end.",
        ],
        _aims(spent, widths) if {RANDOM, PLUGIN, DEFAULT} <= methods.keys() else None,
        {f"{name} on {width}": [asdict(each) for each in found] for (width, name), found in spent.items()},
    )


def seed_noise(table: Table) -> float:
    """Return the standard deviation of the seeds of a point after the last epoch, pooled, of the better half, 0-1."""
    better = sorted(table.points, key=lambda point: point.mean_ap50)[len(table.points) // 2 :]
    return math.sqrt(statistics.mean(statistics.variance(curve.ap50[-1] for curve in point.curves) for point in better))


def _row(width: int, name: str, spent: Mapping[tuple[int, str], Sequence[Spent]]) -> dict[str, Any]:
    mine = spent[width, name]
    epochs, wall_s = _until(mine, "epochs"), _until(mine, "wall_s")
    ratios = {}
    for column, other, values, what in (
        ("/ random", RANDOM, epochs, "epochs"),
        ("wall / batches", PLUGIN, wall_s, "wall_s"),
    ):
        if (width, other) in spent:
            ratios[column] = _ratio_in_words(values, _until(spent[width, other], what))
    return {
        "slots": width,
        "method": name,
        "found %": round(100 * statistics.mean(each.is_found for each in mine)),
        "best %": round(100 * statistics.mean(each.is_best for each in mine)),
        "trials": _median([each.n_trials for each in mine]),
        "epochs": _in_words(epochs, ".0f"),
        "wall min": _in_words([seconds / 60 for seconds in wall_s], ".1f"),
        **ratios,
    }


def _aims(spent: Mapping[tuple[int, str], Sequence[Spent]], widths: Sequence[int]) -> dict[str, bool]:
    aims = {}
    for width in widths:
        ratio = _ratio(_until(spent[width, DEFAULT], "epochs"), _until(spent[width, RANDOM], "epochs"))
        told = f"at most {OF_RANDOM} of random search's compute on {width} slots, by default ({ratio:.2f})"
        aims[told] = ratio <= OF_RANDOM
    if AIM_WIDTH in widths:
        ratio = _ratio(_until(spent[AIM_WIDTH, DEFAULT], "wall_s"), _until(spent[AIM_WIDTH, PLUGIN], "wall_s"))
        told = f"at most {OF_BATCHES} of the time of batches on {AIM_WIDTH} slots, by default ({ratio:.2f})"
        aims[told] = ratio <= OF_BATCHES
    return aims


def _until(found: Sequence[Spent], what: str) -> list[float]:
    """Return what each search had spent when it had found a good point; endless where it found none."""
    return [float(getattr(each, what)) if each.is_found else math.inf for each in found]


def _median(values: Sequence[float]) -> float:
    return statistics.median_high(values)


def _ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the ratio of medians; endless where the first is, nothing where only the second is."""
    mine, theirs = _median(values), _median(others)
    return math.inf if math.isinf(mine) else mine / theirs


def _ratio_in_words(values: Sequence[float], others: Sequence[float]) -> str:
    chance = random.Random(0)
    drawn = sorted(
        _ratio(chance.choices(values, k=len(values)), chance.choices(others, k=len(others))) for _ in range(N_RESAMPLES)
    )
    low, high = drawn[N_RESAMPLES // 20], drawn[-1 - N_RESAMPLES // 20]
    return f"{_ratio(values, others):.2f} ({low:.2f}-{high:.2f})"


def _in_words(values: Sequence[float], digits: str) -> str:
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    return f"{_median(ordered):{digits}} ({low:{digits}}-{high:{digits}})"


if __name__ == "__main__":
    main()
