"""Tables of others, shown as what they are: never ranked, judged or mixed with what was measured here."""

from collections.abc import Sequence
from datetime import datetime, timezone

from reports.table import AP_NOTE, Cell, Column, Row, Table, missing_cell, text_cell
from runners.contract.displayed import DisplayedColumn, DisplayedTable

# Before the name of such a table, and so of its file.
PREFIX = "displayed-"


def displayed_tables(found: Sequence[DisplayedTable]) -> tuple[Table, ...]:
    """Return the tables, in their own order of rows and with their own headings."""
    return tuple(_table(table) for table in found)


def _table(table: DisplayedTable) -> Table:
    when = datetime.fromtimestamp(table.imported_at, timezone.utc).strftime("%Y-%m-%d")
    understood = "; ".join(f"{column.heading}: {column.understood}" for column in table.columns)
    scale = (f"{AP_NOTE}",) if any(column.is_ap for column in table.columns) else ()
    return Table(
        name=f"{PREFIX}{table.name}",
        title=f"For display only: {table.source}",
        columns=(Column("title", is_number=False), *(Column(column.heading) for column in table.columns)),
        rows=[Row("", [text_cell(title), *map(_cell, values, table.columns)]) for title, values in table.rows],
        notes=(
            f"Read from {table.source} on {when}. Nothing in it was measured here: it is not ranked, not judged, and"
            " not comparable with the tables above unless somebody knows that data and settings were the same.",
            f"Understood as: {understood}.",
            *scale,
        ),
    )


def _cell(value: float | None, column: DisplayedColumn) -> Cell:
    if value is None:
        return missing_cell()
    if not column.is_ap:
        return Cell(f"{value:.6g}", value)
    # As many digits as it was given with, and not fewer than others show.
    return Cell(max(f"{100 * value:.1f}", f"{100 * value:.6g}", key=len), 100 * value)
