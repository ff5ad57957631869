"""Draws tables as Markdown."""

from collections.abc import Sequence

from reports.neutral import markdown_text
from reports.table import Cell, Table, Tone


def markdown_table(table: Table) -> str:
    """Return a table with its heading and notes; the best number of a column is bold, what noise explains slanted."""
    heading = [markdown_text(column.title) for column in table.columns]
    rule = ["---:" if column.is_number else "---" for column in table.columns]
    lines = [f"## {markdown_text(table.title)}", "", _line(heading), _line(rule)]
    lines += [_line([_cell(cell) for cell in row.cells]) for row in table.rows]
    lines += ["", *(f"- {markdown_text(note)}" for note in table.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = markdown_text(cell.text)
    if cell.tone is Tone.MUTED:
        return f"*{text}*"
    return f"**{text}**" if cell.tone is Tone.BEST else text
