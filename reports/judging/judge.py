"""A hypothesis judged: every claim of it a verdict, with what else differs and with what would decide it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reports.judging.arms import CellKey, CellRuns, by_key
from reports.judging.cell_values import MeasuredCell, measure
from reports.judging.claims import LOOKS, OrderedVerdict, holm_alphas, judge_ordered, look_alpha
from reports.judging.decision import Outlook, Verdict, Word, decide, outlook, too_few
from reports.judging.effect import Cell, Effect, effect, pool_donors
from reports.judging.fairness import Difference, differences, is_pruned
from runners.contract.hypothesis import Comparison, Hypothesis, Question


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
    """

    question: Question
    word: Word | None
    steps: tuple[JudgedStep, ...]
    is_ordered: bool


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


@dataclass(frozen=True)
class _Prepared:
    """A comparison before the level is known at which it is judged."""

    step: JudgedStep
    effect: Effect | None = None


def judge(
    hypothesis: Hypothesis,
    cells: Sequence[CellRuns],
    lenders: Sequence[CellRuns] = (),
    versions: Mapping[str, Mapping[str, str]] | None = None,
) -> JudgedHypothesis:
    """Judge all claims of a hypothesis together: they err in at most a share `alpha` of cases.

    Args:
        hypothesis: the claim.
        cells: its runs (`reports.judging.arms.find_cells`).
        lenders: runs of other recipes on the same data and schedule.
        versions: of the programs, by sweep.
    """
    claims: list[tuple[Question, list[_Prepared]]] = []
    for question in hypothesis.questions:
        measured = {cell.key: measure(question, cell) for cell in cells}
        lent = [measure(question, cell).cell for cell in lenders]
        prepared = [
            _prepare(hypothesis, question, comparison, by_key(cells), measured, lent, versions or {})
            for comparison in hypothesis.comparisons
        ]
        claims += [(question, prepared)] if hypothesis.is_ordered else [(question, [step]) for step in prepared]
    levels = _levels(hypothesis, claims)
    judged = [
        _judged_claim(hypothesis, question, steps, level)
        for (question, steps), level in zip(claims, levels, strict=True)
    ]
    return JudgedHypothesis(hypothesis, tuple(judged), tuple(cells))


def _prepare(
    hypothesis: Hypothesis,
    question: Question,
    comparison: Comparison,
    cells: Mapping[CellKey, CellRuns],
    measured: Mapping[CellKey, MeasuredCell],
    lent: Sequence[Cell],
    versions: Mapping[str, Mapping[str, str]],
) -> _Prepared:
    blocks = list(dict.fromkeys(key.block for key in cells))
    sides = [[CellKey(arm, block) for block in blocks] for arm in (comparison.treatment, comparison.baseline)]
    missing = [key for side in sides for key in side if key not in measured or measured[key].cell.n_seeds == 0]
    left_out = tuple(line for side in sides for key in side if key in measured for line in measured[key].left_out)
    fewest = tuple(min((len(cells[key].runs) if key in cells else 0) for key in side) for side in sides)
    step = JudgedStep(question, comparison, None, (fewest[0], fewest[1]), left_out=left_out)
    if missing:
        names = ", ".join(" ".join((key.arm, *key.block)) for key in missing)
        return _Prepared(replace(step, problem=f"no finished run of {names}"))
    if is_pruned([cells[key] for side in sides for key in side]):
        problem = "runs were pruned by their numbers: what is left of an arm cannot be judged"
        return _Prepared(replace(step, problem=problem))
    treated, base = ([measured[key] for key in side] for side in sides)
    for one, other in zip(treated, base, strict=True):
        if one.evaluated_on != other.evaluated_on:
            return _Prepared(replace(step, problem="the arms were evaluated on different images"))
    found = {
        str(difference): difference
        for one, other in zip(*sides, strict=True)
        for difference in differences(hypothesis, cells[one], cells[other], versions)
    }
    # Blocks on the same images (detectors) have these once, folds each their own.
    by_set = {cell.evaluated_on: cell for cell in treated}
    with_images = treated[0].n_objects is not None
    n_objects = sum(cell.n_objects or 0 for cell in by_set.values()) if with_images else None
    n_groups = sum(cell.n_groups for cell in by_set.values())
    own = [cell.cell for key, cell in measured.items() if key.arm not in (comparison.treatment, comparison.baseline)]
    donors = pool_donors([*own, *lent])
    whole = _oriented(question, [cell.cell for cell in treated], [cell.cell for cell in base])
    means = tuple(sum(cell.cell.mean for cell in side) / len(side) for side in (treated, base))
    step = replace(
        step,
        means=(means[0], means[1]),
        differences=tuple(found.values()),
        n_objects=n_objects,
        n_images=sum(cell.n_images for cell in by_set.values()),
    )
    if n_objects is not None and too_few(n_objects, n_groups):
        told = f"{n_objects} objects in {n_groups} images; 20 in 12 are needed to judge"
        return _Prepared(replace(step, problem=told))
    return _Prepared(step, effect(*whole, n_groups, donors))


def _oriented(question: Question, treated: list[Cell], base: list[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells so that higher is better."""
    if question.higher_is_better:
        return treated, base
    turned = [
        [Cell(-cell.values, None if cell.replicates is None else -cell.replicates) for cell in side]
        for side in (treated, base)
    ]
    return turned[0], turned[1]


def _levels(hypothesis: Hypothesis, claims: Sequence[tuple[Question, Sequence[_Prepared]]]) -> list[float]:
    """Return the level of each claim: Holm over all that can be judged; a claim in steps is as sure as its weakest."""
    effects = [[step.effect for step in steps] for _, steps in claims]
    p_values = [
        max((found.p_value(question.margin) if found is not None else 1.0) for found in of_claim)
        for (question, _), of_claim in zip(claims, effects, strict=True)
    ]
    alpha = hypothesis.alpha
    if hypothesis.until_decided:
        n_seeds = min(
            (found.fewest_seeds for of_claim in effects for found in of_claim if found is not None), default=0
        )
        # Between two looks nothing is decided: the last one that was planned counts.
        reached = [look for look in LOOKS if look <= n_seeds]
        alpha = look_alpha(reached[-1] if reached else LOOKS[0], alpha)
    return holm_alphas(p_values, alpha)


def _judged_claim(
    hypothesis: Hypothesis, question: Question, prepared: Sequence[_Prepared], level: float
) -> JudgedClaim:
    effects = [step.effect for step in prepared if step.effect is not None]
    if len(effects) < len(prepared):
        verdicts = [None if step.effect is None else decide(step.effect, question.margin, level) for step in prepared]
        word = None
    elif hypothesis.is_ordered:
        ordered: OrderedVerdict = judge_ordered(effects, question.margin, level)
        verdicts, word = list(ordered.steps), ordered.word
    else:
        verdicts = [decide(effects[0], question.margin, level)]
        word = verdicts[0].word if verdicts[0] is not None else None
    steps = tuple(_judged_step(step.step, verdict) for step, verdict in zip(prepared, verdicts, strict=True))
    if word is not None and any(_is_confounded(step) for step in steps) and word.is_decided:
        word = Word.UNDECIDED
    return JudgedClaim(question, word, steps, hypothesis.is_ordered)


def _judged_step(step: JudgedStep, verdict: Verdict | None) -> JudgedStep:
    if verdict is None:
        return step
    judged = replace(step, verdict=verdict)
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
