"""From an effect and what matters to a word: better, worse, no relevant difference, not better, or undecided."""

import math
from dataclasses import dataclass
from enum import Enum

from scipy import stats

from reports.judging.effect import Effect
from runners.contract.hypothesis import MIN_IMAGES, MIN_OBJECTS

# Each arm needs so many seeds, or as few as one if others lend their noise.
MIN_SEEDS = 3
FEW_OBJECTS = 50
# More seeds than this are not recommended: what is undecided then is decided by other images, or not at all.
MOST_SEEDS = 8
# The chance of a decision that is worth the seeds.
POWER = 0.8
# The deviation of normal noise that 95 % stay within.
_NORMAL_95 = 1.96


class Word(str, Enum):
    """What is said of a claim that the treatment is better by at least what matters."""

    BETTER = "better"
    NOT_BETTER = "not better"
    NO_RELEVANT_DIFFERENCE = "no relevant difference"
    WORSE = "worse"
    UNDECIDED = "undecided"

    @property
    def is_supported(self) -> bool:
        """Whether the claim holds."""
        return self is Word.BETTER

    @property
    def is_refuted(self) -> bool:
        """Whether the claim does not hold."""
        return self in (Word.NOT_BETTER, Word.NO_RELEVANT_DIFFERENCE, Word.WORSE)

    @property
    def is_decided(self) -> bool:
        """Whether it is one or the other."""
        return self.is_supported or self.is_refuted


@dataclass(frozen=True)
class Verdict:
    """An effect judged.

    Attributes:
        word: the decision.
        lean: of an undecided claim: whether the difference is above what matters (1), below (-1), or there is none (0).
        effect: higher is better; of a metric where lower is better, turned round.
        interval: at `alpha`.
        alpha: the share of cases in which the interval misses the truth.
        margin: the smallest effect that matters, in the metric's unit.
        reason: why it could not be decided, where that is not the width of the interval.
    """

    word: Word
    lean: int
    effect: Effect
    interval: tuple[float, float]
    alpha: float
    margin: float
    reason: str = ""


def decide(effect: Effect, margin: float, alpha: float) -> Verdict:
    """Judge the claim that the treatment is better by at least `margin`.

    Args:
        effect: higher is better.
        margin: the smallest effect that matters, at least 0, in the metric's unit.
        alpha: the share of cases in which the interval may miss the truth.
    """
    low, high = effect.interval(alpha)
    lean = (effect.difference > margin) - (effect.difference < margin)
    reason = _too_little(effect)
    if reason:
        word = Word.UNDECIDED
    elif low > margin:
        word = Word.BETTER
    elif high < margin:
        word = _how_refuted(low, high, margin)
    else:
        word = Word.UNDECIDED
    return Verdict(word, 0 if word is not Word.UNDECIDED else lean, effect, (low, high), alpha, margin, reason)


def too_few(n_objects: int, n_groups: int) -> bool:
    """Whether there are so few objects, or images (groups) with one, that a number is shown and not judged."""
    return n_objects < MIN_OBJECTS or n_groups < MIN_IMAGES


def _how_refuted(low: float, high: float, margin: float) -> Word:
    if high < -margin:
        return Word.WORSE
    return Word.NO_RELEVANT_DIFFERENCE if low > -margin else Word.NOT_BETTER


def _too_little(effect: Effect) -> str:
    if effect.seeds_unknown:
        return "one run of an arm says nothing about its seeds"
    if effect.donors is None and effect.fewest_seeds < MIN_SEEDS:
        return f"{effect.fewest_seeds} seeds; {MIN_SEEDS} in each arm are needed"
    return ""


@dataclass(frozen=True)
class Outlook:
    """What would decide an undecided claim.

    Attributes:
        n_seeds: seeds in each arm with which a decision is likely; None if no number up to 8 does.
        image_noise: half the width of the 95 % interval that would be left with endless seeds.
        n_images: of an evaluation set large enough to decide; None where seeds do, or nothing does.
    """

    n_seeds: int | None
    image_noise: float
    n_images: int | None


def outlook(effect: Effect, margin: float, alpha: float, n_images: int) -> Outlook:
    """Return what would decide a claim, if the truth is what was found so far.

    Args:
        effect: as for `decide`.
        margin: as for `decide`.
        alpha: as for `decide`.
        n_images: of the evaluation set.
    """
    image_noise = _NORMAL_95 * math.sqrt(effect.image_variance)
    if effect.is_by_fold:
        # Folds are no seeds: what more of these would do cannot be told from one in each.
        return Outlook(None, image_noise, None)
    if not effect.seeds_unknown:
        for n_seeds in range(max(MIN_SEEDS, effect.fewest_seeds + 1), MOST_SEEDS + 1):
            if max(_chances(effect, margin, alpha, n_seeds)) >= POWER:
                return Outlook(n_seeds, image_noise, None)
    distance = abs(effect.difference - margin)
    needed = None
    if distance > 0 and image_noise > distance:
        needed = math.ceil(n_images * (image_noise / distance) ** 2)
    return Outlook(None, image_noise, needed)


def _chances(effect: Effect, margin: float, alpha: float, n_seeds: int) -> tuple[float, float]:
    """Return the probabilities that so many seeds in each arm will show the claim, and that they will refute it."""
    variance, df = variance_with(effect, n_seeds)
    left = effect.variance - variance
    t = float(stats.t.ppf(1 - alpha / 2, df))
    up, down = (
        effect.difference - margin - t * math.sqrt(variance),
        margin - effect.difference - t * math.sqrt(variance),
    )
    if left <= 0:
        return float(up > 0), float(down > 0)
    return float(stats.norm.cdf(up / math.sqrt(left))), float(stats.norm.cdf(down / math.sqrt(left)))


def variance_with(effect: Effect, n_seeds: int) -> tuple[float, float]:
    """Return the variance that a difference would have with so many seeds in each cell, and its degrees of freedom."""
    shares = [term.with_seeds(n_seeds) for term in effect.terms]
    variance = sum(shares) + effect.image_variance
    # What is borrowed stays; each further seed adds a degree of freedom.
    dfs = [term.df + n_seeds - term.n_seeds for term in effect.terms]
    uncertain = sum(share**2 / df for share, df in zip(shares, dfs, strict=True) if share > 0)
    if effect.image_variance > 0:
        uncertain += effect.image_variance**2 / max(effect.n_groups - 1, 1)
    return variance, variance**2 / uncertain if uncertain > 0 else math.inf


def detectable(effect: Effect, n_seeds: int, alpha: float) -> float:
    """Return the true difference that so many seeds in each arm would show in four cases of five."""
    variance, df = variance_with(effect, n_seeds)
    return float(stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(POWER, df)) * math.sqrt(variance)
