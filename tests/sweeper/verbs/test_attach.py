"""Watching a sweep that somebody else runs, to its end or until Ctrl-C."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.cli import main
from sweeper.verbs import attach
from tests.sweeper.written_sweep import WrittenSweep


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(attach, "POLL_S", 0.02)


def watch_while(happens: Callable[[], None]) -> int:
    """Attach, and let things happen a moment later."""
    exit_codes: list[int] = []
    # The lock of a journal belongs to the thread that took it, so it is the onlooker who gets one of its own.
    onlooker = threading.Thread(target=lambda: exit_codes.append(main(["attach"])), daemon=True)
    onlooker.start()
    time.sleep(0.2)
    happens()
    onlooker.join(20.0)
    return exit_codes[0]


def test_it_shows_what_happens_from_now_on_and_ends_with_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = WrittenSweep(tmp_path / "outputs", n_jobs=2)
    sweep.run("0001")

    def happens() -> None:
        sweep.run("0002", "FAILED", "loss is NaN at iteration 7")
        time.sleep(0.1)
        sweep.close(1)

    assert watch_while(happens) == 1
    lines = capsys.readouterr().out.splitlines()
    assert not any(line.startswith("0001 title 1: started") for line in lines)
    told = [line for line in lines if line.startswith(("0002 title 2", "  log", "  |"))]
    assert told == [
        "0002 title 2: started on cpu/0",
        "0002 title 2: epoch 1 loss 0.500 val mAP50 40.0, 30 s left",
        "0002 title 2: FAILED: loss is NaN at iteration 7 after 1 s",
        f"  log: {sweep.folder.path}/jobs/0002/attempts/1/log.txt",
        "  | first line",
        "  | last line",
    ]
    assert lines[-2] == "1 of 2 jobs done, 1 failed"
    assert lines[-1].startswith("try what failed again: detsweep retry ")


def test_ctrl_c_leaves_the_sweep_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    before = sweep.folder.journal.read_bytes()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert main(["attach"]) == 0
    assert "the sweep goes on. Back to it: detsweep attach 20260101-000000_seed_ab12" in capsys.readouterr().out
    assert sweep.folder.journal.read_bytes() == before
    assert list(sweep.folder.path.glob("requests/*")) == []
    sweep.close()


def test_a_controller_that_is_killed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    sweep.start("0001")
    assert watch_while(sweep.close) == 3
    out = capsys.readouterr().out
    assert "its controller is gone without a word" in out
    assert "3 jobs left: detsweep resume" in out


@pytest.mark.parametrize(("n_done", "exit_code", "told"), [(3, 0, "compare: detsweep report"), (1, 130, "nobody runs")])
def test_a_sweep_that_nobody_runs_is_not_waited_for(
    n_done: int, exit_code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    for number in range(1, n_done + 1):
        sweep.run(f"{number:04d}")
    sweep.close(exit_code)
    assert main(["attach"]) == exit_code
    assert told in capsys.readouterr().out
