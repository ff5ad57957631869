"""Rows 20 to 24 and 28: a disk that is full, failing or read-only, and files that are torn."""

import json
import os
import random
import resource
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from runners.contract.checkpoint_files import find_resume_point
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from tests.faults.driver import Driver
from tests.quick_job import Fault, Play

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


def test_row_22_a_sweep_that_does_not_fit_is_refused_before_it_starts(drive: Driver, small_disk: Path) -> None:
    refused = drive.train(f"output_dir={small_disk}")
    assert refused.wait() == 2
    assert "needs about" in refused.said
    assert "check_disk=false" in refused.said
    assert not list(small_disk.glob("*/journal.jsonl"))


CUTS = {
    "to nothing": lambda n: 0,
    "to a byte": lambda n: 1,
    "to a half": lambda n: n // 2,
    "by a byte": lambda n: n - 1,
}


def _cut(path: Path, cut: str) -> None:
    os.truncate(path, CUTS[cut](path.stat().st_size))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("suffix", [".pth", ".pth.sha256"])
def test_row_23_a_torn_checkpoint_gives_way_to_the_older_one(
    killed_here: Driver, undisturbed: Numbers, suffix: str, cut: str
) -> None:
    _cut(killed_here.sweep.job("0002").checkpoints / f"a1_epoch_2{suffix}", cut)
    resumed = killed_here.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert "checkpoint a1_epoch_2.pth is damaged; going on from an older one" in resumed.said
    assert killed_here.events("started", "0002")[-1]["resume"] == "checkpoints/a1_epoch_1.pth"
    assert killed_here.numbers() == undisturbed


def test_row_23_with_all_checkpoints_torn_the_job_begins_anew(killed_here: Driver, undisturbed: Numbers) -> None:
    for state in killed_here.sweep.job("0002").checkpoints.glob("a1_epoch_*.pth"):
        _cut(state, "to a half")
    resumed = killed_here.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert killed_here.events("started", "0002")[-1]["resume"] is None
    assert killed_here.numbers() == undisturbed


@pytest.mark.parametrize("cut", ["to nothing", "to a byte", "to a half"])
def test_row_23_a_torn_result_is_no_result(killed_here: Driver, undisturbed: Numbers, cut: str) -> None:
    attempt = killed_here.attempt("0002", 1)
    AttemptResult(1, AttemptOutcome.COMPLETED, checkpoint="checkpoints/a1_best.pth").write(attempt)
    _cut(attempt.result, cut)
    resumed = killed_here.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert killed_here.events("ended", "0002")[0]["outcome"] == "lost"
    assert killed_here.numbers() == undisturbed


def test_row_23_a_torn_result_of_a_completed_job_is_found_by_verify(killed_here: Driver) -> None:
    assert killed_here.run("resume").process.returncode == 0
    _cut(killed_here.attempt("0001", 1).result, "to a half")
    found = killed_here.run("verify", "--json")
    assert found.process.returncode == 1
    (violation,) = json.loads(found.said)["violations"]
    assert violation["invariant"] == 4
    assert violation["where"].startswith("journal.jsonl:")
    assert "result.json is missing or torn" in violation["message"]
    killed_here.is_unverifiable = True


def test_row_23_nonsense_in_the_records_of_a_job_stops_no_other(drive: Driver, undisturbed: Numbers) -> None:
    command = drive.train(play=Play(faults=(Fault("nonsense", job="0001", iteration=3),)))
    assert command.wait() == 0, command.said
    assert drive.numbers() == undisturbed
    assert "is damaged and passed over" in command.said
    assert "remove the damaged line" in command.said  # by the report, which cannot be made of it
    found = drive.verify()["violations"]
    assert [(violation["invariant"], violation["where"]) for violation in found] == [(3, "jobs/0001/attempts/1")]
    drive.is_unverifiable = True


def test_row_24_an_output_folder_that_cannot_be_written_is_refused(drive: Driver, small_disk: Path) -> None:
    remounted = subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], capture_output=True, text=True)
    if remounted.returncode:
        pytest.skip(f"nothing can be mounted read-only here: {remounted.stderr.strip()}")
    for output_dir in (small_disk, small_disk / "deeper"):
        refused = drive.train(f"output_dir={output_dir}", "check_disk=false")
        assert refused.wait() == 2, refused.said
        assert f"output folder in output_dir={output_dir}" in refused.said


def test_row_28_a_journal_damaged_in_the_middle_is_refused_and_can_be_rebuilt(
    killed_here: Driver, undisturbed: Numbers
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    journal = killed_here.sweep.journal
    lines = journal.read_bytes().splitlines(keepends=True)
    number = chance.randrange(len(lines) - 1)
    lines[number] = chance.randbytes(40).replace(b"\n", b" ") + b"\n"
    journal.write_bytes(b"".join(lines))
    before = journal.read_bytes()
    for verb in ("resume", "verify", "sync"):
        refused = killed_here.run(verb)
        assert refused.process.returncode == 2, refused.said
        assert f"journal damaged at line {number + 1}" in refused.said
        assert "--rebuild-journal" in refused.said
    assert journal.read_bytes() == before
    assert len(killed_here.sweeps) == 1
    rebuilt = killed_here.run("verify", "--rebuild-journal")
    assert rebuilt.process.returncode == 0, rebuilt.said
    (kept,) = killed_here.sweep.path.glob("journal.damaged-*.jsonl")
    assert kept.read_bytes() == before
    resumed = killed_here.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert killed_here.numbers() == undisturbed


def test_row_28_a_journal_that_is_gone_is_rebuilt_from_the_folders(killed_here: Driver, undisturbed: Numbers) -> None:
    killed_here.sweep.journal.unlink()
    rebuilt = killed_here.run("verify", "--rebuild-journal")
    assert rebuilt.process.returncode == 0, rebuilt.said
    assert killed_here.states == {"0001": "COMPLETED", "0002": "RUNNING"}
    resumed = killed_here.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert [event["attempt"] for event in killed_here.events("started", "0001")] == [1]
    assert killed_here.numbers() == undisturbed


def test_row_28_a_journal_in_order_is_not_rebuilt(killed_here: Driver) -> None:
    refused = killed_here.run("verify", "--rebuild-journal")
    assert refused.process.returncode == 2
    assert "there is nothing to rebuild" in refused.said
