"""A table as data: what every output (Markdown, CSV, terminal, page) draws in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

MISSING = "–"
AP_NOTE = "AP in points, 0 to 100, higher is better."


class Tone(str, Enum):
    """What kind of statement a cell makes; outputs colour by it, and its text alone says the same."""

    PLAIN = "plain"
    BEST = "best"
    MISSING = "missing"
    MUTED = "muted"
    BAD = "bad"


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what a person reads.
        value: what is sorted by and written to CSV: a number in the column's unit, or text; None if there is none.
        tone: what kind of statement it is.
        hint: a longer explanation; repeated in the table's notes where it matters.
        link: a relative address that the page leads to; empty for none.
    """

    text: str
    value: float | str | None = None
    tone: Tone = Tone.PLAIN
    hint: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its heading, with the unit where the table's notes do not give it for all.
        is_number: set to the right, and sorted as numbers.
    """

    title: str
    is_number: bool = True


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        key: ``<sweep id>/<job id>`` of the job that it is about, the same in all tables and charts; empty for none.
        cells: one per column.
        remarks: what must be said of the job, in words; empty if there is nothing.
    """

    key: str
    cells: Sequence[Cell]
    remarks: str = ""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: short and plain, for file names.
        title: its heading.
        columns: at least one.
        rows: in the order in which they are shown.
        notes: what a reader must know to read the numbers right.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.name}: {len(self.columns)} columns, but a row of {len(row.cells)} cells")


def text_cell(text: str, tone: Tone = Tone.PLAIN, hint: str = "") -> Cell:
    """Return a cell that holds words."""
    return Cell(text, text, tone, hint)


def missing_cell(text: str = MISSING, hint: str = "") -> Cell:
    """Return a cell for a number that there is none of, and why."""
    return Cell(text, None, Tone.MISSING, hint)


def number_cell(value: float | None, digits: int, mark: str = "") -> Cell:
    """Return a cell for a number, or the sign for a missing one.

    Args:
        value: in the column's unit.
        digits: shown behind the point; CSV keeps all.
        mark: letters behind the number that a note explains.
    """
    if value is None:
        return missing_cell()
    return Cell(f"{value:.{digits}f}{mark}", value)


def ap_cell(value: float | None) -> Cell:
    """Return a cell for an average precision in the usual points: 0.412 is shown as 41.2.

    Args:
        value: AP in 0-1, higher is better.
    """
    return number_cell(None if value is None else 100 * value, 1)


def mark_best(rows: Sequence[Row], column: int) -> list[Row]:
    """Return the rows with the highest number of a column marked; where all numbers are equal there is no best."""
    numbers = [cell.value for row in rows if isinstance((cell := row.cells[column]).value, float)]
    if len(set(numbers)) < 2:
        return list(rows)
    best = max(numbers)
    return [_with_tone(row, column, Tone.BEST) if row.cells[column].value == best else row for row in rows]


def _with_tone(row: Row, column: int, tone: Tone) -> Row:
    cells = list(row.cells)
    cell = cells[column]
    cells[column] = Cell(cell.text, cell.value, tone, cell.hint)
    return replace(row, cells=cells)
