"""A hypothesis before it is judged: what every comparison of it measured, and whether it can be judged at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reports.judging.arms import CellKey, CellRuns, by_key
from reports.judging.cell_values import MeasuredCell, measure
from reports.judging.decision import too_few
from reports.judging.effect import Cell, Effect, effect, fold_effect, paired_effect, pool_donors
from reports.judging.fairness import Difference, differences, is_pruned
from reports.judging.folds import FOLD, is_pooled, measure_out_of_fold, without_fold
from reports.judging.same_weights import share_weights
from reports.records import RunRecord
from runners.contract.hypothesis import MIN_IMAGES, MIN_OBJECTS, Comparison, Hypothesis, Question


@dataclass(frozen=True)
class PreparedStep:
    """One comparison of two arms by one metric, before the level is known at which it is judged.

    Attributes:
        comparison: the arms.
        n_seeds: runs of treatment and baseline, the fewest of all blocks.
        effect: None where there is nothing to judge; `problem` says why.
        means: the mean value of treatment and baseline over blocks and seeds, in the metric's unit.
        differences: what else differs between the arms.
        n_objects: objects that the metric counts; None where images play no part.
        n_images: images of the evaluation set; 0 where they play no part.
        problem: why nothing is judged; empty otherwise.
        left_out: runs that could not be read.
    """

    comparison: Comparison
    n_seeds: tuple[int, int]
    effect: Effect | None = None
    means: tuple[float, float] | None = None
    differences: tuple[Difference, ...] = ()
    n_objects: int | None = None
    n_images: int = 0
    problem: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreparedClaim:
    """A claim by one metric: one comparison, or all steps of an order.

    Attributes:
        question: the metric.
        steps: its comparisons.
        is_ordered: whether the claim needs all of them.
    """

    question: Question
    steps: tuple[PreparedStep, ...]
    is_ordered: bool

    @property
    def name(self) -> str:
        """What it is known by within its hypothesis."""
        return name_of_claim(self.question, self.is_ordered, self.steps[0].comparison)


def name_of_claim(question: Question, is_ordered: bool, first: Comparison) -> str:
    """Return what a claim is known by within its hypothesis."""
    return question.metric if is_ordered else f"{question.metric} {first.treatment}"


@dataclass(frozen=True)
class Prepared:
    """A hypothesis with all that its claims are judged by."""

    hypothesis: Hypothesis
    cells: tuple[CellRuns, ...]
    claims: tuple[PreparedClaim, ...]


@dataclass(frozen=True)
class _Known:
    """What all comparisons of a hypothesis share, by one metric or by all.

    Attributes:
        hypothesis: the claim.
        cells: its runs.
        measured: the metric of each cell.
        lent: the metric of other recipes.
        versions: of the programs, by sweep.
        others: all runs that are known.
    """

    hypothesis: Hypothesis
    cells: Mapping[CellKey, CellRuns]
    measured: Mapping[CellKey, MeasuredCell]
    lent: Sequence[Cell]
    versions: Mapping[str, Mapping[str, str]]
    others: Sequence[RunRecord]


def prepare(
    hypothesis: Hypothesis,
    cells: Sequence[CellRuns],
    lenders: Sequence[CellRuns],
    versions: Mapping[str, Mapping[str, str]],
    others: Sequence[RunRecord],
) -> Prepared:
    """Return what the claims of a hypothesis are judged by.

    Args:
        hypothesis: the claim.
        cells: its runs (`reports.judging.arms.find_cells`).
        lenders: runs of other recipes on the same data and schedule.
        versions: of the programs, by sweep.
        others: all runs that are known, by which it is told whether one arm was tuned and the other was not.

    Raises:
        UserError: runs of one cell were evaluated on different images.
    """
    claims: list[tuple[Question, tuple[PreparedStep, ...]]] = []
    for question in hypothesis.questions:
        measured = _measured(hypothesis, question, cells)
        # The noise of single folds is not that of all together.
        lent = [] if is_pooled(hypothesis, question) else [measure(question, cell).cell for cell in lenders]
        known = _Known(hypothesis, by_key(cells), measured, lent, versions, others)
        steps = tuple(_step(known, question, comparison) for comparison in hypothesis.comparisons)
        claims += [(question, steps)] if hypothesis.is_ordered else [(question, (step,)) for step in steps]
    return Prepared(hypothesis, tuple(cells), tuple(PreparedClaim(*claim, hypothesis.is_ordered) for claim in claims))


def _measured(hypothesis: Hypothesis, question: Question, cells: Sequence[CellRuns]) -> dict[CellKey, MeasuredCell]:
    """Return the metric of each place; where folds are pooled, of each place with all its folds."""
    if not is_pooled(hypothesis, question):
        return {cell.key: measure(question, cell) for cell in cells}
    folds: dict[CellKey, list[CellRuns]] = {}
    for cell in cells:
        folds.setdefault(without_fold(hypothesis, cell.key), []).append(cell)
    return {key: measure_out_of_fold(question, key, members) for key, members in folds.items()}


def _step(known: _Known, question: Question, comparison: Comparison) -> PreparedStep:
    cells, measured = known.cells, known.measured
    blocks = list(dict.fromkeys(key.block for key in cells))
    sides = [[CellKey(arm, block) for block in blocks] for arm in (comparison.treatment, comparison.baseline)]
    pools = is_pooled(known.hypothesis, question)
    # Where folds are pooled, these are fewer.
    places = [
        list(dict.fromkeys(without_fold(known.hypothesis, key) for key in side)) if pools else side for side in sides
    ]
    missing = [key for side in sides for key in side if key not in cells or not cells[key].runs]
    missing = missing or [
        key for side in places for key in side if key not in measured or measured[key].cell.n_seeds == 0
    ]
    left_out = tuple(line for side in places for key in side if key in measured for line in measured[key].left_out)
    fewest = tuple(min((len(cells[key].runs) if key in cells else 0) for key in side) for side in sides)
    step = PreparedStep(comparison, (fewest[0], fewest[1]), left_out=left_out)
    if missing:
        names = ", ".join(" ".join((key.arm, *key.block)) for key in missing)
        return replace(step, problem=f"no finished run of {names}")
    if is_pruned([cells[key] for side in sides for key in side]):
        return replace(step, problem="runs were pruned by their numbers: what is left of an arm cannot be judged")
    treated, base = ([measured[key] for key in side] for side in places)
    if any(one.evaluated_on != other.evaluated_on for one, other in zip(treated, base, strict=True)):
        return replace(step, problem="the arms were evaluated on different images")
    found = {
        str(difference): difference
        for one, other in zip(*sides, strict=True)
        for difference in differences(known.hypothesis, cells[one], cells[other], known.versions, known.others)
    }
    # Blocks on the same images (detectors) have these once, folds each their own.
    by_set = {cell.evaluated_on: cell for cell in treated}
    with_images = treated[0].n_objects is not None
    n_objects = sum(cell.n_objects or 0 for cell in by_set.values()) if with_images else None
    n_groups = sum(cell.n_groups for cell in by_set.values())
    own = [cell.cell for key, cell in measured.items() if key.arm not in (comparison.treatment, comparison.baseline)]
    means = tuple(sum(cell.cell.mean for cell in side) / len(side) for side in (treated, base))
    step = replace(
        step,
        means=(means[0], means[1]),
        differences=tuple(found.values()),
        n_objects=n_objects,
        n_images=sum(cell.n_images for cell in by_set.values()),
    )
    if n_objects is not None and too_few(n_objects, n_groups):
        needed = f"at least {MIN_OBJECTS} in {MIN_IMAGES} are needed"
        return replace(step, problem=f"too few objects, {n_objects} in {n_groups} images; {needed}")
    whole = _oriented(question, [cell.cell for cell in treated], [cell.cell for cell in base])
    if _is_paired(known.hypothesis.axis or "", question, sides, (*treated, *base), cells):
        found_effect = paired_effect(*whole, n_groups)
    else:
        found_effect = effect(*whole, n_groups, pool_donors([*own, *known.lent]))
    if pools and found_effect.seeds_unknown:
        found_effect = fold_effect(found_effect, _by_fold(known, question, sides))
    return replace(step, effect=found_effect)


def _is_paired(
    axis: str,
    question: Question,
    sides: Sequence[Sequence[CellKey]],
    measured: Sequence[MeasuredCell],
    cells: Mapping[CellKey, CellRuns],
) -> bool:
    """Whether a metric of two arms is that of the same weights, run by run."""
    # What a run costs is its own, whatever weights it ends with; a run left out would shift those behind it.
    if question.split == "cost" or any(cell.left_out for cell in measured):
        return False
    return all(share_weights(axis, cells[one], cells[other]) for one, other in zip(*sides, strict=True))


def _by_fold(known: _Known, question: Question, sides: Sequence[Sequence[CellKey]]) -> list[float]:
    """Return the difference in each fold, the mean over all other blocks."""
    at = list(known.hypothesis.blocks).index(FOLD)
    found: dict[str, list[float]] = {}
    for one, other in zip(*sides, strict=True):
        means = [measure(question, known.cells[key]).cell.mean for key in (one, other)]
        found.setdefault(one.block[at], []).append(means[0] - means[1])
    return [sum(differences) / len(differences) for differences in found.values()]


def _oriented(question: Question, treated: list[Cell], base: list[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells so that higher is better."""
    if question.higher_is_better:
        return treated, base
    turned = [
        [Cell(-cell.values, None if cell.replicates is None else -cell.replicates) for cell in side]
        for side in (treated, base)
    ]
    return turned[0], turned[1]
