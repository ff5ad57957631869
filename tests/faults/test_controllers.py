"""Rows 4 to 6, 8, 12, 13, 33, 35, 36: the controller is killed, interrupted, doubled, or misled about time or place."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.soak import main as soak
from runners.contract.failpoints import EXIT_STATUS, FAILPOINTS, VARIABLE
from runners.contract.folder import SweepFolder
from sweeper.stored.processes import birth_of
from tests.faults.driver import Driver, lives
from tests.faults.patched import NOTHING
from tests.faults.test_store import DATABASE_STOP, OUTBOX_STOPS
from tests.quick_job import Play

Numbers = dict[str, dict[str, float]]

SLOW = Play(iteration_s=0.1)


def resume(drive: Driver, *words: str, **how: Any) -> tuple[int, str]:
    command = drive.run("resume", *words, **how)
    return command.process.returncode, command.said


def test_row_04_a_controller_that_is_killed_leaves_no_job_and_no_work_is_lost(
    drive: Driver, undisturbed: Numbers
) -> None:
    command = drive.train(play=SLOW)
    drive.until(lambda: drive.n_iterations("0002") > 5)
    children = psutil.Process(command.process.pid).children(recursive=True)
    assert len(children) >= 2  # the server and the job
    command.kill()
    assert drive.states == {"0001": "COMPLETED", "0002": "RUNNING"}
    assert resume(drive)[0] == 0
    assert not [child for child in children if lives(child)]
    assert [event["job"] for event in drive.events("started")] == ["0001", "0002", "0002"]
    assert drive.events("started")[-1]["resume"].startswith("checkpoints/a1_epoch_1")
    assert not drive.events("ended", "0002")[0]["counted"]
    assert drive.numbers() == undisturbed


def test_row_04_a_server_that_is_killed_again_and_again_leaves_a_sweep_that_can_be_resumed(
    drive: Driver, undisturbed: Numbers
) -> None:
    command = drive.train(play=SLOW)
    for number in range(1, 5):
        drive.until(lambda number=number: len(drive.events("process")) == number)  # type: ignore[misc]
        (server,) = psutil.Process(command.process.pid).children()
        server.kill()
    assert command.wait() == 3, command.said
    assert "after 3 restarts" in command.said
    assert not any(event["counted"] for event in drive.events("ended"))
    resumed = drive.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert drive.numbers() == undisturbed


def test_rows_01_and_04_random_kills_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = soak(["--quick", "--kills", "5", "--folder", str(tmp_path / "soak")])
    said = capsys.readouterr().out  # begins with the seed of the random moments
    assert code == 0, said
    assert "nothing was lost" in said


# How often each place is passed before the end comes: at least once for each kind of event or file.
NEW_SWEEP_STOPS = [
    *("json.rename.before:1", "json.rename.before:4", "json.rename.after:4"),
    *("journal.append.before:1", "journal.append.after:4", "spawn.after:1"),
]
PLANNED_SWEEP_STOPS = [
    *(f"journal.append.before:{n}" for n in (4, 9)),
    *(f"journal.append.after:{n}" for n in range(1, 9)),
    *("spawn.before:1", "spawn.after:2"),
]
JOB_STOPS = [
    *("checkpoint.rename.before:1@1", "checkpoint.rename.before:5@1"),
    *("checkpoint.rename.after:1@1", "checkpoint.rename.after:2@1"),
    *("json.rename.before:1@1", "json.rename.before:4@1", "json.rename.after:4@1"),
    *("line.append.before:1@1", "line.append.after:12@1"),
]


def test_row_05_every_failpoint_is_run() -> None:
    stops = [*NEW_SWEEP_STOPS, *PLANNED_SWEEP_STOPS, *JOB_STOPS, *OUTBOX_STOPS, DATABASE_STOP]
    assert {stop.partition(":")[0] for stop in stops} == set(FAILPOINTS)


@pytest.mark.parametrize("stop", NEW_SWEEP_STOPS)
def test_row_05_a_new_sweep_that_ends_at_a_failpoint_is_followed_to_the_same_numbers(
    drive: Driver, undisturbed: Numbers, stop: str
) -> None:
    command = drive.train(env={VARIABLE: stop})
    assert command.wait() == EXIT_STATUS, command.said
    # Where it had not come to the plan, nothing is there that could be resumed.
    again = drive.run("resume") if drive.sweeps else drive.train()
    assert again.wait() == 0, again.said
    assert drive.numbers(drive.sweeps[-1]) == undisturbed


@pytest.mark.parametrize("stop", PLANNED_SWEEP_STOPS)
def test_row_05_a_controller_that_ends_at_a_failpoint_is_followed_to_the_same_numbers(
    planned_here: Driver, undisturbed: Numbers, stop: str
) -> None:
    stopped = planned_here.run("resume", env={VARIABLE: stop})
    assert stopped.process.returncode == EXIT_STATUS, stopped.said
    resumed = planned_here.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert planned_here.numbers() == undisturbed


@pytest.mark.parametrize("stop", JOB_STOPS)
def test_row_05_a_job_that_ends_at_a_failpoint_is_followed_to_the_same_numbers(
    drive: Driver, undisturbed: Numbers, stop: str
) -> None:
    command = drive.train(env={VARIABLE: stop})
    assert command.wait() == 0, command.said
    # Each job's first attempt has ended there, and if that was behind its result it had completed.
    outcomes = {event["outcome"] for event in drive.events("ended") if event["attempt"] == 1}
    assert outcomes == ({"completed"} if stop == "json.rename.after:4@1" else {"lost"})
    assert drive.numbers() == undisturbed


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda n: str(int(n))
)
def test_rows_06_and_08_a_signal_lets_jobs_save_and_the_sweep_goes_on_later(
    drive: Driver, undisturbed: Numbers, number: int, code: int
) -> None:
    command = drive.train("jobs_per_gpu=2", play=SLOW)
    drive.until(lambda: min(drive.n_iterations("0001"), drive.n_iterations("0002")) > 2)
    (_, server), *_ = [(p.ppid(), p) for p in psutil.Process(command.process.pid).children()]
    assert os.getsid(server.pid) != os.getsid(command.process.pid)  # a closed terminal does not reach the jobs
    command.interrupt(number)
    assert command.wait() == code
    assert "stopping, 2 jobs are saving; Ctrl-C again kills" in command.said
    assert f"detsweep resume {drive.sweep.path}" in command.said
    assert set(drive.states.values()) == {"PAUSED"}
    assert [(e["outcome"], e["counted"]) for e in drive.events("ended")] == [("interrupted", False)] * 2
    assert resume(drive)[0] == 0
    assert all(event["resume"] for event in drive.events("started")[2:])
    assert drive.numbers() == undisturbed


def _rewrite(sweep: SweepFolder, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the events of a journal that nobody owns."""
    events = [json.loads(line) for line in sweep.journal.read_text(encoding="utf-8").splitlines()]
    for event in events:
        change(event)
    sweep.journal.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any sweep."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def _killed_in_the_first_job(drive: Driver) -> None:
    drive.train(play=SLOW)
    drive.until(lambda: drive.has_checkpoint("0001"))
    drive.until(lambda: bool(drive.events("process")))
    drive.cut_the_power()


