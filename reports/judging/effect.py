"""The difference of two arms, and what is known of it: one interval that holds the noise of seeds and that of images.

A run's value is its arm's, plus a seed's effect, plus an image effect of the arm, plus one of this seed on these
images. The last sits in the spread between seeds *and* in a bootstrap of images; here it is counted once. It is the
problem of many readers and many cases, with readers nested in the test (Hillis 2014, Stat Med 33:330; Obuchowski,
Gallas & Hillis 2012, Acad Radiol 19:1508): seeds are the readers, images the cases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# What donor arms say of the seeds' noise weighs as much as so many degrees of freedom; fixed, never tuned on the data.
_BORROWED_DF = 2
# From fewer, nothing is borrowed.
MIN_DONOR_ARMS = 3
MIN_DONOR_DF = 6


@dataclass(frozen=True)
class Cell:
    """The runs of one arm in one block (a fold, a detector): replicates that differ in their seed.

    Attributes:
        values: (k,) the metric of each run.
        replicates: (k, J) the same under each weighting of the images; None where images play no part (a metric of the
            training images, memory, time). NaN where the weighted set holds no object.
    """

    values: NDArray[np.float64]
    replicates: NDArray[np.float64] | None = None

    @property
    def n_seeds(self) -> int:
        """How many runs."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean of the runs."""
        return float(self.values.mean())

    @property
    def variance(self) -> float:
        """The sample variance over seeds; NaN with one."""
        return float(self.values.var(ddof=1)) if self.n_seeds > 1 else math.nan

    def image_mean(self) -> NDArray[np.float64]:
        """Return (J,) the mean of the runs under each weighting."""
        assert self.replicates is not None
        mean: NDArray[np.float64] = self.replicates.mean(axis=0)
        return mean

    def seed_by_image(self) -> float:
        """Return the variance, over weightings, of one run about its arm's mean; NaN with one run."""
        assert self.replicates is not None
        if self.n_seeds < 2:
            return math.nan
        around = self.replicates - self.image_mean()
        return float(np.nanvar(around, axis=1, ddof=1).sum() / (self.n_seeds - 1))


@dataclass(frozen=True)
class Donors:
    """Other arms that lend what is known of the seeds' noise: same data, metric and schedule, two seeds or more each.

    Attributes:
        variance: their pooled variance within arms.
        df: its degrees of freedom.
        n_arms: how many they are.
        seed_by_image: their mean variance of one run about its arm's, over weightings (as `Cell.seed_by_image`).
    """

    variance: float
    df: int
    n_arms: int
    seed_by_image: float = 0.0

    @property
    def deviation(self) -> float:
        """The deviation between seeds."""
        return math.sqrt(self.variance)


def pool_donors(cells: Sequence[Cell]) -> Donors | None:
    """Return what arms lend together; None if they are too few to tell."""
    lending = [cell for cell in cells if cell.n_seeds > 1]
    df = sum(cell.n_seeds - 1 for cell in lending)
    if len(lending) < MIN_DONOR_ARMS or df < MIN_DONOR_DF:
        return None
    variance = sum((cell.n_seeds - 1) * cell.variance for cell in lending) / df
    by_image = [cell.seed_by_image() for cell in lending if cell.replicates is not None]
    return Donors(variance, df, len(lending), float(np.mean(by_image)) if by_image else 0.0)


@dataclass(frozen=True)
class SeedTerm:
    """The share of one cell in the variance of a difference.

    Attributes:
        variance: between seeds, of one run; partly borrowed where there were donors.
        df: its degrees of freedom.
        n_seeds: runs that it is averaged over.
        weight: by which the cell's mean enters the difference (one over the number of blocks).
        own: the variance of the cell's own runs, without what is borrowed; NaN with one.
    """

    variance: float
    df: float
    n_seeds: int
    weight: float
    own: float = math.nan

    @property
    def share(self) -> float:
        """What it adds to the variance of the difference."""
        return self.with_seeds(self.n_seeds)

    def with_seeds(self, n_seeds: int) -> float:
        """Return what it would add with another number of seeds."""
        return self.weight**2 * self.variance / n_seeds


