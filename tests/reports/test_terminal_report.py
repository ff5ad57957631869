"""What stands at the terminal: little, and lines that can be copied."""

import io

from rich.console import Console
from rich.text import Text

from reports.sweep_report import Report
from reports.terminal_report import terminal_report


def test_the_terminal_is_short_and_its_commands_are_whole(diagnosed: Report) -> None:
    console = Console(file=io.StringIO(), width=80)
    for part in terminal_report(diagnosed):
        console.print(part, soft_wrap=isinstance(part, Text))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    lines = shown.splitlines()
    assert lines[0] == diagnosed.screen.decisions[0]
    assert len(lines) < 45
    for one in diagnosed.screen.commands:
        assert f"  {one.command}" in lines
    assert lines[-1] == f"report: {diagnosed.page}"
    assert "What errors cost" not in shown
