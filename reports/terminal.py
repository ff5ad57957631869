"""Draws tables for the terminal."""

from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from reports.neutral import plain_text
from reports.table import Table, Tone

STYLES = {Tone.PLAIN: "", Tone.BEST: "bold green", Tone.MISSING: "dim", Tone.MUTED: "dim", Tone.BAD: "bold red"}
# Tables of more columns than this write the words of a number's heading below each other.
N_COLUMNS_IN_ONE_LINE = 4


def terminal_table(table: Table) -> Group:
    """Return a table with its heading above and its notes below, to be printed by a rich console."""
    is_wide = len(table.columns) > N_COLUMNS_IN_ONE_LINE
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in table.columns:
        heading = plain_text(column.title)
        if column.is_number:
            # A number broken over two lines would be read as another one: where there is little room, titles fold.
            drawn.add_column(Text(heading.replace(" ", "\n") if is_wide else heading), justify="right", no_wrap=True)
        else:
            drawn.add_column(Text(heading), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(plain_text(cell.text), STYLES[cell.tone]) for cell in row.cells))
    notes = [Text(plain_text(note), "dim") for note in table.notes]
    return Group(Text(plain_text(table.title), "bold"), Text(""), drawn, *notes, Text(""))
