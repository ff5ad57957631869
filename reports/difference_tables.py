"""Tables of what differs between the arms of a hypothesis: error types and confused classes, with intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.diagnosed_runs import DiagnosedArm, DiagnosedRuns, diagnosed_arm
from reports.diagnosis.confusion import PairDifference, compare_confusions
from reports.diagnosis.findings import ErrorType
from reports.diagnosis.tide import cost_effects
from reports.judging.arms import CellRuns, by_key
from reports.judging.effect import Effect
from reports.same_recipe import Arm
from reports.table import Cell, Column, Row, Table, Tone, ap_cell, number_cell, text_cell
from reports.verdicts import SweepVerdicts

ERROR_DIFFERENCES, CONFUSION_DIFFERENCES = "error-differences", "confusion-differences"
N_PAIRS = 8
_WHOLE_POINTS, _OBJECTS = 100, 1
_NOT_CORRECTED = (
    "Intervals hold the noise of seeds and of images, each for itself: among many rows one or two will seem to differ"
    " by chance. They look for reasons; verdicts are above."
)


@dataclass(frozen=True)
class ComparedArms:
    """Two arms of a hypothesis in one block.

    Attributes:
        name: ``adamw over sgd``, the block behind it.
        treatment: the arm that is said to be better.
        baseline: the other, on the same images.
        alpha: the share of cases in which an interval may miss the truth.
    """

    name: str
    treatment: DiagnosedArm
    baseline: DiagnosedArm
    alpha: float


def compared_arms(verdicts: Sequence[SweepVerdicts], diagnosed: DiagnosedRuns) -> list[ComparedArms]:
    """Return all comparisons of which runs of both arms could be looked at, on the same images."""
    return [one for found in verdicts if found.judged is not None for one in _compared(found, diagnosed)]


def _compared(verdicts: SweepVerdicts, diagnosed: DiagnosedRuns) -> Iterator[ComparedArms]:
    assert verdicts.judged is not None
    hypothesis, cells = verdicts.judged.hypothesis, by_key(verdicts.judged.cells)
    for comparison in hypothesis.comparisons:
        for block in dict.fromkeys(key.block for key in cells):
            sides = [
                cell
                for arm in (comparison.treatment, comparison.baseline)
                for key, cell in cells.items()
                if (key.arm, key.block) == (arm, block) and cell.runs
            ]
            if len(sides) < 2:
                continue
            treatment, baseline = (diagnosed_arm(_arm(cell), diagnosed) for cell in sides)
            if not treatment.found or not baseline.found:
                continue
            if treatment.found[0].on.fingerprint == baseline.found[0].on.fingerprint:
                name = " ".join((f"{comparison.treatment} over {comparison.baseline}", *block))
                yield ComparedArms(name, treatment, baseline, hypothesis.alpha)


def _arm(cell: CellRuns) -> Arm:
    return Arm(" ".join((cell.key.arm, *cell.key.block)), cell.runs)


def error_effects(compared: ComparedArms) -> dict[ErrorType, Effect]:
    """Return the difference in what each type of error costs: below 0 the treatment has less of it."""
    first = compared.treatment.found[0]
    n_groups = first.on.n_groups_with(first.findings.n_objects.sum(axis=0) > 0)
    treatment, baseline = ([one.errors for one in arm.found] for arm in (compared.treatment, compared.baseline))
    return cost_effects(treatment, baseline, n_groups)


def error_difference_table(comparisons: Sequence[ComparedArms]) -> Table:
    """Return how much more or less each type of error costs one arm than the other."""
    rows = []
    for compared in comparisons:
        means = compared.treatment.mean, compared.baseline.mean
        assert means[0] is not None
        assert means[1] is not None
        effects = error_effects(compared)
        for error in sorted(effects, key=lambda error: -abs(effects[error].difference)):
            cells = [text_cell(compared.name), text_cell(error.word)]
            cells += [ap_cell(mean.costs[error]) for mean in means if mean is not None]
            rows.append(Row("", [*cells, *_effect_cells(effects[error], compared.alpha, _WHOLE_POINTS)]))
    return _table(ERROR_DIFFERENCES, "Which errors differ between the arms, on val", "error", rows)


def confusion_difference_table(comparisons: Sequence[ComparedArms]) -> Table:
    """Return which pairs of classes one arm confuses more often than the other."""
    rows = []
    for compared in comparisons:
        for pair in pair_differences(compared)[:N_PAIRS]:
            assert pair.effect is not None
            cells = [text_cell(compared.name), text_cell(f"{pair.true_class} called {pair.called}")]
            cells += [number_cell(sum(arm) / len(arm), 1) for arm in (pair.treatment, pair.baseline)]
            rows.append(Row("", [*cells, *_effect_cells(pair.effect, compared.alpha, _OBJECTS)]))
    return _table(CONFUSION_DIFFERENCES, "Which confusions differ between the arms, on val", "pair", rows)


def pair_differences(compared: ComparedArms) -> list[PairDifference]:
    """Return the pairs of classes that either arm confuses, the largest difference first."""
    treatment, baseline = ([one.confusion for one in arm.found] for arm in (compared.treatment, compared.baseline))
    return compare_confusions(treatment, baseline, compared.treatment.found[0].on.weights[1:])


def _table(name: str, title: str, what: str, rows: Sequence[Row]) -> Table:
    unit = "points of AP50 that it costs" if what == "error" else "objects, mean of the runs"
    return Table(
        name=name,
        title=title,
        columns=(
            Column("arms", is_number=False),
            Column(what, is_number=False),
            *(Column("first"), Column("second"), Column("difference"), Column("interval", is_number=False)),
            Column("the first has", is_number=False),
        ),
        rows=rows,
        notes=(f"First and second arm in {unit}.", _NOT_CORRECTED),
    )


def _effect_cells(found: Effect, alpha: float, scale: int) -> list[Cell]:
    low, high = (scale * end for end in found.interval(alpha))
    difference = scale * found.difference
    if found.seeds_unknown:
        told = text_cell("not known: one run of an arm", Tone.MUTED)
    elif low > 0 or high < 0:
        told = text_cell("more" if low > 0 else "less")
    else:
        told = text_cell("no more or less than noise explains", Tone.MUTED)
    number = Cell(f"{difference:+.1f}", difference, told.tone)
    return [number, text_cell(f"{low:+.1f} to {high:+.1f}", told.tone), told]