def test_row_12_a_process_that_has_the_number_of_an_old_job_is_left_alone(
    drive: Driver, undisturbed: Numbers, bystander: subprocess.Popen[bytes]
) -> None:
    _killed_in_the_first_job(drive)

    def take_the_number(event: dict[str, Any]) -> None:
        if event["event"] == "process":
            event["pid"] = bystander.pid

    _rewrite(drive.sweep, take_the_number)
    began = time.monotonic()
    assert resume(drive)[0] == 0
    assert time.monotonic() - began < 20  # nobody waited for it to go
    assert bystander.poll() is None
    assert drive.numbers() == undisturbed


def test_row_13_after_a_restart_of_the_machine_nothing_is_waited_for_and_nothing_counts(
    drive: Driver, undisturbed: Numbers, bystander: subprocess.Popen[bytes]
) -> None:
    _killed_in_the_first_job(drive)

    def restart(event: dict[str, Any]) -> None:
        if event["event"] == "sweep_started":
            event["boot_id"] = "another run of the kernel"
        if event["event"] == "process":  # the new run has given number and birth to somebody else
            event["pid"], event["born_at"] = bystander.pid, birth_of(bystander.pid)

    _rewrite(drive.sweep, restart)
    assert resume(drive)[0] == 0
    ended = drive.events("ended", "0001")[0]
    assert (ended["outcome"], ended["counted"]) == ("lost", False)
    assert "restarted" in ended["reason"]
    assert bystander.poll() is None
    assert drive.numbers() == undisturbed
    bystander.kill()
    bystander.wait()


