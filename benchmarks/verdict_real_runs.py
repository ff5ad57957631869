"""How often verdicts find a difference between real runs of one recipe, split at random into two arms.

``python -m benchmarks.verdict_real_runs [--runs 40] [--runs-in FOLDER] [--into FOLDER]``: trains the narrow detector on
generated shapes with so many seeds (about half a minute each on one core; what is there already is reused), draws k
runs and k others of them many times, and judges. The truth is no difference. That tests the half of a verdict that
seeds have in it: runs are judged on the same images, of which nothing is asked.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.part_of_images import METRICS, cell_of, n_images_with_object, of_images, values_under
from benchmarks.real_runs import NARROW_ON_SHAPES, Recipe, train_runs
from benchmarks.results import RESULTS, Result
from benchmarks.verdict_calibration import ALPHA, COVERAGE, FEWEST_SEEDS, MOST_FALSE, N_SEEDS
from reports.judging.cell_values import evaluation_set_of
from reports.judging.effect import Cell, effect
from reports.judging.image_weights import image_weights
from reports.judging.matches import COCO_AREAS, Matches, match_run
from reports.judging.run_values import predictions_of
from runners.contract.folder import JobFolder

N_RUNS, N_SPLITS, N_POOLS = 40, 2000, 300
N_VAL = 100
N_IMAGES = (50, N_VAL)
ONE_RECIPE = Recipe(
    "one_recipe",
    (
        *(*NARROW_ON_SHAPES, "n_epochs=2", "dataset.shapes.n_train=200", f"dataset.shapes.n_val={N_VAL}"),
        *("dataset.shapes.n_test=1", "dataset.shapes.difficulty=0.3"),
    ),
)
# By how many deviations a rate may miss what normal seeds would give; many are looked at.
MOST_DEVIATIONS = 3.0


@dataclass(frozen=True)
class NormalSeeds:
    """What Welch's interval would do for as many runs as here, if seeds were normal.

    Attributes:
        coverage: share of intervals that hold zero.
        sd: deviation of that share between sets of runs.
    """

    coverage: float
    sd: float


def read_matches(job: JobFolder) -> tuple[Matches, str]:
    """Return what a run found on val at its last epoch, and the fingerprint of these images."""
    on = evaluation_set_of(job, "val")
    detections = json.loads(predictions_of(job, "val").read_text(encoding="utf-8"))
    return match_run(on.truth, detections, COCO_AREAS[:1]), on.fingerprint


def draw_splits(n_runs: int, k: int, n_splits: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return (n_splits, 2 k) runs: the first k are one arm, the others its counterpart."""
    chosen: NDArray[np.int64] = draw.random((n_splits, n_runs)).argsort(axis=1)[:, : 2 * k]
    return chosen


def normal_seeds(n_runs: int, k: int, n_splits: int, n_pools: int = N_POOLS) -> NormalSeeds:
    """Return how often Welch's interval holds zero where seeds are normal, and how far a set of runs is off."""
    draw = np.random.default_rng([n_runs, k])
    shares = []
    for _ in range(n_pools):
        split = draw.normal(size=n_runs)[draw_splits(n_runs, k, n_splits, draw)]
        first, second = split[:, :k], split[:, k:]
        a, b = first.var(axis=1, ddof=1) / k, second.var(axis=1, ddof=1) / k
        df = (a + b) ** 2 / ((a**2 + b**2) / (k - 1))
        distance = np.abs(first.mean(axis=1) - second.mean(axis=1)) / np.sqrt(a + b)
        shares.append(float((2 * stats.t.sf(distance, df) >= ALPHA).mean()))
    return NormalSeeds(float(np.mean(shares)), float(np.std(shares, ddof=1)))


def judge_splits(values: NDArray[np.float64], k: int, n_splits: int, n_groups: int) -> dict[str, float]:
    """Judge many random splits, with both noises and with that of seeds alone (Welch's interval).

    Args:
        values: (runs, 1 + J) one metric.
        k: runs in each arm.
        n_splits: how many.
        n_groups: images with an object.
    """
    draw = np.random.default_rng([len(values), k, n_splits])
    found = np.zeros((n_splits, 4))
    for number, chosen in enumerate(draw_splits(len(values), k, n_splits, draw)):
        treated, base = cell_of(values, chosen[:k]), cell_of(values, chosen[k:])
        both = effect([treated], [base], n_groups)
        seeds_alone = effect([Cell(treated.values)], [Cell(base.values)], 1)
        low, high = both.interval(ALPHA)
        low_alone, high_alone = seeds_alone.interval(ALPHA)
        found[number] = low <= 0 <= high, low > 0, (high - low) / 2, low_alone <= 0 <= high_alone
    coverage, better, _, alone = found.mean(axis=0)
    return {
        "coverage %": 100 * coverage,
        "better %": 100 * better,
        "half width, points": 100 * float(np.median(found[:, 2])),
        "seeds alone: coverage %": 100 * alone,
    }


