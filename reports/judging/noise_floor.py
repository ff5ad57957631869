"""How much equal runs differ, how well that is known, and which differences so much noise lets be seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from reports.judging.arms import CellRuns
from reports.judging.cell_values import measure
from reports.judging.decision import detectable, too_few
from reports.judging.effect import effect
from runners.contract.hypothesis import Hypothesis, Question

N_SEEDS = (3, 5, 8)


@dataclass(frozen=True)
class NoiseFloor:
    """The noise of seeds in one metric.

    Attributes:
        question: the metric.
        n_seeds: runs that it is known from.
        mean: of the runs, in the metric's unit.
        deviation: between runs.
        deviation_range: what the true deviation may be, at the hypothesis' confidence.
        detectable: the true difference of two arms that so many seeds in each (`N_SEEDS`) show in four cases of five,
            as far as seeds decide; noise of images comes on top.
        problem: why there is no number; empty otherwise.
    """

    question: Question
    n_seeds: int
    mean: float = math.nan
    deviation: float = math.nan
    deviation_range: tuple[float, float] = (math.nan, math.nan)
    detectable: tuple[float, ...] = ()
    problem: str = ""


def noise_floor(hypothesis: Hypothesis, cells: Sequence[CellRuns]) -> list[NoiseFloor]:
    """Return the noise of each metric of a floor's runs, block by block in the order of the cells."""
    return [_of_metric(hypothesis, question, cell) for cell in cells for question in hypothesis.questions]


def _of_metric(hypothesis: Hypothesis, question: Question, runs: CellRuns) -> NoiseFloor:
    measured = measure(question, runs)
    cell, n_seeds = measured.cell, measured.cell.n_seeds
    if n_seeds < 2:
        return NoiseFloor(
            question, n_seeds, problem=f"{n_seeds} of the runs measured it; two at least show how they differ"
        )
    if measured.n_objects is not None and too_few(measured.n_objects, measured.n_groups):
        problem = f"{measured.n_objects} objects in {measured.n_groups} images are too few"
        return NoiseFloor(question, n_seeds, problem=problem)
    deviation, df = math.sqrt(cell.variance), n_seeds - 1
    # The sample variance over the true one is a chi-square over its degrees of freedom.
    ends = (float(stats.chi2.ppf(level, df)) for level in (1 - hypothesis.alpha / 2, hypothesis.alpha / 2))
    low, high = (deviation * math.sqrt(df / end) for end in ends)
    same = effect([cell], [cell], max(measured.n_groups, 2))
    shown = tuple(detectable(same, number, hypothesis.alpha) for number in N_SEEDS)
    return NoiseFloor(question, n_seeds, cell.mean, deviation, (low, high), shown)
