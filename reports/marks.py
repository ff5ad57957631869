"""Marks jobs whose numbers need a word on how they came about: a sign behind the title, a line that explains it."""

from collections.abc import Mapping, Sequence

from reports.ranking import row_key
from reports.records import RunRecord
from reports.table import Cell, Row
from runners.contract.remarks import RemarkKind, remark_lines

SIGNS = {
    RemarkKind.OUT_OF_MEMORY: "†",
    RemarkKind.OTHER_SPLIT: "¶",
    RemarkKind.RESUMED: "‡",
    RemarkKind.REUSED: "§",
    RemarkKind.IMPORTED: "◊",
}
MEANINGS = {
    RemarkKind.OUT_OF_MEMORY: "did not fit into memory and was trained with fewer images per step, in the same batch",
    RemarkKind.OTHER_SPLIT: "went on with another number of images per step, in the same batch",
    RemarkKind.RESUMED: "resumed from a checkpoint; its costs are those of the last attempt alone, and not comparable",
    RemarkKind.REUSED: "reused: the numbers are those of an earlier run of the same training",
    RemarkKind.IMPORTED: "imported: trained by other means; its AP was measured here, curves and train loss are its own"
    " log's",
}


def job_row(run: RunRecord, cells: Sequence[Cell]) -> Row:
    """Return a row about one job, with what must be said about it."""
    return Row(row_key(run), cells, remark_lines(run.remarks).replace("\n", "; "))


def title_cell(run: RunRecord, titles: Mapping[str, str]) -> Cell:
    """Return the cell that names a job, its signs behind the title.

    Args:
        run: the job.
        titles: of all jobs, by row key (`display_titles`).
    """
    title = titles[row_key(run)]
    signs = "".join(dict.fromkeys(SIGNS[remark.kind] for remark in run.remarks))
    return Cell(f"{title} {signs}" if signs else title, title, hint=remark_lines(run.remarks))


def legend(runs: Sequence[RunRecord]) -> list[str]:
    """Return a line for each sign that stands behind the title of one of these jobs."""
    seen = {remark.kind for run in runs for remark in run.remarks}
    return [f"{sign} {MEANINGS[kind]}." for kind, sign in SIGNS.items() if kind in seen]
