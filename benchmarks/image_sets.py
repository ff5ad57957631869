"""Sets of images cut out of many, and what verdicts on them find of a difference that is known on all.

Runs are those of a baseline and of a treatment, all on the same images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.part_of_images import cell_of, of_images, values_under
from benchmarks.verdict_calibration import ALPHA
from reports.judging.effect import Effect, effect
from reports.judging.image_weights import image_weights
from reports.judging.matches import Matches

MOST_SETS = 200


@dataclass(frozen=True)
class Runs:
    """All runs of both recipes, and what they reach on all images.

    Attributes:
        matches: on all images; those of the baseline first.
        n_base: how many are the baseline's.
        truth: (metrics, runs) value on all images, 0-1.
        fingerprint: of the images.
    """

    matches: Sequence[Matches]
    n_base: int
    truth: NDArray[np.float64]
    fingerprint: str

    @property
    def arms(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the baseline's runs, and of the treatment's."""
        numbers = np.arange(len(self.matches))
        return numbers[: self.n_base], numbers[self.n_base :]

    def difference(self, metric: int) -> float:
        """Return the difference of the recipes on all images, treatment minus baseline."""
        base, treated = self.arms
        return float(self.truth[metric, treated].mean() - self.truth[metric, base].mean())


def gather(base: Sequence[Matches], treated: Sequence[Matches], fingerprint: str) -> Runs:
    """Return the runs with their values on all images."""
    matches = [*base, *treated]
    one = np.ones((1, len(matches[0].image_ids)))
    return Runs(matches, len(base), np.stack([values_under(run, one)[:, 0] for run in matches], axis=1), fingerprint)


def cut_sets(n_images: int, n: int, most: int = MOST_SETS) -> NDArray[np.int64]:
    """Return (sets, n) images by ascending number: sets that have none in common."""
    shuffled = np.random.default_rng([n_images, n]).permutation(n_images)
    n_sets = min(most, n_images // n)
    sets: NDArray[np.int64] = np.sort(shuffled[: n_sets * n].reshape(n_sets, n), axis=1)
    return sets


def values_on_sets(matches: Matches, sets: NDArray[np.int64], fingerprint: str, n_replicates: int) -> NDArray[Any]:
    """Return (metrics, sets, 1 + J) what a run reaches on each set, and under the weightings of its images."""
    n = sets.shape[1]
    found = []
    for number, chosen in enumerate(sets):
        weights = image_weights(f"{fingerprint}{n:08x}{number:08x}", n, n_replicates=n_replicates)
        found.append(values_under(of_images(matches, chosen), np.vstack([np.ones((1, n)), weights])))
    return np.stack(found, axis=1)


def draw_arms(
    arms: Sequence[NDArray[np.int64]], k: int, n_draws: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield k runs of the treatment and k of the baseline, again and again."""
    draw = np.random.default_rng(k)
    base, treated = arms
    for _ in range(n_draws):
        yield draw.choice(treated, k, replace=False), draw.choice(base, k, replace=False)


def draw_twins(
    arms: Sequence[NDArray[np.int64]], k: int, n_draws: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield k runs of one recipe and k others of the same, of the recipes in turns."""
    draw = np.random.default_rng([k, n_draws])
    for number in range(n_draws):
        chosen = draw.permutation(arms[number % len(arms)])[: 2 * k]
        yield chosen[:k], chosen[k:]


@dataclass(frozen=True)
class Judged:
    """What came of one verdict.

    Attributes:
        holds: the interval holds what the recipes differ by.
        better: the treatment is called better.
        half_width: of the interval.
        holds_own: the interval of images alone holds what these very runs differ by on sets of this size, on average.
        strays_by: what the difference on the set is off from that.
        bias: what that is off from their difference on all images; precision is too high where images are few, and no
            bootstrap of the same few sees it.
        floor: the variance of the difference, as the bootstrap of images tells it.
    """

    holds: bool
    better: bool
    half_width: float
    holds_own: bool
    strays_by: float
    bias: float
    floor: float


def judge(found: Effect, truth: float, own: float, own_on_sets: float) -> Judged:
    """Hold a verdict against the truth.

    Args:
        found: on a set of images.
        truth: what the recipes differ by.
        own: what the runs that were judged differ by on all images.
        own_on_sets: what they differ by on sets of this size, on average.
    """
    low, high = found.interval(ALPHA)
    strays_by = found.difference - own_on_sets
    half_of_images = float(stats.t.ppf(1 - ALPHA / 2, found.n_groups - 1)) * found.floor**0.5
    return Judged(
        holds=low <= truth <= high,
        better=low > 0,
        half_width=(high - low) / 2,
        holds_own=abs(strays_by) <= half_of_images,
        strays_by=strays_by,
        bias=own_on_sets - own,
        floor=found.floor,
    )


def judge_all(
    runs: Runs,
    values: NDArray[np.float64],
    metric: int,
    n_groups: Sequence[int],
    pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    truth: float,
) -> list[Judged]:
    """Judge all draws of runs on all sets.

    Args:
        runs: of both recipes.
        values: (runs, sets, 1 + J) of the metric.
        metric: its number.
        n_groups: of each set, images with an object.
        pairs: treatment and baseline of each draw.
        truth: what they differ by.
    """
    judged = []
    on_sets = values[:, :, 0].mean(axis=1)
    for treated, base in pairs:
        own, own_on_sets = (
            float(of_runs[treated].mean() - of_runs[base].mean()) for of_runs in (runs.truth[metric], on_sets)
        )
        for number, groups in enumerate(n_groups):
            on_set = values[:, number]
            found = effect([cell_of(on_set, treated)], [cell_of(on_set, base)], groups)
            judged.append(judge(found, truth, own, own_on_sets))
    return judged
