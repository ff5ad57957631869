"""What becomes of the best of equal trials when it is trained again, on the images that chose it and on unseen ones.

``python -m benchmarks.search_confirmation [--cases 400] [--into FOLDER]``. A search of `N_TRIALS` trials that are all
as good as the default (`benchmarks.simulated_detectors`, a seed's own noise of about one point), each run once on val.
The best two are trained again with fresh seeds, as the default is, and judged against it as candidates are (Holm; no
margin): once on val, which chose them, and once on other images. Told is how often one of them is called better, which
is wrong, and how far the best one is ahead: in the search, with fresh seeds on val, and on the unseen images.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.results import RESULTS, Result
from benchmarks.simulated_detectors import Scenario, World, draw_recipe, draw_runs, draw_world, values_of
from benchmarks.verdict_calibration import ALPHA, SMALL, hash_seed
from reports.judging.claims import judge_family
from reports.judging.decision import Word
from reports.judging.effect import Cell, effect

N_TRIALS, N_CANDIDATES = 20, 2
N_SEEDS = (3, 5)
N_IMAGES = (50, 200)
N_REPLICATES = 1000
# Of verdicts on unseen images; an interval at 95 % is meant to be too high in 2.5 % of cases, two sides and Holm apart.
MOST_FALSE = 0.05
# All trials are the same recipe in truth: what differs is luck.
EQUAL = Scenario("equal trials", (SMALL, SMALL))


@dataclass(frozen=True)
class Outcome:
    """What was found in one case.

    Attributes:
        searched: how far the best trial was ahead of the default in the search, in AP.
        same: by number of seeds, how far its fresh runs are ahead on val, and whether a candidate is called better.
        unseen: likewise on images that the search never saw.
    """

    searched: float
    same: dict[int, tuple[float, bool]]
    unseen: dict[int, tuple[float, bool]]


def one_case(n_images: int, seed: int) -> Outcome:
    """Search, choose, train again, and judge."""
    draw = np.random.default_rng(seed)
    val, other = (draw_world(EQUAL, n_images, draw) for _ in range(2))
    # The default is the first of them.
    recipes = [draw_recipe(val, draw) for _ in range(1 + N_TRIALS)]
    once = np.ones((1, n_images))
    reached = [float(values_of(draw_runs(EQUAL, val, recipe, 1, draw), once)[0, 0]) for recipe in recipes]
    best = 1 + np.argsort(reached[1:])[::-1][:N_CANDIDATES]
    again = [recipes[0], *(recipes[number] for number in best)]
    return Outcome(
        searched=reached[best[0]] - reached[0],
        same=_judged(val, again, draw),
        unseen=_judged(other, [draw_recipe(other, draw) for _ in again], draw),
    )


def _judged(world: World, recipes: list[NDArray[np.float64]], draw: Generator) -> dict[int, tuple[float, bool]]:
    """Return, by number of seeds, the best candidate's difference and whether any is called better."""
    n_images = world.n_images
    weights = draw.multinomial(n_images, np.full(n_images, 1 / n_images), size=N_REPLICATES)
    both = np.vstack([np.ones((1, n_images)), weights])
    values = [values_of(draw_runs(EQUAL, world, recipe, max(N_SEEDS), draw), both) for recipe in recipes]
    n_groups = len(np.unique(world.image[world.is_object]))
    found = {}
    for k in N_SEEDS:
        base, *treated = (Cell(one[:k, 0], one[:k, 1:]) for one in values)
        effects = [effect([cell], [base], n_groups) for cell in treated]
        verdicts = judge_family(effects, [0.0] * len(effects), ALPHA)
        found[k] = effects[0].difference, any(verdict.word is Word.BETTER for verdict in verdicts)
    return found


def measure(n_images: int, numbers: range) -> list[Outcome]:
    """Return the outcomes of some cases; each has a seed of its own, the same every time."""
    return [one_case(n_images, hash_seed(EQUAL.name, n_images, number)) for number in numbers]


def rows_of(outcomes: list[Outcome], n_images: int) -> list[dict[str, Any]]:
    """Return a row for each number of seeds."""
    return [
        {
            "images": n_images,
            "seeds": k,
            "cases": len(outcomes),
            "ahead in the search, points": 100 * float(np.mean([one.searched for one in outcomes])),
            "fresh seeds, same images": 100 * float(np.mean([one.same[k][0] for one in outcomes])),
            "unseen images": 100 * float(np.mean([one.unseen[k][0] for one in outcomes])),
            "false better, same images %": 100 * float(np.mean([one.same[k][1] for one in outcomes])),
            "false better, unseen images %": 100 * float(np.mean([one.unseen[k][1] for one in outcomes])),
        }
        for k in N_SEEDS
    ]


def build_result(rows: list[dict[str, Any]]) -> Result:
    """Return the table of all that was measured."""
    fewest = min(row["cases"] for row in rows)
    known_to = 100 * float(np.sqrt(MOST_FALSE * (1 - MOST_FALSE) / fewest))
    return Result(
        "search_confirmation",
        f"The best {N_CANDIDATES} of {N_TRIALS} trials that are as good as the default, trained again",
        rows,
        [f"A rate of 5 % over {fewest} cases is known to {known_to:.1f} points (one deviation)."],
        {
            "on unseen images at most 5 % false 'better'": all(
                row["false better, unseen images %"] <= 100 * MOST_FALSE for row in rows
            ),
        },
    )


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_confirmation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=int, default=400, help="cases of each number of images")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the JSON file")
    arguments = parser.parse_args()
    rows = []
    with ProcessPoolExecutor() as pool:
        for n_images in N_IMAGES:
            parts = [range(start, min(start + 20, arguments.cases)) for start in range(0, arguments.cases, 20)]
            found = pool.map(measure, [n_images] * len(parts), parts)
            rows += rows_of([outcome for part in found for outcome in part], n_images)
    build_result(rows).tell(arguments.into)


if __name__ == "__main__":
    main()
