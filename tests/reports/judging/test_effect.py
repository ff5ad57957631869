"""The interval of an effect, held against its own identities and hand-computed cases."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.judging.effect import Cell, Donors, effect, paired_effect, pool_donors

J = 400


def cell(seed: int, n_seeds: int, mean: float, image_sd: float = 0.02, own_sd: float = 0.01) -> Cell:
    """Return runs with image noise that they share and image noise of their own."""
    draw = np.random.default_rng(seed)
    shared = draw.normal(0, image_sd, J)
    values = mean + draw.normal(0, own_sd, n_seeds)
    return Cell(values, values[:, None] + shared + draw.normal(0, own_sd, (n_seeds, J)))


def test_without_images_it_is_welchs_interval() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.normal(0.5, 0.02, 5), draw.normal(0.4, 0.05, 3)
    found = effect([Cell(first)], [Cell(second)], n_groups=50)
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert found.p_value() == pytest.approx(welch.pvalue)
    assert found.df == pytest.approx(welch.df)
    assert found.interval(0.05) == pytest.approx(tuple(welch.confidence_interval(0.95)))


def test_the_image_noise_is_what_different_runs_have_in_common() -> None:
    treated, base, n_groups = cell(1, 4, 0.5), cell(2, 3, 0.45), 40
    found = effect([treated], [base], n_groups)
    a, b = treated.replicates, base.replicates
    assert a is not None
    assert b is not None

    def mean_covariance(one: np.ndarray, other: np.ndarray, same: bool) -> float:
        pairs = [(i, j) for i in range(len(one)) for j in range(len(other)) if not same or i != j]
        return float(np.mean([np.cov(one[i], other[j])[0, 1] for i, j in pairs]))

    between = mean_covariance(a, a, True) + mean_covariance(b, b, True) - 2 * mean_covariance(a, b, False)
    assert found.image_variance == pytest.approx(n_groups / (n_groups - 1) * between)


def test_the_interval_is_never_narrower_than_that_of_images_alone() -> None:
    # Seeds that by chance agree on the whole set, and not under any weighting of it.
    draw = np.random.default_rng(3)
    agreeing = [Cell(np.full(3, mean), mean + draw.normal(0, 0.03, (3, J))) for mean in (0.5, 0.4)]
    found = effect([agreeing[0]], [agreeing[1]], n_groups=30)
    images = 30 / 29 * np.var(agreeing[0].image_mean() - agreeing[1].image_mean(), ddof=1)
    assert found.variance == pytest.approx(images)
    assert found.variance == found.floor


def test_blocks_are_averaged_and_each_is_shown() -> None:
    blocks = [(cell(10 + n, 3, 0.5 + 0.1 * n), cell(20 + n, 3, 0.4)) for n in range(2)]
    found = effect([pair[0] for pair in blocks], [pair[1] for pair in blocks], n_groups=60)
    alone = [effect([treated], [base], 60) for treated, base in blocks]
    assert found.block_differences == tuple(one.difference for one in alone)
    assert found.difference == pytest.approx(np.mean(found.block_differences))
    seeds = sum(term.share for one in alone for term in one.terms) / 4
    assert sum(term.share for term in found.terms) == pytest.approx(seeds)


def test_what_donors_lend_counts_as_two_degrees_of_freedom() -> None:
    own = np.array([0.50, 0.52, 0.51])
    donors = Donors(variance=0.03**2, df=8, n_arms=4)
    found = effect([Cell(own)], [Cell(own - 0.1)], n_groups=50, donors=donors)
    borrowed = (2 * 0.03**2 + 2 * own.var(ddof=1)) / 4
    assert found.terms[0].variance == pytest.approx(borrowed)
    assert found.terms[0].df == 4
    alone = effect([Cell(own[:1])], [Cell(own[:1] - 0.1)], n_groups=50, donors=donors)
    assert (alone.terms[0].variance, alone.terms[0].df) == (pytest.approx(0.03**2), 2)
    assert not alone.seeds_unknown


def test_one_run_without_donors_leaves_the_seeds_unknown() -> None:
    found = effect([cell(1, 1, 0.5)], [cell(2, 3, 0.4)], n_groups=50)
    assert found.seeds_unknown
    assert found.variance >= found.floor > 0


def test_three_arms_lend_and_two_do_not() -> None:
    lending = [cell(number, 3, 0.5) for number in range(3)]
    pooled = pool_donors(lending)
    assert pooled is not None
    assert (pooled.n_arms, pooled.df) == (3, 6)
    assert pooled.variance == pytest.approx(np.mean([one.variance for one in lending]))
    assert pool_donors(lending[:2]) is None
    assert pool_donors([cell(number, 2, 0.5) for number in range(5)]) is None


def test_an_axis_of_evaluation_alone_is_judged_run_by_run() -> None:
    base = cell(5, 4, 0.5, own_sd=0.05)
    assert base.replicates is not None
    better = Cell(base.values + 0.01, base.replicates + 0.01)
    paired, unpaired = paired_effect([better], [base], 40), effect([better], [base], 40)
    assert paired.is_paired
    assert not unpaired.is_paired
    assert paired.difference == pytest.approx(0.01)
    assert paired.deviation < 1e-9 < unpaired.deviation
    assert paired.p_value() < 1e-6


def test_paired_noise_is_that_of_the_differences() -> None:
    one, other = cell(5, 4, 0.5, own_sd=0.05), cell(6, 4, 0.48)
    assert one.replicates is not None
    assert other.replicates is not None
    gains = one.values - other.values
    by_image = one.replicates - other.replicates
    found = paired_effect([one], [other], 40)
    floor = 40 / 39 * by_image.mean(axis=0).var(ddof=1)
    own = 40 / 39 * (by_image - by_image.mean(axis=0)).var(axis=1, ddof=1).sum() / 3
    assert found.floor == pytest.approx(floor)
    assert found.image_variance == pytest.approx(max(0.0, floor - own / 4))
    assert found.variance == pytest.approx(max(gains.var(ddof=1) / 4 + found.image_variance, floor))
    # Of two blocks alike the mean is as sure as of one with twice the runs, as far as seeds go.
    twice = paired_effect([one, one], [other, other], 40)
    assert twice.terms[0].share == pytest.approx(found.terms[0].share / 4)
    assert twice.difference == pytest.approx(found.difference)
    with pytest.raises(ValueError, match="the same runs"):
        paired_effect([one], [cell(6, 3, 0.48)], 40)


def test_weightings_without_an_object_are_left_out() -> None:
    treated, base = cell(1, 3, 0.5), cell(2, 3, 0.4)
    assert treated.replicates is not None
    treated.replicates[:, :7] = math.nan
    assert math.isfinite(effect([treated], [base], 30).variance)


def test_arms_of_different_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="same blocks"):
        effect([cell(1, 3, 0.5)], [], 30)
