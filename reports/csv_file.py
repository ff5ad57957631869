"""Draws tables, and all recorded numbers, as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from reports.neutral import csv_text
from reports.records import RunRecord
from reports.table import Cell, Table
from runners.contract.metrics import note_metric
from runners.contract.notes import Note, newest_notes
from runners.contract.remarks import remark_lines

RUN_FIELDS = ("sweep", "job", "title", "state", "remarks", "failure", "dataset_name", "fingerprint")
REMARKS = "remarks"


def csv_table(table: Table) -> str:
    """Return a table with its numbers unrounded; where there is no number, its cell says why, as the table does.

    A table of jobs has one more column, which says what the signs behind titles say elsewhere.
    """
    titles = [column.title for column in table.columns]
    rows = [[_cell(cell) for cell in row.cells] for row in table.rows]
    if any(row.key for row in table.rows):
        titles.append(REMARKS)
        rows = [[*cells, csv_text(row.remarks)] for cells, row in zip(rows, table.rows, strict=True)]
    return _csv(titles, rows)


def csv_runs(runs: Sequence[RunRecord]) -> str:
    """Return one row per job: parameters, final metrics under their recorded names (AP in 0-1), what people noted."""
    params = list(dict.fromkeys(name for run in runs for name in run.params))
    metrics = sorted({name for run in runs for name in run.metrics})
    noted = sorted({note.key for run in runs for note in run.noted})
    rows = []
    for run in runs:
        remarks = remark_lines(run.remarks).replace("\n", "; ")
        told = (run.sweep_id, run.job_id, run.title, run.state.value, remarks, run.failure)
        described = (*told, run.dataset, run.fingerprint)
        rows.append(
            [csv_text(text) for text in described]
            + [csv_text(run.params.get(name, "")) for name in params]
            + [repr(run.metrics[name]) if name in run.metrics else "" for name in metrics]
            + [_noted(newest_notes(run.noted).get(key)) for key in noted]
        )
    return _csv([*RUN_FIELDS, *params, *metrics, *map(note_metric, noted)], rows)


def _noted(note: Note | None) -> str:
    if note is None:
        return ""
    return repr(note.value) if isinstance(note.value, float) else csv_text(note.value)


def _cell(cell: Cell) -> str:
    return repr(cell.value) if isinstance(cell.value, float) else csv_text(cell.value or cell.text)


def _csv(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([csv_text(title) for title in heading])
    writer.writerows(rows)
    return file.getvalue()
