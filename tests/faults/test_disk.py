"""Rows 20 to 24 and 28: a disk that is full, failing or read-only, and files that are torn."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runners.contract.checkpoint_files import find_resume_point
from tests.faults.driver import Driver
from tests.quick_job import Play

Numbers = dict[str, dict[str, float]]

LARGE_STATES = Play(iteration_s=0.1, n_checkpoint_bytes=300_000)


def _limit_file_size(pid: int, n_bytes: int) -> None:
    """Let a living process write no file beyond a size, as a full disk would: EFBIG instead of ENOSPC."""
    psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))  # type: ignore[attr-defined]


def test_row_20_a_full_disk_at_a_checkpoint_leaves_the_older_one_and_stops_the_sweep(
    drive: Driver, undisturbed: Numbers
) -> None:
    command = drive.train(play=LARGE_STATES)
    drive.until(lambda: drive.has_checkpoint("0001"))
    _limit_file_size(drive.pid_of("0001"), 100_000)
    assert command.wait() == 3, command.said
    (failed,) = drive.events("ended", "0001")
    assert (failed["outcome"], failed["kind"], failed["state"]) == ("failed", "disk", "PAUSED")
    assert not failed["counted"]
    assert "disk full" in command.said
    assert drive.states == {"0001": "PAUSED", "0002": "PLANNED"}
    checkpoints = drive.sweep.job("0001").checkpoints
    assert find_resume_point(drive.sweep.job("0001")).spec_value == "checkpoints/a1_epoch_1.pth"
    assert not list(checkpoints.glob(".*"))
    assert drive.run("resume").process.returncode == 0, drive.commands[-1].said
    assert drive.numbers() == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "detsweep-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_row_20_a_disk_that_is_really_full(drive: Driver, small_disk: Path) -> None:
    # The states are small until the disk has filled up beside them.
    words = (f"output_dir={small_disk}", "check_disk=false")
    command = drive.train(*words, play=Play(iteration_s=0.1, n_checkpoint_bytes=200_000))
    drive.until(lambda: any(small_disk.glob("*/jobs/0001/checkpoints/*.sha256")))
    free = os.statvfs(small_disk)
    with (small_disk / "filler").open("wb") as filler:
        filler.write(bytes(max(0, free.f_bavail * free.f_frsize - 100_000)))
    assert command.wait() == 3, command.said
    assert "disk full" in command.said
    (small_disk / "filler").unlink()
    resumed = drive.run("resume", f"output_dir={small_disk}")
    assert resumed.process.returncode == 0, resumed.said
    assert drive.run("verify", f"output_dir={small_disk}").process.returncode == 0, drive.commands[-1].said


def test_row_21_a_journal_that_cannot_grow_stops_the_sweep_at_the_last_synced_event(
    drive: Driver, undisturbed: Numbers
) -> None:
    command = drive.train(play=LARGE_STATES)
    drive.until(lambda: drive.has_checkpoint("0001"))
    drive.until(lambda: bool(drive.events("process")))
    _limit_file_size(command.process.pid, drive.sweep.journal.stat().st_size + 20)
    assert command.wait() == 3, command.said
    assert "journal cannot be written" in command.said
    assert "COMPLETED" not in drive.states.values()
    assert drive.sweep.journal.read_bytes().endswith(b"}\n")
    assert drive.run("resume").process.returncode == 0, drive.commands[-1].said
    assert drive.numbers() == undisturbed


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("fault", ["fsync:error=EIO", "write:error=ENOSPC"])
def test_row_21_a_failing_disk_stops_the_sweep_and_nothing_is_called_done_that_was_not_synced(
    drive: Driver, undisturbed: Numbers, fault: str
) -> None:
    command = drive.train(play=Play(iteration_s=0.15))
    drive.until(lambda: drive.has_checkpoint("0001") and bool(drive.events("process")))
    call = fault.partition(":")[0]
    traced = ["-P", str(drive.sweep.journal), "-e", f"trace={call}", "-e", f"inject={fault}"]
    log = drive.folder / "trace.txt"
    tracer = subprocess.Popen(
        ["strace", "-o", str(log), *traced, "-p", str(command.process.pid)], stderr=subprocess.PIPE, text=True
    )
    if command.wait() == 0:
        tracer.kill()
        pytest.skip(f"strace may not trace here: {tracer.communicate()[1]}")
    assert command.process.returncode == 3, command.said
    assert "(INJECTED)" in log.read_text(encoding="utf-8")
    assert "journal cannot be written" in command.said
    assert drive.states == {"0001": "RUNNING", "0002": "PLANNED"}
    resumed = drive.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert drive.numbers() == undisturbed
