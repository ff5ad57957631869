"""The loop around the schedule, with an executor that plays jobs; folders, journal and leases are real."""

import os
import signal
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptSpec
from runners.contract.states import FailureKind, JobState
from sweeper.control.attempt_ends import Tries
from sweeper.control.attempt_start import AttemptSettings
from sweeper.control.left import LeftJob, LeftSweep
from sweeper.control.running import Limits
from sweeper.executors.base import Exited
from sweeper.hardware.slots import Offer
from sweeper.stored.journal import JournalNotWrittenError
from tests.sweeper.controller_stage import (
    Stage,
    completes,
    fails,
    lives,
)
from tests.sweeper.fake_executor import PID


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_every_job_is_planned_started_and_ended_in_the_journal(stage: Stage) -> None:
    assert stage.run(completes, "0001", "0002") == 0
    jobs = [f"{kind} {job}" for job in ("0001", "0002") for kind in ("started", "process", "ended")]
    assert stage.told() == ["planned 0001", "planned 0002", "device_opened cpu", *jobs, "sweep_ended"]
    planned = stage.events("planned")[0]
    assert (planned["identity"], planned["n_devices"]) == ("identity of 0001", 1)
    assert len(planned["config_sha256"]) == 64
    assert [event["pid"] for event in stage.events("process")] == [PID, PID]
    ended = stage.events("ended")[0]
    assert (ended["checkpoint_sha256"], ended["counted"], ended["tries"]) == ("c0ffee", False, {})
    spec = AttemptSpec.read(stage.attempt("0001"))
    assert (spec.device, spec.n_threads, spec.batch_per_step, spec.accumulation) == ("cpu", 2, 4, 1)
    assert stage.executor.environments[0] == {"CUDA_VISIBLE_DEVICES": ""}
    assert "0001 title 0001 [red]: epoch 1 loss 0.500 val mAP50 40.0" in stage.out.getvalue()


def test_a_job_sees_only_the_gpu_of_its_slot_and_inherits_its_lease(stage: Stage) -> None:
    stage.devices = stage.gpus(2)[1:]
    assert stage.run(completes, "0001") == 0
    assert stage.executor.environments == [{"CUDA_VISIBLE_DEVICES": "GPU-1"}]
    assert stage.executor.leases == [[stage.devices[0].node]]
    assert stage.events("started")[0]["slot"] == "gpu1"


def test_a_job_on_two_gpus_sees_both_and_holds_both(stage: Stage) -> None:
    stage.devices = stage.gpus(2)
    stage.more = {"settings": AttemptSettings(n_devices=2)}
    assert stage.run(completes, "0001", "0002") == 0
    assert stage.executor.environments == [{"CUDA_VISIBLE_DEVICES": "GPU-0,GPU-1"}] * 2
    assert stage.executor.leases == [[device.node for device in stage.devices]] * 2
    assert [event["slot"] for event in stage.events("started")] == ["gpu0+gpu1"] * 2
    assert AttemptSpec.read(stage.attempt("0001")).n_devices == 2


def test_more_gpus_for_a_job_than_there_are_leave_it_for_a_resume(stage: Stage) -> None:
    stage.devices = stage.gpus(2)
    stage.more = {"settings": AttemptSettings(n_devices=4)}
    assert stage.run(completes, "0001") == 3
    assert stage.states() == {"0001": "PLANNED"}


def test_what_an_earlier_controller_left_is_neither_planned_again_nor_forgotten(stage: Stage) -> None:
    left = {
        "0001": LeftJob(JobState.COMPLETED),
        "0002": LeftJob(JobState.PAUSED, tries=Tries(n_losses=2)),
        "0003": LeftJob(JobState.PLANNED),
    }
    stage.more = {"left": LeftSweep(jobs=left)}
    assert stage.run(lambda attempt: -9, "0001", "0002", "0003", "0004") == 1
    assert stage.told("planned") == ["planned 0004"]
    assert stage.told("started")[0] == "started 0002"
    assert stage.told("started").count("started 0002") == 1
    assert "started 0001" not in stage.told("started")


