"""The journal survives a torn end, a full disk and a second controller; it has one owner at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.stored.journal import Journal, JournalDamagedError, JournalNotWrittenError, SweepOwnedError, read_journal

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_events_come_back_in_order_with_the_time_they_were_written(path: Path) -> None:
    now = iter([1.0, 2.0])
    with Journal(path, clock=lambda: next(now)) as journal:
        journal.append("planned", job="0001")
        journal.append("started", job="0001", attempt=1)
    assert list(read_journal(path)) == [
        {"at": 1.0, "event": "planned", "job": "0001"},
        {"at": 2.0, "event": "started", "job": "0001", "attempt": 1},
    ]


def test_several_events_reach_the_disk_in_one_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    with Journal(path, clock=lambda: 1.0) as journal:
        records = journal.append_all([("planned", {"job": "0001"}), ("planned", {"job": "Möwe"})])
    assert list(read_journal(path)) == records
    assert synced == [path.stat().st_size]


@pytest.mark.parametrize("n_left", [1, 10, 33])
def test_a_torn_last_line_is_ignored_and_written_over(path: Path, n_left: int) -> None:
    with Journal(path, clock=lambda: 1.0) as journal:
        journal.append("planned", job="0001")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:n_left])
    assert len(list(read_journal(path))) == 1
    with Journal(path, clock=lambda: 2.0) as journal:
        journal.append("started", job="0001")
    assert [record["event"] for record in read_journal(path)] == ["planned", "started"]


@pytest.mark.parametrize("damage", [b"\x00\xff\x17", b"[1, 2]", b'{"job": "0001"}', b'"planned"', b""])
def test_damage_in_the_middle_is_told_by_its_line_and_stops_every_reader(path: Path, damage: bytes) -> None:
    with Journal(path) as journal:
        for job in ("0001", "0002", "0003"):
            journal.append("planned", job=job)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, lines[2], b""]))
    before = path.read_bytes()
    with pytest.raises(JournalDamagedError, match=r"damaged at line 2 .* --rebuild-journal"):
        list(read_journal(path))
    with pytest.raises(JournalDamagedError, match="damaged at line 2"):
        Journal(path)
    assert path.read_bytes() == before
    path.write_bytes(lines[0] + b"\n")
    Journal(path).close()  # the refused one has let go of it


NOTES = """
import os, sys
from pathlib import Path
from sweeper.stored.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.append("started", job="0001")
journal.note("process", job="0001", pid=7)
os._exit(9)
"""


def test_a_note_outlives_its_process_and_stands_before_what_follows(path: Path) -> None:
    subprocess.run([sys.executable, "-c", NOTES, str(path)], cwd=ROOT)
    with Journal(path) as journal:
        journal.append("ended", job="0001")
    assert [record["event"] for record in read_journal(path)] == ["started", "process", "ended"]


LIMITED = """
import resource, sys
from pathlib import Path
from sweeper.stored.journal import Journal, JournalNotWrittenError
path = Path(sys.argv[1])
journal = Journal(path)
journal.append("planned", job="0001")
limit = path.stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    journal.append("planned", job="0002")
except JournalNotWrittenError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("planned", job="0003")
"""


@pytest.mark.parametrize("n_bytes", [0, 1, 20])
def test_a_disk_that_takes_no_more_leaves_whole_lines(path: Path, n_bytes: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(n_bytes)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "journal cannot be written in" in run.stdout
    assert "detsweep resume" in run.stdout
    assert [record["job"] for record in read_journal(path)] == ["0001", "0003"]
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert JournalNotWrittenError("full").exit_code == 3


def test_an_event_that_was_not_synced_is_not_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with Journal(path) as journal:
        journal.append("planned", job="0001")
        with monkeypatch.context() as failing:
            failing.setattr("os.fsync", fail)
            with pytest.raises(JournalNotWrittenError, match="Input/output error"):
                journal.append_all([("planned", {"job": "0002"}), ("planned", {"job": "0003"})])
        assert [record["job"] for record in read_journal(path)] == ["0001"]


SECOND = """
import sys
from pathlib import Path
from sweeper.stored.journal import Journal
Journal(Path(sys.argv[1]))
"""


def opened_by_another(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SECOND, str(path)], capture_output=True, text=True, cwd=ROOT)


def test_a_second_process_is_told_who_owns_the_sweep(path: Path) -> None:
    with Journal(path, clock=lambda: 1_000_000_000.0) as journal:
        assert "another detsweep process owns it" in opened_by_another(path).stderr
        journal.append("sweep_started", pid=12, host="first")
        journal.append("sweep_started", pid=4711, host="gpu-box")
        journal.append("planned", job="0001")
        refused = opened_by_another(path)
    assert refused.returncode == 1
    assert "pid 4711 on gpu-box (since 2001-09-" in refused.stderr
    assert "detsweep status" in refused.stderr
    assert opened_by_another(path).returncode == 0
    assert SweepOwnedError.exit_code == 4


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o007, 0o660)])
def test_the_files_are_for_those_whom_the_sweep_is_for(path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        Journal(path).close()
    finally:
        os.umask(before)
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "journal.jsonl": mode,
        "journal.jsonl.lock": mode,
    }


def test_a_file_system_that_does_not_lock_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(lock: object, timeout: float) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.UnixFileLock.acquire", refuse)
    with pytest.raises(UserError, match=r"cannot be locked \(No locks available\)"):
        Journal(path)
    assert not path.exists()
