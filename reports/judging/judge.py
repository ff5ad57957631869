"""A hypothesis judged: every claim of it a verdict, with what else differs and with what would decide it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reports.judging.arms import CellRuns
from reports.judging.claims import OrderedVerdict, holm_alphas, judge_ordered, look_alpha
from reports.judging.decision import Outlook, Verdict, Word, decide, outlook
from reports.judging.fairness import Difference
from reports.judging.preparing import Prepared, PreparedClaim, PreparedStep, name_of_claim, prepare
from reports.records import RunRecord
from runners.contract.hypothesis import LOOKS, Comparison, Hypothesis, Question


@dataclass(frozen=True)
class JudgedStep:
    """One comparison of two arms by one metric.

    Attributes:
        question: the metric.
        comparison: the arms.
        verdict: None where there is nothing to judge; `problem` says why.
        n_seeds: runs of treatment and baseline, the fewest of all blocks.
        means: the mean value of treatment and baseline over blocks and seeds, in the metric's unit.
        outlook: what would decide it, of an undecided one.
        differences: what else differs between the arms.
        n_objects: objects that the metric counts; None where images play no part.
        n_images: images of the evaluation set; 0 where they play no part.
        problem: why nothing is judged; empty otherwise.
        left_out: runs that could not be read.
    """

    question: Question
    comparison: Comparison
    verdict: Verdict | None
    n_seeds: tuple[int, int]
    means: tuple[float, float] | None = None
    outlook: Outlook | None = None
    differences: tuple[Difference, ...] = ()
    n_objects: int | None = None
    n_images: int = 0
    problem: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def word(self) -> Word | None:
        """The decision."""
        return None if self.verdict is None else self.verdict.word


@dataclass(frozen=True)
class JudgedClaim:
    """A claim by one metric: one comparison, or the steps of an order.

    Attributes:
        question: the metric.
        word: of the whole claim; None where a step could not be judged.
        steps: its comparisons.
        is_ordered: whether the claim needs all of them.
        look: seeds in each arm at the planned look that decided it; None where none did.
        looked_at: seeds at the last planned look that was taken at it; None without such.
    """

    question: Question
    word: Word | None
    steps: tuple[JudgedStep, ...]
    is_ordered: bool
    look: int | None = None
    looked_at: int | None = None

    @property
    def name(self) -> str:
        """What it is known by within its hypothesis."""
        return name_of_claim(self.question, self.is_ordered, self.steps[0].comparison)


@dataclass(frozen=True)
class JudgedHypothesis:
    """A hypothesis and its verdicts.

    Attributes:
        hypothesis: the claim in words, and how it is judged.
        claims: by metric and, of one against a baseline, by treatment.
        cells: the runs that were looked at.
    """

    hypothesis: Hypothesis
    claims: tuple[JudgedClaim, ...]
    cells: tuple[CellRuns, ...]


def judge(
    hypothesis: Hypothesis,
    cells: Sequence[CellRuns],
    lenders: Sequence[CellRuns] = (),
    versions: Mapping[str, Mapping[str, str]] | None = None,
    others: Sequence[RunRecord] = (),
) -> JudgedHypothesis:
    """Judge all claims of a hypothesis together: they err in at most a share `alpha` of cases.

    Args:
        hypothesis: the claim.
        cells: its runs (`reports.judging.arms.find_cells`).
        lenders: runs of other recipes on the same data and schedule.
        versions: of the programs, by sweep.
        others: all runs that are known, by which it is told whether one arm was tuned and the other was not.
    """
    (judged,) = judge_family([prepare(hypothesis, cells, lenders, versions or {}, others)])
    return judged


def judge_family(family: Sequence[Prepared]) -> list[JudgedHypothesis]:
    """Judge all claims of several hypotheses together, which were declared beforehand.

    Together they err in at most a share of cases that is the smallest `alpha` of them.
    """
    if not family:
        return []
    alpha = min(_alpha_now(prepared) for prepared in family)
    claims = [(prepared.hypothesis, claim) for prepared in family for claim in prepared.claims]
    judged = judge_claims(claims, alpha)
    found = []
    for prepared in family:
        own, judged = judged[: len(prepared.claims)], judged[len(prepared.claims) :]
        found.append(JudgedHypothesis(prepared.hypothesis, tuple(own), tuple(prepared.cells)))
    return found


def judge_claims(claims: Sequence[tuple[Hypothesis, PreparedClaim]], alpha: float) -> list[JudgedClaim]:
    """Judge claims that err together in at most a share `alpha` of cases (Holm); the rest of a family is rejected."""
    levels = holm_alphas([_p_value(claim) for _, claim in claims], alpha)
    return [_judged_claim(*claim, level) for claim, level in zip(claims, levels, strict=True)]


def _p_value(claim: PreparedClaim) -> float:
    """Return the p-value of a claim, 1 if it cannot be judged; one in steps is as sure as its weakest."""
    return max(1.0 if step.effect is None else step.effect.p_value(claim.question.margin) for step in claim.steps)


def _alpha_now(prepared: Prepared) -> float:
    """Return the error that a hypothesis' claims may make together at this look."""
    hypothesis = prepared.hypothesis
    if not hypothesis.until_decided:
        return hypothesis.alpha
    effects = [step.effect for claim in prepared.claims for step in claim.steps]
    n_seeds = min((found.fewest_seeds for found in effects if found is not None), default=0)
    # Between two looks nothing is decided: the last one that was planned counts.
    reached = [look for look in LOOKS if look <= n_seeds]
    return look_alpha(reached[-1] if reached else LOOKS[0], hypothesis.alpha)


