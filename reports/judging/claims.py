"""Several claims at once, claims in several steps, and claims that are looked at more than once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.judging.decision import Verdict, Word, decide
from reports.judging.effect import Effect
from runners.contract.hypothesis import LOOKS

# The share of the error that each of the planned looks may spend.
_SHARES = (0.2, 0.3, 0.5)


def look_alpha(n_seeds: int, alpha: float) -> float:
    """Return the error that a look may spend; the looks' add up to `alpha`, so that the whole stays below it.

    Args:
        n_seeds: seeds in each arm, one of `LOOKS`.
        alpha: of all looks together.

    Raises:
        ValueError: no look is planned there.
    """
    return alpha * _SHARES[LOOKS.index(n_seeds)]


def holm_alphas(p_values: Sequence[float], alpha: float) -> list[float]:
    """Return the level at which each claim of a family is judged (Holm 1979).

    The i-th smallest of q p-values is held against alpha / (q - i + 1), as long as all smaller ones were below theirs;
    from the first that is not, all are held against its level. The interval at that level says the same as the test.

    Args:
        p_values: two-sided, each against its own margin.
        alpha: of the whole family.
    """
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    levels = [0.0] * len(p_values)
    stopped_at: float | None = None
    for rank, number in enumerate(order):
        level = alpha / (len(p_values) - rank)
        levels[number] = level if stopped_at is None else stopped_at
        if stopped_at is None and p_values[number] > level:
            stopped_at = level
    return levels


def judge_family(effects: Sequence[Effect], margins: Sequence[float], alpha: float) -> list[Verdict]:
    """Judge all claims of a family; together they err in at most a share `alpha` of cases.

    Args:
        effects: higher is better.
        margins: smallest effect that matters, of each.
        alpha: of the whole family.
    """
    p_values = [effect.p_value(margin) for effect, margin in zip(effects, margins, strict=True)]
    levels = holm_alphas(p_values, alpha)
    return [decide(*claim) for claim in zip(effects, margins, levels, strict=True)]


@dataclass(frozen=True)
class OrderedVerdict:
    """A claim in steps (A < B < C) judged.

    Attributes:
        word: better if every step is; how it is refuted if a step is; else undecided.
        steps: each step, at the level at which it speaks for the whole.
        p_value: of the claim that every step holds.
    """

    word: Word
    steps: tuple[Verdict, ...]
    p_value: float


def judge_ordered(effects: Sequence[Effect], margin: float, alpha: float) -> OrderedVerdict:
    """Judge an ordered claim: supported if every step is, each at the full level; refuted if one is, corrected by Holm.

    That every one of several statements holds needs no correction (intersection-union test; Berger 1982); that at
    least one fails does.

    Args:
        effects: of each step, higher is better.
        margin: the smallest effect that matters, of each step.
        alpha: of the claim.
    """
    full = tuple(decide(effect, margin, alpha) for effect in effects)
    p_values = [effect.p_value(margin) for effect in effects]
    if all(verdict.word.is_supported for verdict in full):
        return OrderedVerdict(Word.BETTER, full, max(p_values))
    corrected = tuple(judge_family(effects, [margin] * len(effects), alpha))
    refuted = [verdict for verdict in corrected if verdict.word.is_refuted]
    if not refuted:
        return OrderedVerdict(Word.UNDECIDED, full, max(p_values))
    worst = min(refuted, key=lambda verdict: verdict.effect.difference)
    return OrderedVerdict(worst.word, corrected, math.nan)
