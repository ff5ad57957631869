"""A report at the terminal: the decision, verdicts, the comparison, and what to run next; the page holds the rest."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from reports.neutral import plain_text
from reports.sweep_report import Report
from reports.table import Table
from reports.terminal import terminal_table

SHOWN_TABLES = ("verdicts", "noise-floor", "study", "without-result", "noted")
# Of a search, whose trials take the place of the comparison where a report is about nothing else.
OF_SEARCHES = ("search", "search-confirmation", "search-front", "trials", "search-saved")
_COMPARING = ("study", "without-result")


def terminal_report(report: Report) -> Iterator[RenderableType]:
    """Yield what is printed; texts are to be wrapped softly, so that a command can be copied."""
    for told in report.screen.decisions:
        yield Text(plain_text(told), "bold")
    yield Text("")
    yield from map(terminal_table, _shown(report))
    for one in report.screen.commands:
        yield Text(plain_text(f"next: {one.what} ({one.why})"))
        yield Text(plain_text(f"  {one.command}"))
    yield Text(plain_text(f"report: {report.page}"))


def _shown(report: Report) -> Iterator[Table]:
    """Yield the tables that a person at the terminal wants first."""
    of_searches = [table for search in report.searches for table in search.tables]
    left_out = _COMPARING if report.is_all_searches else ()
    for table in report.tables:
        if table in of_searches:
            if table.name.endswith(OF_SEARCHES):
                yield table
        elif (table.name in SHOWN_TABLES and table.name not in left_out) or table in report.displayed:
            yield table
