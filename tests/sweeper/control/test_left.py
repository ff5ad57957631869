"""What a journal tells of a sweep whose controller is gone, and how its running attempts are ended in it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control import left as left_module
from sweeper.control.attempt_ends import Tries
from sweeper.control.left import end_what_was_left_running, read_left
from sweeper.stored.journal import Journal, SweepOwnedError, read_journal
from sweeper.stored.processes import birth_of, boot_id
from sweeper.stored.sweep_folder import write_sweep
from tests.sweeper.planned import plan_of


class Left:
    """A sweep of three jobs whose controller is gone."""

    def __init__(self, folder: Path) -> None:
        self.sweep = SweepFolder(folder / "20260101-000000_seed_ab12")
        self.sweep.jobs.mkdir(parents=True)
        plan = plan_of([0, 1, 2])
        write_sweep(self.sweep, plan, "seed", [])
        self.begin()
        for job in plan.jobs:
            self.tell("planned", job=job.job_id, state="PLANNED", identity=job.identity, config_sha256="c0ffee")

    def tell(self, event: str, **fields: Any) -> None:
        with Journal(self.sweep.journal) as journal:
            journal.append(event, **fields)

    def begin(self, **changes: str) -> None:
        who = {"host": socket.gethostname(), "boot_id": boot_id(), **changes}
        self.tell("sweep_started", **who, versions={"torch": "2.15.0"})

    def start(self, job_id: str, **process: Any) -> AttemptFolder:
        """Start an attempt; ``pid`` and ``born_at`` if its process was written down."""
        attempt = self.sweep.job(job_id).take_attempt()
        AttemptSpec(attempt.number, "cpu", 1, 0, 4, 1).write(attempt)
        self.tell("started", job=job_id, attempt=attempt.number, state="RUNNING", slot="cpu/0")
        if process:
            self.tell("process", job=job_id, attempt=attempt.number, **process)
        return attempt

    def end(self, job_id: str, state: str, **tries: int) -> None:
        self.tell("ended", job=job_id, attempt=1, state=state, reason="so", tries=tries)

    def resume(self, max_losses: int = 3) -> dict[str, JobState]:
        """End what runs; return the states, which the journal has to tell as well."""
        left = read_left(self.sweep)
        with Journal(self.sweep.journal) as journal:
            end_what_was_left_running(self.sweep, left, journal, max_losses)
        again = read_left(self.sweep)
        assert again.jobs == left.jobs
        return dict(left.states)

    def ended(self) -> list[dict[str, Any]]:
        return [event for event in read_journal(self.sweep.journal) if event["event"] == "ended"]


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives as long as the test wants."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_states_tries_and_runs_are_the_fold_of_the_events(left: Left) -> None:
    left.start("0001", pid=77, born_at=5.0)
    left.end("0001", "PAUSED", n_losses=1, n_ooms=1)
    left.start("0002", pid=78, born_at=6.0)
    left.start("0002")
    left.tell("reused", job="0003", state="REUSED", run_id="abc", folder="/elsewhere/0007")
    left.tell("device_opened", device="gpu0", name="H200", n_shares=1)
    left.begin(host="second")
    found = read_left(left.sweep)
    assert (found.host, found.boot_id, found.versions) == ("second", boot_id(), {"torch": "2.15.0"})
    assert found.was_on_gpus
    one, two, three = found.jobs.values()
    assert (one.state, one.tries, one.reason) == (JobState.PAUSED, Tries(n_losses=1, n_ooms=1), "so")
    assert (one.identity, one.config_sha256, one.attempt) == ("id 0", "c0ffee", 1)
    # Whose process is not known yet, whatever ran before.
    assert (two.state, two.attempt, two.pid) == (JobState.RUNNING, 2, None)
    assert (three.state, three.reused) == (JobState.REUSED, {"run_id": "abc", "folder": "/elsewhere/0007"})


def test_what_users_asked_for_is_not_forgotten(left: Left) -> None:
    left.end("0001", "FAILED", n_losses=3)
    left.tell("retried", job="0001", state="PLANNED", reason="asked for")
    left.tell("cancelled", job="0002", state="CANCELLED", reason="asked for")
    left.tell("postponed", job="0003", state="PAUSED", reason="asked for")
    found = read_left(left.sweep)
    assert list(found.states.values()) == [JobState.PLANNED, JobState.CANCELLED, JobState.PAUSED]
    assert found.jobs["0001"].tries == Tries()


def test_an_event_that_cannot_be_understood_is_told_with_the_journal(left: Left) -> None:
    left.tell("ended", job="0001", state="SOMEWHERE", tries={})
    with pytest.raises(UserError, match=r"journal damaged in .*journal\.jsonl: .*SOMEWHERE"):
        read_left(left.sweep)


def test_an_attempt_that_left_its_result_has_its_outcome(left: Left) -> None:
    attempt = left.start("0001")
    AttemptResult(1, AttemptOutcome.COMPLETED, checkpoint_sha256="c0de").write(attempt)
    attempt = left.start("0002")
    failure = Failure(FailureKind.OOM, "4 images are too many")
    AttemptResult(1, AttemptOutcome.FAILED, failure=failure).write(attempt)
    states = left.resume()
    assert (states["0001"], states["0002"]) == (JobState.COMPLETED, JobState.PAUSED)
    first, second = left.ended()
    assert (first["checkpoint_sha256"], first["counted"]) == ("c0de", False)
    assert (second["kind"], second["counted"], second["tries"]) == ("oom", True, {"n_ooms": 1})


def test_how_many_losses_are_put_up_with_holds_here_too(left: Left) -> None:
    attempt = left.start("0001")
    failure = Failure(FailureKind.LOST, "a data loader worker vanished")
    AttemptResult(1, AttemptOutcome.FAILED, failure=failure).write(attempt)
    assert left.resume(max_losses=1)["0001"] is JobState.FAILED


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        ({}, "its controller died"),
        ({"boot_id": "another"}, "the machine was restarted"),
        ({"host": "elsewhere"}, "its controller on elsewhere is gone"),
    ],
)
def test_an_attempt_that_left_nothing_was_lost_with_its_controller_and_is_not_blamed(
    left: Left, since: dict[str, str], reason: str
) -> None:
    left.begin(**since)
    left.start("0001", pid=2**22 - 1, born_at=1.0)
    assert left.resume() == {"0001": JobState.PAUSED, "0002": JobState.PLANNED, "0003": JobState.PLANNED}
    (ended,) = left.ended()
    assert (ended["outcome"], ended["kind"], ended["reason"]) == ("lost", "lost", reason)
    assert (ended["counted"], ended["tries"]) == (False, {})


def test_an_attempt_whose_folder_is_gone_was_lost(left: Left) -> None:
    attempt = left.start("0001")
    attempt.spec.unlink()
    attempt.path.rmdir()
    assert left.resume()["0001"] is JobState.PAUSED


def test_resuming_twice_ends_nothing_twice(left: Left) -> None:
    left.start("0001")
    left.resume()
    assert left.resume()["0001"] is JobState.PAUSED
    assert len(left.ended()) == 1


def test_a_process_that_still_saves_is_waited_for(
    left: Left, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(seconds: float) -> None:
        process.communicate()

    left.start("0001", pid=process.pid, born_at=birth_of(process.pid))
    monkeypatch.setattr(time, "sleep", end)
    assert left.resume()["0001"] is JobState.PAUSED
    assert process.returncode is not None


@pytest.mark.parametrize("is_written_down", [True, False])
def test_no_second_attempt_beside_a_process_that_does_not_end(
    left: Left, monkeypatch: pytest.MonkeyPatch, is_written_down: bool
) -> None:
    """Whether it was written down or not: a controller may die between a start and the news of its process."""
    monkeypatch.setattr(left_module, "WAIT_S", 0.1)
    monkeypatch.setattr(left_module, "POLL_S", 0.02)
    folder = left.sweep.job("0001").path
    job = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=folder)
    left.start("0001", **({"pid": job.pid, "born_at": birth_of(job.pid)} if is_written_down else {}))
    with pytest.raises(SweepOwnedError, match=rf"job 0001 of the sweep: its process {job.pid} still lives"):
        left.resume()
    assert left.ended() == []
    job.communicate()
    assert left.resume()["0001"] is JobState.PAUSED


def test_a_process_of_the_same_number_is_not_taken_for_it(left: Left, process: subprocess.Popen[bytes]) -> None:
    left.start("0001", pid=process.pid, born_at=1.0)
    assert left.resume()["0001"] is JobState.PAUSED
    assert process.poll() is None


def test_after_a_restart_of_the_machine_no_process_is_judged(left: Left, process: subprocess.Popen[bytes]) -> None:
    left.begin(boot_id="another")
    left.start("0001", pid=process.pid, born_at=birth_of(process.pid))
    assert left.resume()["0001"] is JobState.PAUSED


@pytest.mark.parametrize(("op", "state"), [("stop", "CANCELLED"), ("next", "PAUSED")])
def test_a_wish_to_cancel_that_a_controller_took_to_its_grave_is_still_one(left: Left, op: str, state: str) -> None:
    left.begin()
    left.start("0001")
    left.tell("requested", name="1.0-a.json", op=op, job="0001")
    assert left.resume()["0001"].value == state