def _judged_claim(hypothesis: Hypothesis, claim: PreparedClaim, level: float) -> JudgedClaim:
    margin = claim.question.margin
    effects = [step.effect for step in claim.steps if step.effect is not None]
    if len(effects) < len(claim.steps):
        verdicts = [None if step.effect is None else decide(step.effect, margin, level) for step in claim.steps]
        word = None
    elif hypothesis.is_ordered:
        ordered: OrderedVerdict = judge_ordered(effects, margin, level)
        verdicts, word = list(ordered.steps), ordered.word
    else:
        verdicts = [decide(effects[0], margin, level)]
        word = verdicts[0].word if verdicts[0] is not None else None
    steps = tuple(
        _judged_step(claim.question, step, verdict) for step, verdict in zip(claim.steps, verdicts, strict=True)
    )
    if word is not None and word.is_decided and any(_is_confounded(step) for step in steps):
        word = Word.UNDECIDED
    return JudgedClaim(claim.question, word, steps, hypothesis.is_ordered)


def _judged_step(question: Question, step: PreparedStep, verdict: Verdict | None) -> JudgedStep:
    judged = JudgedStep(
        question=question,
        comparison=step.comparison,
        verdict=verdict,
        n_seeds=step.n_seeds,
        means=step.means,
        differences=step.differences,
        n_objects=step.n_objects,
        n_images=step.n_images,
        problem=step.problem,
        left_out=step.left_out,
    )
    if verdict is None:
        return judged
    if _is_confounded(judged) and verdict.word.is_decided:
        told = ", ".join(difference.key for difference in judged.differences if not difference.accepted)
        lean = 1 if verdict.effect.difference > verdict.margin else -1
        verdict = replace(verdict, word=Word.UNDECIDED, lean=lean, reason=f"not only the axis differs: {told}")
        return replace(judged, verdict=verdict)
    if verdict.word is Word.UNDECIDED:
        wanted = outlook(verdict.effect, verdict.margin, verdict.alpha, max(step.n_images, 1))
        return replace(judged, outlook=wanted)
    return judged


def _is_confounded(step: JudgedStep) -> bool:
    return any(not difference.accepted for difference in step.differences)
