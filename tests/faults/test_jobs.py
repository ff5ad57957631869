"""Rows 1 to 3, 7, 9 to 11, 14, 15, 18: a job's process dies, hangs, or fails."""

import os
import random
import signal
import time

import psutil
import pytest

from runners.contract.checkpoint_files import find_resume_point
from tests.faults.driver import Driver, lives
from tests.quick_job import Fault, Play

Numbers = dict[str, dict[str, float]]

# An attempt that stands still is given a second to save, where the controller would give it half a minute.
IMPATIENT = {"sweeper.control.running:STALL_GRACE_S": 1.0, "sweeper.control.running:DUMP_S": 0.2}
STALL_LIMITS = ("first_step_limit_min=0.03", "step_limit_min=0.03")


def test_row_01_a_job_that_is_killed_goes_on_at_once_and_the_other_takes_no_notice(
    drive: Driver, undisturbed: Numbers
) -> None:
    seed = random.randrange(2**32)
    iteration = random.Random(seed).randrange(5, 12)
    print(f"seed {seed}: killed at iteration {iteration}")
    command = drive.train("jobs_per_gpu=2", play=Play(iteration_s=0.1))
    drive.until(lambda: drive.n_iterations("0001") >= iteration)
    os.kill(drive.pid_of("0001"), signal.SIGKILL)
    killed_at = time.time()
    assert command.wait() == 0, command.said
    lost, _ = drive.events("ended", "0001")
    assert lost["outcome"] == "lost"
    assert lost["counted"]
    assert lost["at"] - killed_at < 5
    assert "killed by signal 9 (SIGKILL)" in lost["reason"]
    first, second = drive.events("started", "0001")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert second["resume"].startswith("checkpoints/a1_epoch_")
    assert [event["outcome"] for event in drive.events("ended", "0002")] == ["completed"]
    assert drive.numbers() == undisturbed


def test_row_01_the_third_loss_fails_the_job(drive: Driver) -> None:
    command = drive.train(play=Play(faults=(Fault("kill", job="0001", iteration=6),)))
    assert command.wait() == 1
    assert drive.states == {"0001": "FAILED", "0002": "COMPLETED"}
    ends = drive.events("ended", "0001")
    assert [(event["outcome"], event["state"]) for event in ends] == [
        ("lost", "PAUSED"),
        ("lost", "PAUSED"),
        ("lost", "FAILED"),
    ]
    assert "killed by signal 9 (SIGKILL)" in ends[-1]["reason"]
    assert "3 times" in ends[-1]["reason"]
    assert str(drive.attempt("0001", 3).log) in command.said


def test_row_02_an_exception_fails_the_job_at_once_and_the_sweep_goes_on(drive: Driver) -> None:
    command = drive.train(play=Play(faults=(Fault("raise", job="0001", iteration=3),)))
    assert command.wait() == 1
    assert drive.states == {"0001": "FAILED", "0002": "COMPLETED"}
    assert len(drive.events("started", "0001")) == 1
    assert "RuntimeError: an exception that was asked for" in command.said
    assert f"log: {drive.attempt('0001', 1).log}" in command.said
    assert command.said.index("an exception that was asked for") < command.said.index("Comparison")


@pytest.mark.parametrize(
    ("what", "words", "told"),
    [("segfault", "Segmentation fault", "signal 11 (SIGSEGV)"), ("abort", "Aborted", "signal 6 (SIGABRT)")],
)
def test_row_03_a_crash_leaves_its_stack_in_the_log_and_is_tried_again(
    drive: Driver, undisturbed: Numbers, what: str, words: str, told: str
) -> None:
    command = drive.train(play=Play(faults=(Fault(what, job="0001", attempts=(1,), iteration=6),)))
    assert command.wait() == 0, command.said
    log = drive.attempt("0001", 1).log.read_text(encoding="utf-8")
    assert f"Fatal Python error: {words}" in log
    assert "quick_job.py" in log
    assert told in drive.events("ended", "0001")[0]["reason"]
    assert drive.numbers() == undisturbed


def test_row_07_what_does_not_stop_is_killed_at_the_second_ctrl_c(drive: Driver, undisturbed: Numbers) -> None:
    stubborn = Play(iteration_s=0.1, faults=(Fault("ignore stops", iteration=1),))
    command = drive.train("jobs_per_gpu=2", "n_epochs=50", play=stubborn)
    drive.until(lambda: min(drive.n_iterations("0001"), drive.n_iterations("0002")) > 5)
    processes = psutil.Process(command.process.pid).children(recursive=True)
    command.interrupt()
    drive.until(lambda: "Ctrl-C again kills" in command.said)
    command.interrupt()
    assert command.wait() == 130
    assert not [process for process in processes if lives(process)]
    assert set(drive.states.values()) == {"PAUSED"}
    assert not any(event["counted"] for event in drive.events("ended"))


def test_row_07_what_does_not_stop_is_killed_when_its_grace_is_over(drive: Driver) -> None:
    stubborn = Play(iteration_s=0.1, faults=(Fault("ignore stops", iteration=1),))
    command = drive.train("n_epochs=50", play=stubborn, patches={"sweeper.verbs.train:Limits": {"grace_s": 1.0}})
    drive.until(lambda: drive.n_iterations("0001") > 5)
    command.interrupt()
    assert command.wait() == 130
    assert drive.states == {"0001": "PAUSED", "0002": "PLANNED"}


