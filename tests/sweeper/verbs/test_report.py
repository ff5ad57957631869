"""The report at a sweep's end: what goes wrong with it is told, and changes nothing of what was achieved."""

import errno
import io
import os
import re
from pathlib import Path

import pytest
from rich.console import Console

import sweeper.verbs.report as verb
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "report not written in .*/report: No space left on device"),
        (UserError("sweep in here: no file"), "error: sweep in here: no file"),
    ],
)
def test_a_report_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, said: str
) -> None:
    def fail(sweep: SweepFolder, console: Console) -> None:
        raise error

    monkeypatch.setattr(verb, "print_report", fail)
    text = io.StringIO()
    verb.try_report(SweepFolder(tmp_path), Console(file=text, width=400))
    assert re.search(said, text.getvalue())
