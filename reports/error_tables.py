"""Tables of what is wrong: error types, confused classes, sizes; by arm, and by run where an arm has several."""

from collections.abc import Iterator, Sequence

from reports.diagnosed_runs import DiagnosedArm
from reports.diagnosis.confusion import MIN_SCORE
from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.diagnosis.sizes import SizeRow
from reports.diagnosis.tide import Diagnosis
from reports.marks import job_row, legend, title_cell
from reports.ranking import display_titles, row_key, with_width
from reports.same_recipe import Arm
from reports.table import Cell, Column, Row, Table, Tone, ap_cell, missing_cell, number_cell, text_cell

ERRORS, CONFUSIONS, OWN_SIZES = "errors", "confusions", "own-sizes"
# Of each arm.
N_PAIRS = 5
ERROR_WORDS = {
    ErrorType.CLASSIFICATION: "classification: a good box with another class's name",
    ErrorType.LOCALISATION: "localisation: the right class, a box that is off",
    ErrorType.BOTH: "both: wrong class and a box that is off",
    ErrorType.DUPLICATE: "duplicate: an object that was found already",
    ErrorType.BACKGROUND: "background: nothing is there",
    ErrorType.MISSED: "missed: an object that nothing points to",
}
JUDGED_AT = "Of the last epoch's predictions on val."


def arm_title(arm: Arm) -> str:
    """Return an arm's name, and how many runs its numbers are the mean of."""
    return arm.name if len(arm.runs) == 1 else f"{arm.name} (mean of {len(arm.runs)})"


def error_table(arms: Sequence[DiagnosedArm]) -> Table:
    """Return what each type of error costs each arm, and each of its runs."""
    runs = [run for arm in arms for run in arm.runs]
    titles = display_titles(runs)
    rows: list[Row] = []
    for arm in arms:
        if arm.mean is None:
            continue
        if len(arm.runs) > 1:
            mean = text_cell(f"{arm.arm.name} (mean of {len(arm.runs)})")
            rows.append(Row("", [mean, *_error_cells(arm.mean)]))
        for run, found in zip(arm.runs, arm.found, strict=True):
            rows.append(job_row(run, [title_cell(run, titles), *_error_cells(found.errors.diagnosis)]))
    return Table(
        name=ERRORS,
        title=with_width("What errors cost, on val", runs),
        columns=(Column("title", is_number=False), Column("AP50"), *(Column(error.word) for error in MAIN_TYPES)),
        rows=rows,
        notes=(
            "Points of AP50 that would be gained if all errors of one type were repaired and no others (TIDE; Bolya et"
            " al. 2020): they do not add up to what is missing. AP50 as TIDE takes it, which is not quite COCO's.",
            f"{'; '.join(ERROR_WORDS.values())}.",
            JUDGED_AT,
            *legend(runs),
        ),
    )


def _error_cells(found: Diagnosis) -> list[Cell]:
    costs = []
    for error in MAIN_TYPES:
        cell = ap_cell(found.costs[error])
        tone = Tone.BAD if error is found.costliest else Tone.PLAIN
        costs.append(Cell(cell.text, cell.value, tone, f"{found.counts[error]:g} of them"))
    return [ap_cell(found.ap50), *costs]


def confusion_table(arms: Sequence[DiagnosedArm]) -> Table:
    """Return the pairs of classes that each arm confuses most."""
    return Table(
        name=CONFUSIONS,
        title=with_width("What is taken for what, on val", [run for arm in arms for run in arm.runs]),
        columns=(
            Column("arm", is_number=False),
            Column("pair", is_number=False),
            Column("times"),
            Column("of"),
            Column("part"),
        ),
        rows=[row for arm in arms for row in _pair_rows(arm)],
        notes=(
            "Objects that a detection of another class overlaps by half or more, of those with a score from"
            f" {MIN_SCORE} on; each object counts once. Times: mean over an arm's runs; of: objects of the class.",
            JUDGED_AT,
        ),
    )


def _pair_rows(arm: DiagnosedArm) -> Iterator[Row]:
    key = row_key(arm.runs[0]) if len(arm.runs) == 1 else ""
    for true_class, called, times, n_labelled in mean_pairs(arm)[:N_PAIRS]:
        part = number_cell(times / n_labelled if n_labelled else None, 2)
        cells = [text_cell(arm_title(arm.arm)), text_cell(f"{true_class} called {called}")]
        yield Row(
            key,
            [
                *cells,
                number_cell(times, 0 if len(arm.runs) == 1 else 1),
                Cell(str(n_labelled), float(n_labelled)),
                part,
            ],
        )


def mean_pairs(arm: DiagnosedArm) -> list[tuple[str, str, float, int]]:
    """Return class, name given, how often in the mean of the runs, and of how many; the most frequent first."""
    times: dict[tuple[str, str], float] = {}
    labelled: dict[tuple[str, str], int] = {}
    for one in arm.found:
        for pair in one.confusion.pairs:
            names = pair.true_class, pair.called
            times[names] = times.get(names, 0.0) + len(pair.objects) / len(arm.found)
            labelled[names] = pair.n_labelled
    return sorted(((*names, times[names], labelled[names]) for names in times), key=lambda row: (-row[2], row[:2]))


def own_size_tables(arms: Sequence[DiagnosedArm]) -> list[Table]:
    """Return AP50 by size of the objects, one table for each set of images: in COCO's bins and in the data's own."""
    by_set: dict[str, list[DiagnosedArm]] = {}
    for arm in arms:
        if arm.found:
            by_set.setdefault(arm.found[0].on.fingerprint, []).append(arm)
    return [
        _own_size_table(members, f"{OWN_SIZES}-{number}" if len(by_set) > 1 else OWN_SIZES)
        for number, members in enumerate(by_set.values(), start=1)
    ]


def _own_size_table(arms: Sequence[DiagnosedArm], name: str) -> Table:
    first = arms[0].found[0]
    bins = [*first.sizes, *first.own_sizes]
    counts = [_count_cell(row) for row in bins]
    rows = [Row("", [missing_cell("objects in images"), *counts])]
    for arm in arms:
        values = [
            _mean_cell([(*one.sizes, *one.own_sizes)[number] for one in arm.found]) for number in range(len(bins))
        ]
        key = row_key(arm.runs[0]) if len(arm.runs) == 1 else ""
        rows.append(Row(key, [text_cell(arm_title(arm.arm)), *values]))
    n_images = len(first.on.truth["images"])
    headings = [f"{row.size.name} {row.size.sides}" for row in first.sizes]
    headings += [f"own {row.size.name}: {row.size.sides}" for row in first.own_sizes]
    return Table(
        name=name,
        title=with_width(f"AP50 by object size, {n_images} val images", [run for arm in arms for run in arm.runs]),
        columns=(Column("arm", is_number=False), *map(Column, headings)),
        rows=rows,
        notes=(
            "Sides of squares of the same area, in pixels of the original image. Own: parts of the data's own objects"
            " with equally many in each.",
            "Grey: fewer than 20 objects or 12 images with one; nothing is concluded from such a number.",
            JUDGED_AT,
        ),
    )


def _count_cell(row: SizeRow) -> Cell:
    return Cell(f"{row.n_objects} in {row.n_groups}", None, Tone.MISSING, row.remark)


def _mean_cell(rows: Sequence[SizeRow]) -> Cell:
    known = [row.ap50 for row in rows if row.ap50 is not None]
    if not known:
        return missing_cell(hint="no objects")
    cell = ap_cell(sum(known) / len(known))
    return Cell(cell.text, cell.value, Tone.MISSING if rows[0].is_too_few else Tone.PLAIN, rows[0].remark)
