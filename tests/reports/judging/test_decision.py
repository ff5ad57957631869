"""The words: which interval says what, what would decide, families, steps and looks."""

import math

import numpy as np
import pytest

from reports.judging.claims import holm_alphas, judge_family, judge_ordered, look_alpha
from reports.judging.decision import POWER, Word, decide, detectable, outlook, too_few
from reports.judging.effect import Cell, Effect, SeedTerm, effect


def made(
    difference: float, deviation: float, *, n_seeds: int = 5, image_share: float = 0.0, df: float = math.inf
) -> Effect:
    """Return an effect of a known standard error."""
    variance = deviation**2
    seeds = variance * (1 - image_share)
    terms = tuple(SeedTerm(seeds * n_seeds / 2, n_seeds - 1, n_seeds, 1.0) for _ in range(2))
    return Effect(difference, variance, df, variance * image_share, variance * image_share, terms, 100, (difference,))


@pytest.mark.parametrize(
    ("difference", "word", "lean"),
    [
        (0.05, Word.BETTER, 0),
        (0.0, Word.NO_RELEVANT_DIFFERENCE, 0),
        (-0.05, Word.WORSE, 0),
        (-0.015, Word.NOT_BETTER, 0),
        (0.015, Word.UNDECIDED, 1),
        (0.005, Word.UNDECIDED, -1),
    ],
)
def test_each_place_of_the_interval_has_its_word(difference: float, word: Word, lean: int) -> None:
    verdict = decide(made(difference, 0.004), margin=0.01, alpha=0.05)
    assert (verdict.word, verdict.lean) == (word, lean)


def test_without_a_margin_a_useless_change_stays_undecided() -> None:
    assert decide(made(0.0001, 0.004), margin=0.0, alpha=0.05).word is Word.UNDECIDED


def test_two_seeds_lean_at_most() -> None:
    verdict = decide(made(0.3, 0.004, n_seeds=2), margin=0.01, alpha=0.05)
    assert (verdict.word, verdict.lean) == (Word.UNDECIDED, 1)
    assert "2 seeds" in verdict.reason
    one = effect([Cell(np.array([0.5]))], [Cell(np.array([0.4]))], 50)
    assert "one run" in decide(one, 0.01, 0.05).reason


@pytest.mark.parametrize(("n_objects", "n_groups", "expected"), [(19, 30, True), (20, 11, True), (20, 12, False)])
def test_few_objects_are_not_judged(n_objects: int, n_groups: int, expected: bool) -> None:
    assert too_few(n_objects, n_groups) is expected


def test_seeds_are_recommended_where_they_help() -> None:
    undecided = made(0.036, 0.012, n_seeds=3, df=4)
    assert decide(undecided, 0.01, 0.05).word is Word.UNDECIDED
    found = outlook(undecided, 0.01, 0.05, n_images=200)
    assert found.n_seeds is not None
    assert 3 < found.n_seeds <= 8


def test_images_are_recommended_where_seeds_do_not_help() -> None:
    stuck = made(0.02, 0.02, image_share=0.98)
    found = outlook(stuck, 0.01, 0.05, n_images=100)
    assert found.n_seeds is None
    assert found.image_noise == pytest.approx(1.96 * 0.02 * math.sqrt(0.98))
    assert found.n_images == math.ceil(100 * (found.image_noise / 0.01) ** 2)


def test_what_is_detectable_is_found_four_times_in_five() -> None:
    draw = np.random.default_rng(0)
    deviation, n_seeds = 0.01, 6
    planned = effect(
        *([[Cell(side)] for side in (np.array([0.5 - deviation, 0.5, 0.5 + deviation]),) * 2]), n_groups=100
    )
    true = detectable(planned, n_seeds, 0.05)
    samples = draw.normal(0, deviation, (4000, 2, n_seeds)) + np.array([true, 0.0])[None, :, None]
    found = sum(effect([Cell(a)], [Cell(b)], 100).interval(0.05)[0] > 0 for a, b in samples) / len(samples)
    assert found == pytest.approx(POWER, abs=0.03)


def test_holm_stops_at_the_first_that_fails() -> None:
    assert holm_alphas([0.01, 0.04, 0.03], 0.05) == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2])
    assert holm_alphas([0.001, 0.002, 0.04], 0.05) == pytest.approx([0.05 / 3, 0.05 / 2, 0.05])
    assert holm_alphas([], 0.05) == []


def test_a_family_needs_more_than_each_claim_alone() -> None:
    claims = [made(0.0313, 0.01), made(0.032, 0.01), made(0.0, 0.01)]
    assert decide(claims[0], 0.01, 0.05).word is Word.BETTER
    words = [verdict.word for verdict in judge_family(claims, [0.01] * 3, 0.05)]
    assert words == [Word.UNDECIDED] * 3


def test_an_ordered_claim_needs_every_step_and_falls_with_one() -> None:
    good, bad, open_ = made(0.05, 0.01), made(-0.05, 0.01), made(0.02, 0.01)
    assert judge_ordered([good, good], 0.01, 0.05).word is Word.BETTER
    assert judge_ordered([good, open_], 0.01, 0.05).word is Word.UNDECIDED
    refuted = judge_ordered([good, bad], 0.01, 0.05)
    assert refuted.word is Word.WORSE
    assert [step.alpha for step in refuted.steps] == pytest.approx([0.05, 0.025])


def test_looks_spend_the_error_once() -> None:
    assert [look_alpha(n_seeds, 0.05) for n_seeds in (3, 5, 8)] == pytest.approx([0.01, 0.015, 0.025])
    with pytest.raises(ValueError, match="not in tuple"):
        look_alpha(4, 0.05)
