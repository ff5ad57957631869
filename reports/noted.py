"""What people noted of jobs: columns and a table of their own, marked as what nothing here has measured."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from reports.ranking import display_titles, row_key
from reports.records import RunRecord
from reports.table import Cell, Column, Row, Table, missing_cell, text_cell
from runners.contract.notes import Note, NoteValue, newest_notes

SIGN = "✎"
MEANING = f"{SIGN} as noted by a person, not measured here; no job is ranked by it."


def noted_keys(runs: Iterable[RunRecord]) -> list[str]:
    """Return the keys under which a number stands now, in the order in which they were first noted."""
    newest = (note for run in runs for note in newest_notes(run.noted).values())
    return list(dict.fromkeys(note.key for note in newest if isinstance(note.value, float)))


def noted_columns(keys: Iterable[str]) -> list[Column]:
    """Return a column for each key."""
    return [Column(f"{key} {SIGN}") for key in keys]


def noted_cells(run: RunRecord, keys: Iterable[str]) -> list[Cell]:
    """Return a job's numbers under these keys, as they were given."""
    newest = newest_notes(run.noted)
    values = [newest[key].value if key in newest else None for key in keys]
    return [Cell(noted_text(value), value) if isinstance(value, float) else missing_cell() for value in values]


def noted_legend(keys: Sequence[str]) -> list[str]:
    """Return the line that explains such columns, if there are any."""
    return [MEANING] if keys else []


def noted_table(runs: Sequence[RunRecord]) -> Table:
    """Return everything that was noted, texts too, with what stood there before."""
    titles = display_titles(runs)
    rows = []
    for run in runs:
        for key, note in newest_notes(run.noted).items():
            before = [other for other in run.noted if other.key == key and other is not note]
            cells = [text_cell(titles[row_key(run)]), text_cell(key), text_cell(noted_text(note.value))]
            history = text_cell(", ".join(map(_told, reversed(before)))) if before else missing_cell()
            rows.append(Row(row_key(run), [*cells, text_cell(_when(note)) if note.at else missing_cell(), history]))
    headings = ("title", "what", f"noted {SIGN}", "when", "before")
    return Table(
        name="noted",
        title="As noted by people",
        columns=tuple(Column(heading, is_number=False) for heading in headings),
        rows=rows,
        notes=(MEANING,),
    )


def noted_text(value: NoteValue | None) -> str:
    """Return a noted value as a person reads it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _told(note: Note) -> str:
    return f"{noted_text(note.value)} ({_when(note)})"


def _when(note: Note) -> str:
    return datetime.fromtimestamp(note.at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
