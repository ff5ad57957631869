"""A closed terminal, or a reader that has left, ends nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.view.screen import Screen

ROOT = Path(__file__).parents[3]
# Prints, waits until its reader is gone, prints on, and ends as it should.
PROGRAM = """
import signal, sys
from rich.live import Live
from sweeper.verbs.report import open_console
signal.signal(signal.SIGHUP, lambda *_: None)
console = open_console()
with Live("a table", console=console, refresh_per_second=50):
    console.print("before")
    open(sys.argv[1], "w").close()
    while open(sys.argv[1]).read() != "gone":
        pass
    for number in range(1000):
        console.print("after", number)
console.print("behind")
print("to the end", file=sys.stderr)
open(sys.argv[1], "w").write("done")
sys.exit(7)
"""


def start(mark: Path, output: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", PROGRAM, str(mark)]
    errors = output if os.isatty(output) else subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=output, stdout=output, stderr=errors, cwd=ROOT, start_new_session=True)
    os.close(output)
    while not mark.exists():
        assert process.poll() is None
    return process


def test_a_terminal_that_is_closed_ends_nothing(tmp_path: Path) -> None:
    master, slave = os.openpty()
    process = start(tmp_path / "mark", slave)
    shown = b""
    while b"before" not in shown:  # a terminal hands out what has come so far
        shown += os.read(master, 4096)
    os.close(master)
    (tmp_path / "mark").write_text("gone")
    assert process.wait(20) == 7
    assert (tmp_path / "mark").read_text() == "done"


def test_a_pipe_whose_reader_has_left_ends_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    process = start(tmp_path / "mark", writer)
    os.close(reader)
    (tmp_path / "mark").write_text("gone")
    assert process.wait(20) == 7
    assert (tmp_path / "mark").read_text() == "done"


def test_a_screen_is_what_its_stream_is(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    assert screen.write("Möwe\n") == 5
    screen.flush()
    assert capsys.readouterr().out == "Möwe\n"
    assert (screen.isatty(), screen.encoding.lower()) == (sys.stdout.isatty(), sys.stdout.encoding.lower())