def test_row_09_a_job_that_hangs_is_stopped_with_its_stacks_told_and_tried_once_more(
    drive: Driver, undisturbed: Numbers
) -> None:
    hangs = Play(faults=(Fault("hang", job="0001", attempts=(1,), iteration=6),))
    command = drive.train(*STALL_LIMITS, play=hangs, patches=IMPATIENT)
    drive.until(lambda: (drive.folder / "outputs").exists() and bool(list(drive.folder.glob("**/heartbeat"))))
    assert command.wait() == 0, command.said
    stalled, _ = drive.events("ended", "0001")
    assert (stalled["outcome"], stalled["state"], stalled["counted"]) == ("stalled", "PAUSED", True)
    log = drive.attempt("0001", 1).log.read_text(encoding="utf-8")
    assert "in _hang" in log  # where it stands
    assert "in beat" in log  # and the thread that lives
    assert "no progress for" in command.said
    assert drive.numbers() == undisturbed


def test_row_09_a_job_that_hangs_again_has_failed(drive: Driver) -> None:
    hangs = Play(faults=(Fault("hang", job="0001", iteration=1),))
    command = drive.train(*STALL_LIMITS, play=hangs, patches=IMPATIENT)
    assert command.wait() == 1
    assert [event["outcome"] for event in drive.events("ended", "0001")] == ["stalled", "stalled"]
    assert drive.states == {"0001": "FAILED", "0002": "COMPLETED"}


def test_row_10_what_a_killed_job_has_forked_is_gone_before_the_next_attempt(
    drive: Driver, undisturbed: Numbers
) -> None:
    command = drive.train(play=Play(faults=(Fault("orphan", job="0001", attempts=(1,), iteration=6),)))
    assert command.wait() == 0, command.said
    orphan = int((drive.sweep.job("0001").path / "orphan").read_text())
    assert not psutil.pid_exists(orphan) or not lives(psutil.Process(orphan))
    assert drive.numbers() == undisturbed


def test_row_11_a_frozen_job_is_killed_before_its_successor_starts(drive: Driver, undisturbed: Numbers) -> None:
    frozen = Play(faults=(Fault("freeze", job="0001", attempts=(1,), iteration=6),))
    command = drive.train(*STALL_LIMITS, play=frozen, patches=IMPATIENT)
    pid = drive.pid_of("0001")
    process = psutil.Process(pid)
    drive.until(lambda: not lives(process) or process.status() == psutil.STATUS_STOPPED)
    drive.until(lambda: len(drive.events("started", "0001")) == 2)
    assert not lives(process)
    assert command.wait() == 0, command.said
    assert drive.events("ended", "0001")[0]["outcome"] == "stalled"
    assert drive.numbers() == undisturbed


def test_row_14_out_of_memory_is_tried_once_with_half_the_images(drive: Driver) -> None:
    command = drive.train(play=Play(faults=(Fault("oom", job="0001", iteration=6, above_batch=2),)))
    assert command.wait() == 0, command.said
    splits = [(event["batch_per_step"], event["accumulation"]) for event in drive.events("started", "0001")]
    assert splits == [(4, 1), (2, 2)]
    failed = drive.events("ended", "0001")[0]
    assert (failed["outcome"], failed["kind"], failed["state"]) == ("failed", "oom", "PAUSED")
    assert "half the images" in command.said
    told = command.said[command.said.index("Comparison") :]
    assert "_seed0 †" in told  # the job that was halved, and not the other
    assert "† did not fit into memory and was trained with fewer images per step" in told


def test_row_14_out_of_memory_again_has_failed(drive: Driver) -> None:
    command = drive.train(play=Play(faults=(Fault("oom", job="0001", iteration=6),)))
    assert command.wait() == 1
    assert drive.states == {"0001": "FAILED", "0002": "COMPLETED"}
    assert len(drive.events("started", "0001")) == 2
    assert drive.events("ended", "0001")[-1]["kind"] == "oom"


def test_row_15_a_job_that_took_all_memory_is_named_and_tried_once_more(drive: Driver) -> None:
    greedy = Play(faults=(Fault("take memory", job="0001", attempts=(1,), iteration=6),))
    share = 2e8 / psutil.virtual_memory().total
    command = drive.train(play=greedy, patches={"sweeper.control.losses:LARGE_SHARE": share})
    assert command.wait() == 0, command.said
    killed = drive.events("ended", "0001")[0]
    assert (killed["outcome"], killed["kind"], killed["counted"]) == ("lost", "oom", True)
    assert "killed, probably out of host memory, peak RSS 0.4 GB" in killed["reason"]


def test_row_18_a_loss_that_is_no_number_fails_the_job_and_keeps_its_last_checkpoint(drive: Driver) -> None:
    command = drive.train(play=Play(faults=(Fault("diverged", job="0001", iteration=10),)))
    assert command.wait() == 1
    assert drive.states == {"0001": "FAILED", "0002": "COMPLETED"}
    assert len(drive.events("started", "0001")) == 1
    assert "loss is NaN at iteration 10" in command.said
    assert find_resume_point(drive.sweep.job("0001")).spec_value == "checkpoints/a1_epoch_2.pth"