def measure(runs: Sequence[Matches], fingerprint: str, n_images: Sequence[int], n_splits: int) -> list[dict[str, Any]]:
    """Return a row for each metric, number of images and of seeds."""
    seeds = [k for k in N_SEEDS if 2 * k <= len(runs)]
    expected = {k: normal_seeds(len(runs), k, n_splits) for k in seeds}
    rows = []
    for n in n_images:
        part = [of_images(run, np.arange(n)) for run in runs]
        weights = np.vstack([np.ones((1, n)), image_weights(fingerprint, n)])
        values = np.stack([values_under(run, weights) for run in part], axis=1)
        for metric, of_metric in zip(METRICS, values, strict=True):
            gaps = 100 * np.abs(np.subtract.outer(of_metric[:, 0], of_metric[:, 0]))[np.triu_indices(len(runs), 1)]
            rows += [
                {
                    "metric": metric,
                    "images": n,
                    "seeds": k,
                    **judge_splits(of_metric, k, n_splits, n_images_with_object(part[0])),
                    "normal seeds %": 100 * expected[k].coverage,
                    "± points": 100 * expected[k].sd,
                    "deviation, points": 100 * float(of_metric[:, 0].std(ddof=1)),
                    "one run each: median gap": float(np.median(gaps)),
                    "gap of 1 in 20": float(np.quantile(gaps, 0.95)),
                }
                for k in seeds
            ]
    return rows


def build_result(rows: list[dict[str, Any]], n_runs: int, n_splits: int, values: dict[str, list[float]]) -> Result:
    """Return the table.

    Args:
        rows: as `measure` gives them.
        n_runs: how many there are.
        n_splits: of each row.
        values: of each metric, the runs' values on all images.
    """
    settled = [row for row in rows if row["seeds"] >= FEWEST_SEEDS]
    return Result(
        "verdict_real_runs",
        f"Verdicts on {n_runs} real runs of one recipe, {n_splits} random splits in each row (in truth equal)",
        rows,
        [
            "Coverage: how often the 95 % interval holds zero; better: how often one arm is called better than the "
            "other, the wrong way round as often again.",
            "Seeds alone: Welch's interval, without the noise of images and its floor; beside it what normal seeds "
            "would give, and the deviation of that between sets of so many runs. All rows come from the same runs.",
            "One run each, the higher number wins: calls one of the two better always, in half of the cases this one, "
            "and there is nothing to find. The gap is what two such runs differ by, in points.",
        ],
        {
            "from 3 seeds, coverage 93 to 99 %": all(
                100 * COVERAGE[0] <= row["coverage %"] <= 100 * COVERAGE[1] for row in settled
            ),
            "from 3 seeds, at most 5 % false 'better'": all(row["better %"] <= 100 * MOST_FALSE for row in settled),
            f"seeds alone within {MOST_DEVIATIONS:.0f} deviations of normal seeds": all(
                abs(row["seeds alone: coverage %"] - row["normal seeds %"]) <= MOST_DEVIATIONS * row["± points"]
                for row in rows
            ),
        },
        {"values": values},
    )


def main() -> None:
    """Train what is missing, measure, print, and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdict_real_runs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=N_RUNS, help="how many seeds")
    parser.add_argument("--splits", type=int, default=N_SPLITS, help="of each kind")
    parser.add_argument("--runs-in", type=Path, default=RESULTS / "verdict_real_runs", help="output folder of the runs")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the JSON file")
    arguments = parser.parse_args()
    told = [read_matches(job) for job in train_runs(ONE_RECIPE, arguments.runs, arguments.runs_in)]
    runs, (fingerprint, *others) = [found for found, _ in told], sorted({on for _, on in told})
    assert not others, "all runs are of one recipe, and evaluated on the same images"
    values = np.stack([values_under(run, np.ones((1, N_VAL)))[:, 0] for run in runs], axis=1)
    rows = measure(runs, fingerprint, N_IMAGES, arguments.splits)
    by_metric = dict(zip(METRICS, values.tolist(), strict=True))
    build_result(rows, len(runs), arguments.splits, by_metric).tell(arguments.into)


if __name__ == "__main__":
    main()
