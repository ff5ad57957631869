"""How often verdicts are right, on simulated detectors whose truth is known.

``python -m benchmarks.verdict_calibration [--cases 200] [--into FOLDER]``. For every scenario of
`benchmarks.simulated_detectors`, number of images and of seeds: in how many cases the 95 % interval holds the true
difference (coverage), in how many a treatment that is no better is called better (false), and, where it is better by
about 3.4 points, in how many that is found (power). Beside it the habit of one run each, the higher number wins.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import RESULTS, Result
from benchmarks.simulated_detectors import Scenario, draw_arms, draw_world, values_of
from reports.judging.claims import look_alpha
from reports.judging.effect import Cell, Effect, effect, pool_donors
from runners.contract.hypothesis import LOOKS

ALPHA = 0.05
N_SEEDS = (2, 3, 5, 8)
FEWEST_SEEDS = 3  # of a decision
N_IMAGES = (50, 200, 1000)
# The large sets take most of the time and have the least to show: fewer scenarios, fewer cases.
LARGE, LARGE_SHARE = 1000, 0.25
N_TRUTH_IMAGES, N_TRUTH_SEEDS = 400_000, 4
N_DONOR_ARMS, N_DONOR_SEEDS = 4, 3
COVERAGE, MOST_FALSE = (0.93, 0.99), 0.05

# In the latent's unit: 1.1, 2 and 3.4 points of AP, and the better arm's 3.4 points (see the table's note).
SMALL, EQUAL, DOMINANT, BETTER = 0.026, 0.047, 0.08, 0.08
SCENARIOS = (
    Scenario("no seed noise"),
    Scenario("seed noise small", (SMALL, SMALL)),
    Scenario("seed noise as that of images", (EQUAL, EQUAL)),
    Scenario("seed noise dominant", (DOMINANT, DOMINANT)),
    Scenario("one recipe twice, no seed noise", same_arm=True),
    Scenario("one recipe twice", (SMALL, SMALL), same_arm=True),
    Scenario("treatment six times noisier", (0.015, 0.09)),
    Scenario("deviations spread between arms", (EQUAL, EQUAL), spread_sd=0.6),
    Scenario("seeds correlated 0.7", (EQUAL, EQUAL), seed_correlation=0.7),
    Scenario("heavy tails", (EQUAL, EQUAL), is_heavy_tailed=True),
    Scenario("three classes", (EQUAL, EQUAL), n_classes=3),
    Scenario("easy data", (EQUAL, EQUAL), base_quality=1.2),
    Scenario("better by 3.4 points", (SMALL, SMALL), quality=BETTER),
)
AT_LARGE = (1, 3, 5, 6, 10, 12)


@dataclass(frozen=True)
class Outcome:
    """What was found in one case.

    Attributes:
        holds: of each number of seeds, whether the interval holds the truth.
        better: of each, whether the treatment is called better.
        half_width: of each.
        holds_borrowed: as `holds`, with donor arms.
        better_borrowed: as `better`, with donor arms.
        better_in_looks: whether it is called better when seeds are added at the planned looks.
        naive: whether one run of the treatment has the higher number.
    """

    holds: tuple[bool, ...]
    better: tuple[bool, ...]
    half_width: tuple[float, ...]
    holds_borrowed: tuple[bool, ...]
    better_borrowed: tuple[bool, ...]
    better_in_looks: bool
    naive: bool


def true_difference(scenario: Scenario) -> float:
    """Return the difference on very many images and seeds; none where the arms differ in noise alone."""
    if scenario.quality == 0:
        return 0.0
    draw = np.random.default_rng(0)
    world = draw_world(scenario, N_TRUTH_IMAGES, draw)
    # The same seed effects in both arms: their noise is no part of the truth, and leaves the difference.
    first, second = draw_arms(replace(scenario, seed_correlation=1.0), world, N_TRUTH_SEEDS, draw)
    one = np.ones((1, N_TRUTH_IMAGES))
    return float(values_of(second, one).mean() - values_of(first, one).mean())


def one_case(scenario: Scenario, n_images: int, seed: int, truth: float) -> Outcome:
    """Draw images, arms and seeds, and judge."""
    draw = np.random.default_rng(seed)
    world = draw_world(scenario, n_images, draw)
    n_most = max(N_SEEDS)
    runs = draw_arms(scenario, world, n_most, draw)
    donors = []
    for _ in range(N_DONOR_ARMS // 2):
        donors += [arm[:N_DONOR_SEEDS] for arm in draw_arms(scenario, world, N_DONOR_SEEDS, draw)]
    weights = draw.multinomial(n_images, np.full(n_images, 1 / n_images), size=1000)
    both = np.vstack([np.ones((1, n_images)), weights])
    base, treated = (values_of(arm, both) for arm in runs)
    lenders = pool_donors([Cell(values[:, 0], values[:, 1:]) for values in (values_of(arm, both) for arm in donors)])
    n_groups = len(np.unique(world.image[world.is_object]))
    found = {}
    for k in {*N_SEEDS, *LOOKS}:
        cells = Cell(treated[:k, 0], treated[:k, 1:]), Cell(base[:k, 0], base[:k, 1:])
        found[k] = tuple(effect([cells[0]], [cells[1]], n_groups, lent) for lent in (None, lenders))
    intervals = [[found[k][way].interval(ALPHA) for k in N_SEEDS] for way in (0, 1)]
    return Outcome(
        holds=tuple(low <= truth <= high for low, high in intervals[0]),
        better=tuple(low > 0 for low, _ in intervals[0]),
        half_width=tuple((high - low) / 2 for low, high in intervals[0]),
        holds_borrowed=tuple(low <= truth <= high for low, high in intervals[1]),
        better_borrowed=tuple(low > 0 for low, _ in intervals[1]),
        better_in_looks=_first_look(found),
        naive=bool(treated[0, 0] > base[0, 0]),
    )


def _first_look(found: dict[int, tuple[Effect, ...]]) -> bool:
    """Return whether the first look that excludes zero says better."""
    for k in LOOKS:
        low, high = found[k][0].interval(look_alpha(k, ALPHA))
        if low > 0 or high < 0:
            return bool(low > 0)
    return False


def measure(scenario: Scenario, n_images: int, n_cases: int, truth: float) -> Iterator[Outcome]:
    """Yield the outcomes of many cases."""
    for seed in range(n_cases):
        yield one_case(scenario, n_images, hash_seed(scenario.name, n_images, seed), truth)


def hash_seed(name: str, n_images: int, number: int) -> int:
    """Return a seed of its own for each case, the same every time."""
    return int(np.random.SeedSequence([*name.encode(), n_images, number]).generate_state(1)[0])


def _rows(scenario: Scenario, n_images: int, n_cases: int, truth: float) -> list[dict[str, Any]]:
    """Return a row for each number of seeds."""
    outcomes = list(measure(scenario, n_images, n_cases, truth))
    rows = []
    for index, k in enumerate(N_SEEDS):
        rows.append(
            {
                "scenario": scenario.name,
                "cases": len(outcomes),
                "images": n_images,
                "seeds": k,
                "coverage %": 100 * np.mean([outcome.holds[index] for outcome in outcomes]),
                "better %": 100 * np.mean([outcome.better[index] for outcome in outcomes]),
                "half width, points": 100 * float(np.median([outcome.half_width[index] for outcome in outcomes])),
                "coverage, borrowed %": 100 * np.mean([outcome.holds_borrowed[index] for outcome in outcomes]),
                "better, borrowed %": 100 * np.mean([outcome.better_borrowed[index] for outcome in outcomes]),
                "better, in looks %": 100 * np.mean([outcome.better_in_looks for outcome in outcomes]),
                "one run each %": 100 * np.mean([outcome.naive for outcome in outcomes]),
            }
        )
    return rows


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdict_calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=int, default=200, help="cases of each scenario and number of images")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the JSON file")
    arguments = parser.parse_args()
    truths = {scenario.name: true_difference(scenario) for scenario in SCENARIOS}
    tasks = [
        (scenario, n_images, _n_cases(arguments.cases, n_images), truths[scenario.name])
        for n_images in N_IMAGES
        for number, scenario in enumerate(SCENARIOS)
        if n_images < LARGE or number in AT_LARGE
    ]
    with ProcessPoolExecutor() as pool:
        rows = [row for part in pool.map(_rows, *zip(*tasks, strict=True)) for row in part]
    build_result(rows, arguments.cases, truths[SCENARIOS[-1].name]).tell(arguments.into)


def _n_cases(asked: int, n_images: int) -> int:
    return asked if n_images < LARGE else max(1, int(asked * LARGE_SHARE))


def build_result(rows: list[dict[str, Any]], n_cases: int, better_by: float) -> Result:
    """Return the table of all that was measured.

    Args:
        rows: of each scenario, number of images and of seeds.
        n_cases: that were asked for.
        better_by: the true difference of the better arm, 0-1.
    """
    n_of_scenario = sum(
        row["cases"] for row in rows if row["seeds"] == LOOKS[0] and row["scenario"] == SCENARIOS[1].name
    )
    known_to = 100 * float(np.sqrt(MOST_FALSE * (1 - MOST_FALSE) / n_of_scenario))
    summary = _summary(rows)
    settled = [row for row in rows if row["seeds"] >= FEWEST_SEEDS]
    by_scenario = [_mean(settled, "coverage %", scenario.name) for scenario in SCENARIOS]
    wrong = [_mean(settled, "better %", scenario.name) for scenario in SCENARIOS if scenario.quality == 0]
    return Result(
        "verdict_calibration",
        f"Verdicts on simulated detectors, {n_cases} cases of each (a quarter of them with {LARGE} images)",
        summary,
        [
            "Coverage of 95 % intervals, and how often a treatment that is no better is called better: over all cases, "
            f"and in the worst scenario. A rate of 5 % over {n_of_scenario} cases (one scenario) is known to "
            f"{known_to:.1f} points (one deviation).",
            f"Power: how often a treatment better by {100 * better_by:.1f} points is called "
            f"better, with {', '.join(map(str, N_IMAGES))} images.",
        ],
        {
            "from 3 seeds, coverage of each scenario 93 to 99 %": all(
                100 * COVERAGE[0] <= value <= 100 * COVERAGE[1] for value in by_scenario
            ),
            "from 3 seeds, at most 5 % false 'better' in each scenario": all(
                value <= 100 * MOST_FALSE for value in wrong
            ),
        },
        {"rows": rows, "better_by": better_by},
    )


def _mean(rows: list[dict[str, Any]], column: str, scenario: str | None = None) -> float:
    """Return the mean over all cases of some rows."""
    chosen = [row for row in rows if scenario in (None, row["scenario"])]
    return float(np.average([row[column] for row in chosen], weights=[row["cases"] for row in chosen]))


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each number of seeds."""
    is_real = {scenario.name: scenario.quality > 0 for scenario in SCENARIOS}
    table = []
    for k in N_SEEDS:
        here = [row for row in rows if row["seeds"] == k]
        null = [row for row in here if not is_real[row["scenario"]]]
        names = [name for name, real in is_real.items() if not real]
        coverage = [_mean(null, "coverage %", name) for name in names]
        table.append(
            {
                "seeds": k,
                "coverage %": _mean(null, "coverage %"),
                "worst": min(coverage),
                "highest": max(coverage),
                "false better %": _mean(null, "better %"),
                "worst false": max(_mean(null, "better %", name) for name in names),
                "borrowed: coverage %": _mean(null, "coverage, borrowed %"),
                "borrowed: false %": _mean(null, "better, borrowed %"),
                "in looks: false %": _mean(null, "better, in looks %"),
                "one run each: false %": _mean(null, "one run each %"),
                "power %": "/".join(f"{row['better %']:.0f}" for row in here if is_real[row["scenario"]]),
            }
        )
    return table


if __name__ == "__main__":
    main()
