"""The journal survives a torn end and has one owner."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.journal import Journal, SweepOwnedError, read_journal


def test_events_come_back_in_order_with_the_time_they_were_written(tmp_path: Path) -> None:
    now = iter([1.0, 2.0])
    with Journal(tmp_path / "journal.jsonl", clock=lambda: next(now)) as journal:
        journal.append("planned", job="0001")
        journal.append("started", job="0001", attempt=1)
    assert list(read_journal(tmp_path / "journal.jsonl")) == [
        {"at": 1.0, "event": "planned", "job": "0001"},
        {"at": 2.0, "event": "started", "job": "0001", "attempt": 1},
    ]


@pytest.mark.parametrize("n_left", [1, 10, 33])
def test_a_torn_last_line_is_ignored_and_written_over(tmp_path: Path, n_left: int) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, clock=lambda: 1.0) as journal:
        journal.append("planned", job="0001")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:n_left])
    assert len(list(read_journal(path))) == 1
    with Journal(path, clock=lambda: 2.0) as journal:
        journal.append("started", job="0001")
    assert [record["event"] for record in read_journal(path)] == ["planned", "started"]


def test_a_second_process_is_told_that_the_sweep_is_owned(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = f"from pathlib import Path; from sweeper.journal import Journal; Journal(Path({str(path)!r}))"
    with Journal(path) as journal:
        journal.append("planned", job="0001")
        second = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
        )
        assert second.returncode == 1
        assert "another detsweep process owns it" in second.stderr
    with Journal(path):
        pass
    assert SweepOwnedError.exit_code == 4


def test_a_note_outlives_its_process_and_stands_before_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = f"""import os; from pathlib import Path; from sweeper.journal import Journal
journal = Journal(Path({str(path)!r}))
journal.append("started", job="0001")
journal.note("process", job="0001", pid=7)
os._exit(9)"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    with Journal(path) as journal:
        journal.append("ended", job="0001")
    assert [record["event"] for record in read_journal(path)] == ["started", "process", "ended"]