def test_row_33_of_two_that_resume_a_sweep_at_once_one_is_told_who_owns_it(drive: Driver, undisturbed: Numbers) -> None:
    _killed_in_the_first_job(drive)
    both = [drive.begin("resume", play=SLOW) for _ in range(2)]
    codes = [command.wait() for command in both]
    assert sorted(codes) == [0, 4]
    refused, other = sorted(both, key=lambda command: command.process.returncode, reverse=True)
    # Who owns it is known by name once the owner has written so.
    assert f"pid {other.process.pid} on " in refused.said or "another detsweep process owns it" in refused.said
    assert len(drive.events("started", "0001")) == 2
    assert drive.numbers() == undisturbed


def test_row_33_a_sweep_that_runs_is_not_touched_by_another_controller(drive: Driver) -> None:
    command = drive.train(play=SLOW)
    drive.until(lambda: drive.n_iterations("0001") > 1)
    for verb in ("resume", "sync"):
        code, said = drive.run(verb).process.returncode, drive.commands[-1].said
        assert code == 4, said
        assert f"pid {command.process.pid} on " in said
    assert len(drive.events("sweep_started")) == 1
    live = drive.verify()
    assert live["violations"] == []
    assert live["not_checked"]["12"] == "the sweep is at work"
    assert command.wait() == 0


def test_row_35_processes_of_another_machine_are_never_judged(
    drive: Driver, undisturbed: Numbers, bystander: subprocess.Popen[bytes]
) -> None:
    _killed_in_the_first_job(drive)

    def move(event: dict[str, Any]) -> None:
        if event["event"] == "sweep_started":
            event["host"] = "elsewhere"
        if event["event"] == "process":
            event["pid"], event["born_at"] = bystander.pid, birth_of(bystander.pid)

    _rewrite(drive.sweep, move)
    began = time.monotonic()
    assert resume(drive)[0] == 0
    assert time.monotonic() - began < 20
    assert "elsewhere is gone" in drive.events("ended", "0001")[0]["reason"]
    assert drive.numbers() == undisturbed
    bystander.kill()
    bystander.wait()


def test_row_35_a_file_system_that_does_not_lock_is_refused(drive: Driver) -> None:
    refused = drive.train(patches={"fcntl:flock": NOTHING})
    assert refused.wait() == 2, refused.said
    assert "this file system does not lock" in refused.said
    assert not any(drive.events("started"))


@pytest.mark.parametrize("jump_s", [86400.0, -86400.0], ids=["a day on", "a day back"])
def test_row_36_a_clock_that_jumps_ends_no_job(drive: Driver, undisturbed: Numbers, jump_s: float) -> None:
    clock = drive.folder / "clock"
    command = drive.train("seed=0", play=SLOW, env={"DETSWEEP_TEST_CLOCK": str(clock)})
    drive.until(lambda: drive.n_iterations("0001") > 3)
    clock.write_text(str(jump_s))
    assert command.wait() == 0, command.said
    assert [event["outcome"] for event in drive.events("ended")] == ["completed"]
    times = [event["at"] for event in drive.events()]
    assert max(abs(later - earlier) for earlier, later in itertools.pairwise(times)) > 80000  # it did jump
    assert drive.numbers()["0001"] == undisturbed["0001"]


def test_rows_05_and_28_the_torn_last_line_of_a_journal_is_written_over(drive: Driver, undisturbed: Numbers) -> None:
    _killed_in_the_first_job(drive)
    journal: Path = drive.sweep.journal
    with journal.open("ab") as file:
        file.write(b'{"at": 1.0, "event": "ended", "job": "0001", "st')
    assert resume(drive)[0] == 0
    assert drive.numbers() == undisturbed