def test_a_failure_is_told_at_once_with_its_log_and_the_others_go_on(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int:
        if attempt.job.job_id != "0001":
            return completes(attempt)
        attempt.log.write_text("line one\nRuntimeError: boom\n")
        return fails(FailureKind.BUG)(attempt)

    assert stage.run(play, "0001", "0002") == 1
    assert stage.states() == {"0001": "FAILED", "0002": "COMPLETED"}
    out = stage.out.getvalue()
    assert "0001 title 0001 [red]: FAILED (bug): boom" in out
    assert "| RuntimeError: boom" in out
    assert out.index("boom") < out.index("0002 title 0002 [red]: COMPLETED")


def test_a_process_that_vanishes_is_tried_again_and_fails_at_the_third_loss(stage: Stage) -> None:
    assert stage.run(lambda attempt: -9, "0001") == 1
    ended = stage.events("ended")
    assert [event["state"] for event in ended] == ["PAUSED", "PAUSED", "FAILED"]
    assert [event["tries"] for event in ended] == [{"n_losses": 1}, {"n_losses": 2}, {"n_losses": 3}]
    assert all(event["counted"] for event in ended)
    reason = "killed by signal 9 (SIGKILL) without a result"
    assert [event["reason"] for event in ended[:2]] == [reason, reason]
    assert ended[2]["reason"] == f"{reason}, 3 times; log: {stage.attempt('0001', 3).log}"


def test_a_process_that_could_not_start_says_why(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> None:
        stage.executor.events.append(Exited(attempt, 1, "no process: Resource temporarily unavailable"))

    stage.run(play, "0001")
    assert "FAILED (lost): no process: Resource temporarily unavailable" in stage.out.getvalue()


def test_one_that_the_kernel_ends_for_its_memory_is_tried_once_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(100))
    monkeypatch.setattr("sweeper.control.running.count_kernel_kills", lambda: next(kills))
    assert stage.run(lambda attempt: -9, "0001") == 1
    first, second = stage.events("ended")
    assert (first["kind"], first["state"], first["tries"]) == ("oom", "PAUSED", {"n_host_ooms": 1})
    assert first["reason"].startswith("killed, probably out of host memory, peak RSS ")
    assert second["state"] == "FAILED"
    assert ", 2 times; log: " in second["reason"]


def test_memory_that_was_short_is_tried_again_with_half_the_images_and_says_so(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int:
        return completes(attempt) if attempt.number == 2 else fails(FailureKind.OOM, "8 images are too many")(attempt)

    assert stage.run(play, "0001") == 0
    splits = [(event["batch_per_step"], event["accumulation"]) for event in stage.events("started")]
    assert splits == [(4, 1), (2, 2)]
    assert AttemptSpec.read(stage.attempt("0001", 2)).batch_per_step == 2
    first = stage.events("ended")[0]
    assert (first["kind"], first["state"], first["tries"]) == ("oom", "PAUSED", {"n_ooms": 1})
    assert first["reason"] == "8 images are too many; goes on with half the images at a time"


def test_memory_that_is_short_with_half_the_images_too_fails(stage: Stage) -> None:
    assert stage.run(fails(FailureKind.OOM), "0001") == 1
    assert [event["state"] for event in stage.events("ended")] == ["PAUSED", "FAILED"]


def test_a_full_disk_starts_nothing_more_and_is_said_once(stage: Stage) -> None:
    stage.offer = Offer(2)
    assert stage.run(fails(FailureKind.DISK, "needs 3 GB, has 1 GB"), "0001", "0002", "0003") == 3
    assert stage.states() == {"0001": "PAUSED", "0002": "PAUSED", "0003": "PLANNED"}
    assert [event["counted"] for event in stage.events("ended")] == [False, False]
    assert [event["reason"] for event in stage.events("stop_asked")] == ["disk"]
    assert stage.out.getvalue().count("disk full: needs 3 GB, has 1 GB; nothing more is started") == 1


def test_an_end_is_judged_by_what_ended_before_it(stage: Stage) -> None:
    """Both are found in one look: the loss came when the sweep was stopping already, and is not counted."""
    stage.offer = Offer(2)
    stage.more = {"limits": Limits(max_losses=1)}

    def play(attempt: AttemptFolder) -> int:
        return fails(FailureKind.DISK)(attempt) if attempt.job.job_id == "0001" else -9

    assert stage.run(play, "0001", "0002") == 3
    assert stage.states() == {"0001": "PAUSED", "0002": "PAUSED"}
    assert [event["tries"] for event in stage.events("ended")] == [{}, {}]


def test_a_journal_that_cannot_be_written_ends_the_sweep_with_3_and_nothing_is_done_that_is_not_in_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(attempt: AttemptFolder) -> int:
        def fail(descriptor: int, line: bytes) -> int:
            raise OSError(28, "No space left on device")

        returncode = completes(attempt)
        monkeypatch.setattr("sweeper.stored.journal.os.write", fail)
        return returncode

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(UserError, match="journal cannot be written") as told:
        stage.run(play, "0001", "0002")
    assert told.value.exit_code == 3
    monkeypatch.undo()
    assert stage.states() == {"0001": "RUNNING", "0002": "PLANNED"}
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers


def test_an_attempt_whose_folder_cannot_be_made_ends_the_sweep_with_3(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(spec: AttemptSpec, attempt: AttemptFolder) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AttemptSpec, "write", fail)
    with pytest.raises(JournalNotWrittenError, match=r"attempt of job 0001 cannot be written .*No space left"):
        stage.run(completes, "0001")
    assert stage.told("started") == []


def test_a_disk_that_takes_no_stop_file_keeps_no_job_from_stopping(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    def play(attempt: AttemptFolder) -> None:
        monkeypatch.setattr("sweeper.control.running.write_text", fail)
        os.kill(os.getpid(), signal.SIGTERM)

    assert stage.run(play, "0001") == 143
    assert stage.states() == {"0001": "PAUSED"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_lets_jobs_save_and_starts_nothing_more(stage: Stage, number: int, code: int) -> None:
    def play(attempt: AttemptFolder) -> None:
        os.kill(os.getpid(), number)

    assert stage.run(play, "0001", "0002") == code
    assert stage.attempt("0001").stop.read_text() == "interrupt"
    assert stage.states() == {"0001": "PAUSED", "0002": "PLANNED"}
    assert "stopping, 1 job is saving; Ctrl-C again kills" in stage.out.getvalue()
    assert stage.events("stop_asked")[0]["signal"] == number


def test_a_second_signal_kills_what_did_not_stop(stage: Stage) -> None:
    stage.executor.deaf = {"0001"}
    stage.on_tick = lambda number: os.kill(os.getpid(), signal.SIGINT) if number in (2, 5) else None
    assert stage.run(lives, "0001") == 130
    assert stage.executor.asked("terminate", "kill") == [("terminate", "0001"), ("kill", "0001")]
    assert stage.events("ended")[0]["counted"] is False


def test_a_job_that_does_not_stop_is_killed_when_its_time_is_over(stage: Stage) -> None:
    stage.executor.deaf = {"0001"}
    stage.more = {"limits": Limits(grace_s=60.0)}
    killed_at: list[float] = []

    def tick(number: int) -> None:
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        elif number > 2:
            stage.now_s += 10.0
            if stage.executor.asked("kill"):
                killed_at.append(stage.now_s)

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 143
    assert stage.executor.asked("kill") == [("kill", "0001")]
    assert killed_at == [70.0]  # seen in the tick after
