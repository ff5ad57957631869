"""How often verdicts on small sets of images hold what two real recipes differ by on 20,000 images.

``python -m benchmarks.verdict_image_noise [--runs 6] [--images 20000] [--runs-in FOLDER] [--into FOLDER]``: trains two
recipes that truly differ on generated shapes, lets all runs look at fresh images, and takes the difference on all of
them as the truth. Then sets of 50, 100 and 200 images that have none in common are cut out, k runs of each recipe are
drawn, and judged. That tests the half of a verdict that images have in it, and both halves together. What was trained
and looked at is kept, and reused.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fresh_images import fresh_matches, write_fresh
from benchmarks.image_sets import Runs, cut_sets, draw_arms, draw_twins, gather, judge_all, values_on_sets
from benchmarks.part_of_images import METRICS, n_images_with_object, of_images, values_under
from benchmarks.real_runs import NARROW_ON_SHAPES, Recipe, train_runs
from benchmarks.results import RESULTS, Result
from benchmarks.verdict_calibration import COVERAGE, FEWEST_SEEDS, MOST_FALSE
from reports.judging.image_weights import N_REPLICATES, image_weights

N_RUNS, N_FRESH = 6, 20_000
N_IMAGES = (50, 100, 200)
N_SEEDS = (2, 3, 5)
N_DRAWS = 20  # of k runs from each recipe's
N_TRUTH_REPLICATES = 200
# A thinner backbone and fewer proposals than the narrow detector's: twelve runs look at 20,000 images each.
_THIN = (
    *("+model.backbone.base_channels=16", "+model.backbone.stem_channels=16", "backbone.out_channels=[16,32,64,128]"),
    *("width.n_proposals={train: 100, test: 50}", "model.test_cfg.rpn.nms_pre=200"),
    "model.train_cfg.rpn_proposal.nms_pre=400",
)
_DATA = (
    *("dataset.shapes.n_train=200", "dataset.shapes.n_val=50", "dataset.shapes.n_test=1"),
    "dataset.shapes.difficulty=0.7",
)
SHORT, LONG = (
    Recipe(name, (*NARROW_ON_SHAPES, *_THIN, *_DATA, f"n_epochs={n_epochs}"))
    for name, n_epochs in (("short", 3), ("long", 4))
)


def measure(
    runs: Runs, n_images: Sequence[int], n_draws: int = N_DRAWS, n_replicates: int = N_REPLICATES
) -> list[dict[str, Any]]:
    """Return a row for each metric, number of images and of seeds."""
    base, treated = runs.arms
    fewest = min(len(base), len(treated))
    rows = []
    with ProcessPoolExecutor() as pool:
        for n in n_images:
            sets = cut_sets(len(runs.matches[0].image_ids), n)
            on_sets = partial(values_on_sets, sets=sets, fingerprint=runs.fingerprint, n_replicates=n_replicates)
            values = np.stack(list(pool.map(on_sets, runs.matches)), axis=1)
            groups = [n_images_with_object(of_images(runs.matches[0], chosen)) for chosen in sets]
            for metric, k in product(range(len(METRICS)), [k for k in N_SEEDS if k <= fewest]):
                single = values[metric, :, :, 0]
                rows.append(
                    {
                        "metric": list(METRICS)[metric],
                        "images": n,
                        "sets": len(sets),
                        "seeds": k,
                        **_row(runs, values[metric], metric, groups, k, n_draws),
                        "one run each: right %": 100 * float((single[treated][:, None] > single[base][None]).mean()),
                    }
                )
    return rows


def _row(
    runs: Runs, values: NDArray[np.float64], metric: int, groups: Sequence[int], k: int, n_draws: int
) -> dict[str, float | None]:
    truth = runs.difference(metric)
    differ = judge_all(runs, values, metric, groups, list(draw_arms(runs.arms, k, n_draws)), truth)
    twins = []
    if 2 * k <= min(len(arm) for arm in runs.arms):
        twins = judge_all(runs, values, metric, groups, list(draw_twins(runs.arms, k, n_draws)), 0.0)
    return {
        "coverage %": _percent([one.holds for one in differ]),
        "power %": _percent([one.better for one in differ]),
        "half width, points": 100 * float(np.median([one.half_width for one in differ])),
        "images alone: coverage %": _percent([one.holds_own for one in differ]),
        "their noise, points": 100 * float(np.sqrt(np.mean([one.strays_by**2 for one in differ]))),
        "as told": 100 * float(np.sqrt(np.mean([one.floor for one in differ]))),
        "bias of few images, points": 100 * float(np.mean([one.bias for one in differ])),
        "one recipe twice: coverage %": _percent([one.holds for one in twins]) if twins else None,
        "better %": _percent([one.better for one in twins]) if twins else None,
    }


def _percent(found: Sequence[bool]) -> float:
    return 100 * float(np.mean(found))


def truth_deviations(runs: Runs, n_replicates: int = N_TRUTH_REPLICATES) -> list[float]:
    """Return of each metric how well the difference of these runs is known, by a bootstrap of all images."""
    n = len(runs.matches[0].image_ids)
    weights = image_weights(runs.fingerprint, n, n_replicates=n_replicates).astype(np.float64)
    under = np.stack([values_under(run, weights) for run in runs.matches], axis=1)
    base, treated = runs.arms
    between = under[:, treated].mean(axis=1) - under[:, base].mean(axis=1)
    return [float(value) for value in between.std(axis=1, ddof=1)]


def build_result(runs: Runs, rows: list[dict[str, Any]], deviations: Sequence[float]) -> Result:
    """Return the table."""
    base, treated = runs.arms
    settled = [row for row in rows if row["seeds"] >= FEWEST_SEEDS]
    lowest, highest = (100 * bound for bound in COVERAGE)
    truths = [
        f"{name} {100 * runs.difference(number):+.1f} points (known to {100 * deviation:.2f}; deviation between seeds "
        f"{100 * runs.truth[number, base].std(ddof=1):.1f} and {100 * runs.truth[number, treated].std(ddof=1):.1f})"
        for number, (name, deviation) in enumerate(zip(METRICS, deviations, strict=True))
    ]
    n_all = len(runs.matches[0].image_ids)
    return Result(
        "verdict_image_noise",
        f"Verdicts on small sets of fresh images, {len(base)} real runs of a recipe and {len(treated)} of a better one",
        rows,
        [
            f"The truth, on {n_all} images: {'; '.join(truths)}. It is taken of all, and so of the set that is judged, "
            f"too: at most {100 * max(row['images'] for row in rows) / n_all:.1g} % of them, which hardly moves it.",
            "Coverage: how often the 95 % interval holds the truth. Runs are drawn out of these few, and the truth is "
            "the mean of all of them: of the noise of seeds only a part is put to the test here.",
            "Images alone: the interval's floor against what the very runs that were judged differ by on sets of this "
            "size, on average; their noise: what the difference on a set is off from that, beside what the bootstrap "
            "tells of it. The bias is what that average is off from their difference on all images: precision is too "
            "high where images are few, the more the weaker a model is, so that a difference looks smaller there.",
            "A rate of 95 % over 200 sets is known to 1.5 points, over 100 sets to 2.2 (one deviation).",
            "One recipe twice: some of its runs against others of it; the truth is no difference.",
            "One run each, the higher number wins: how often that is the better recipe. Where there is no difference "
            "it calls one better all the same.",
        ],
        {
            # Not at most: the more of these few runs are drawn, the nearer is their mean to the truth.
            "from 3 seeds, coverage at least 93 %": all(lowest <= row["coverage %"] for row in settled),
            "images alone, coverage 93 to 99 %": all(
                lowest <= row["images alone: coverage %"] <= highest for row in rows
            ),
            "from 3 seeds, at most 5 % false 'better'": all(
                row["better %"] <= 100 * MOST_FALSE for row in settled if row["better %"] is not None
            ),
        },
        {"values": dict(zip(METRICS, runs.truth.tolist(), strict=True)), "n_base": runs.n_base},
    )


def main() -> None:
    """Train and look at what is missing, measure, print, and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdict_image_noise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=N_RUNS, help="seeds of each recipe")
    parser.add_argument("--images", type=int, default=N_FRESH, help="fresh ones, of which the truth is taken")
    parser.add_argument("--runs-in", type=Path, default=RESULTS / "verdict_real_runs", help="output folder of the runs")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the JSON file")
    arguments = parser.parse_args()
    jobs = [train_runs(recipe, arguments.runs, arguments.runs_in) for recipe in (SHORT, LONG)]
    images = write_fresh(jobs[0][0], arguments.images, arguments.runs_in / "data")
    found, fingerprint = fresh_matches([*jobs[0], *jobs[1]], images)
    runs = gather(found[: len(jobs[0])], found[len(jobs[0]) :], fingerprint)
    build_result(runs, measure(runs, N_IMAGES), truth_deviations(runs)).tell(arguments.into)


if __name__ == "__main__":
    main()