@dataclass(frozen=True)
class Effect:
    """The difference of two arms, treatment minus baseline, in the metric's own unit.

    Attributes:
        difference: of the means.
        variance: of that difference.
        df: degrees of freedom of the variance, fractional.
        image_variance: the part that more seeds do not shrink.
        floor: the variance that images alone give; `variance` is never below.
        terms: the shares of the seeds.
        n_groups: images (or groups of them) that hold an object of the metric.
        block_differences: of each block.
        seeds_unknown: whether a cell has one run and nobody lends: the interval then knows of images only.
        donors: who lent, if anybody did.
        is_by_fold: whether its noise is that of differences between folds, with one seed in each.
        is_paired: whether both arms have the same weights, run by run, so that their seeds' noise is shared.
    """

    difference: float
    variance: float
    df: float
    image_variance: float
    floor: float
    terms: tuple[SeedTerm, ...]
    n_groups: int
    block_differences: tuple[float, ...]
    seeds_unknown: bool = False
    donors: Donors | None = None
    is_by_fold: bool = False
    is_paired: bool = False

    @property
    def fewest_seeds(self) -> int:
        """The smallest number of runs in a cell."""
        return min(term.n_seeds for term in self.terms)

    @property
    def deviation(self) -> float:
        """The standard error of the difference."""
        return math.sqrt(self.variance)

    def half_width(self, alpha: float) -> float:
        """Return half the width of the interval that misses the truth in a share `alpha` of cases."""
        return float(stats.t.ppf(1 - alpha / 2, self.df)) * self.deviation

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return lowest and highest difference that the data agree with."""
        half = self.half_width(alpha)
        return self.difference - half, self.difference + half

    def p_value(self, margin: float = 0.0) -> float:
        """Return the two-sided probability of a difference as far from `margin`, were that the truth."""
        distance = abs(self.difference - margin)
        if self.deviation == 0:
            return 1.0 if distance == 0 else 0.0
        return float(2 * stats.t.sf(distance / self.deviation, self.df))


def effect(treatment: Sequence[Cell], baseline: Sequence[Cell], n_groups: int, donors: Donors | None = None) -> Effect:
    """Return the effect of a treatment: images are paired, seeds are not.

    Args:
        treatment: its runs, block by block.
        baseline: likewise, the same blocks in the same order.
        n_groups: G, images (or groups) that hold at least one object which the metric counts.
        donors: what other arms lend of the seeds' noise.

    Raises:
        ValueError: the blocks do not fit together, or a cell has no run.
    """
    _check_blocks(treatment, baseline)
    cells = [*treatment, *baseline]
    n_blocks = len(treatment)
    pairs = list(zip(treatment, baseline, strict=True))
    differences = tuple(treated.mean - base.mean for treated, base in pairs)
    terms = tuple(_seed_term(cell, 1 / n_blocks, donors) for cell in cells)
    seeds_unknown = any(math.isnan(term.variance) for term in terms)
    by_image = [math.nan if cell.replicates is None else _borrowed_by_image(cell, donors) for cell in cells]
    between = None
    if all(cell.replicates is not None for cell in cells):
        between = np.mean([treated.image_mean() - base.image_mean() for treated, base in pairs], axis=0)
    shared = sum(value / cell.n_seeds for value, cell in zip(by_image, cells, strict=True)) / n_blocks**2
    return _combined(differences, terms, between, shared, n_groups, seeds_unknown, donors)


def paired_effect(treatment: Sequence[Cell], baseline: Sequence[Cell], n_groups: int) -> Effect:
    """Return the effect of what changes evaluation only: run by run, the same weights judged in two ways.

    With d_r the difference of run r: V = max(s_d^2/k + c, v_img), c = max(0, v_img - u_d/k). What a seed adds to both
    sides is in neither.

    Args:
        treatment: runs, block by block.
        baseline: the same runs, in the same order, judged in the other way.
        n_groups: as for `effect`.

    Raises:
        ValueError: the blocks do not fit together, a cell has no run, or the two have not the same runs.
    """
    _check_blocks(treatment, baseline)
    paired = [_differences(*pair) for pair in zip(treatment, baseline, strict=True)]
    n_blocks = len(paired)
    terms = tuple(_seed_term(cell, 1 / n_blocks, None) for cell in paired)
    between = None
    if all(cell.replicates is not None for cell in paired):
        between = np.mean([cell.image_mean() for cell in paired], axis=0)
    by_image = [math.nan if cell.replicates is None else _borrowed_by_image(cell, None) for cell in paired]
    shared = sum(value / cell.n_seeds for value, cell in zip(by_image, paired, strict=True)) / n_blocks**2
    seeds_unknown = any(math.isnan(term.variance) for term in terms)
    found = _combined([cell.mean for cell in paired], terms, between, shared, n_groups, seeds_unknown, None)
    return replace(found, is_paired=True)


def _differences(treatment: Cell, baseline: Cell) -> Cell:
    """Return what each run gains."""
    if treatment.n_seeds != baseline.n_seeds:
        raise ValueError("the two need the same runs")
    replicates = None
    if treatment.replicates is not None and baseline.replicates is not None:
        replicates = treatment.replicates - baseline.replicates
    return Cell(treatment.values - baseline.values, replicates)


def _check_blocks(treatment: Sequence[Cell], baseline: Sequence[Cell]) -> None:
    if len(treatment) != len(baseline) or not treatment or any(c.n_seeds == 0 for c in (*treatment, *baseline)):
        raise ValueError("treatment and baseline need the same blocks, and every cell a run")


def fold_effect(pooled: Effect, differences: Sequence[float]) -> Effect:
    """Return an effect whose noise is told by folds: one seed in each says nothing of seeds, but folds differ.

    The folds' images are their own, and so are their runs: the spread of their differences holds the noise of seeds,
    of images, and of the training images that they do not share.

    Args:
        pooled: the effect on all images together, its seeds unknown.
        differences: of each fold; at least two.
    """
    n_folds = len(differences)
    spread = float(np.var(differences, ddof=1))
    term = SeedTerm(spread, n_folds - 1, n_folds, 1.0)
    return replace(
        pooled,
        variance=max(term.share, pooled.floor),
        df=float(n_folds - 1),
        image_variance=0.0,
        terms=(term,),
        block_differences=tuple(differences),
        seeds_unknown=False,
        is_by_fold=True,
    )


def _combined(
    differences: Sequence[float],
    terms: tuple[SeedTerm, ...],
    between: NDArray[np.float64] | None,
    shared: float,
    n_groups: int,
    seeds_unknown: bool,
    donors: Donors | None,
) -> Effect:
    """Add up the noise of seeds and that of images, without the part that both hold.

    Args:
        differences: of each block.
        terms: the shares of the seeds.
        between: (J,) the difference under each weighting; None where images play no part.
        shared: the seed-by-image part of the images' variance, before the correction for few groups.
        n_groups: G.
        seeds_unknown: whether a term has no variance.
        donors: who lent.
    """
    correction = n_groups / (n_groups - 1) if n_groups > 1 else math.inf
    floor = 0.0 if between is None else correction * float(np.nanvar(between, ddof=1))
    image_variance = 0.0 if between is None else max(0.0, floor - correction * shared)
    shares = [(0.0 if math.isnan(term.variance) else term.share, term.df) for term in terms]
    variance = max(sum(share for share, _ in shares) + image_variance, floor)
    uncertain = sum(share**2 / df for share, df in shares if share > 0)
    if image_variance > 0 or uncertain == 0:
        uncertain += (image_variance or floor) ** 2 / max(n_groups - 1, 1)
    df = variance**2 / uncertain if uncertain > 0 else math.inf
    return Effect(
        difference=float(np.mean(differences)),
        variance=variance,
        df=df,
        image_variance=image_variance,
        floor=floor,
        terms=terms,
        n_groups=n_groups,
        block_differences=tuple(differences),
        seeds_unknown=seeds_unknown,
        donors=donors,
    )


def _seed_term(cell: Cell, weight: float, donors: Donors | None) -> SeedTerm:
    n_seeds, own = cell.n_seeds, cell.variance
    if donors is None:
        return SeedTerm(own, n_seeds - 1, n_seeds, weight, own)
    own_part = (n_seeds - 1) * own if n_seeds > 1 else 0.0
    df = n_seeds - 1 + _BORROWED_DF
    return SeedTerm((_BORROWED_DF * donors.variance + own_part) / df, df, n_seeds, weight, own)


def _borrowed_by_image(cell: Cell, donors: Donors | None) -> float:
    """Return a cell's seed-by-image variance; of one run that of the donors, or nothing, which errs to the wide."""
    if cell.n_seeds > 1:
        return cell.seed_by_image()
    return donors.seed_by_image if donors is not None else 0.0
