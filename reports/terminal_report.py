"""A report at the terminal: the decision, verdicts, the comparison, and what to run next; the page holds the rest."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from reports.neutral import plain_text
from reports.sweep_report import Report
from reports.terminal import terminal_table

SHOWN_TABLES = ("verdicts", "noise-floor", "study", "without-result", "noted")


def terminal_report(report: Report) -> Iterator[RenderableType]:
    """Yield what is printed; texts are to be wrapped softly, so that a command can be copied."""
    for told in report.screen.decisions:
        yield Text(plain_text(told), "bold")
    yield Text("")
    for table in report.tables:
        if table.name in SHOWN_TABLES or table in report.displayed:
            yield terminal_table(table)
    for one in report.screen.commands:
        yield Text(plain_text(f"next: {one.what} ({one.why})"))
        yield Text(plain_text(f"  {one.command}"))
    yield Text(plain_text(f"report: {report.page}"))
