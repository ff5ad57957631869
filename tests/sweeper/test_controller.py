"""The loop around the schedule, with an executor that plays jobs; folders, journal and clock are real."""

import io
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind
from sweeper.controller import Controller
from sweeper.dataset import PreparedDataset
from sweeper.devices import CPU
from sweeper.executors.base import Executor, ExecutorEvent, Exited, Started
from sweeper.journal import Journal, read_journal
from sweeper.plan import PlannedJob
from sweeper.progress import Progress
from sweeper.slots import Device, plan_slots
from sweeper.tracking import Tracker, TrackingSettings

Play = Callable[[AttemptFolder], int | None]

DATASET = PreparedDataset({}, {}, ["a"], "f" * 64, {"train": 4}, {"val": True}, [])
CONFIG = {
    "choices": {"detector": "faster_rcnn", "dataset": "shapes"},
    "dataset": {"name": "shapes", "root": "data"},
    "optimizer": {"lr": 0.02},
    "lr_effective": 0.005,
    "batch_size": 4,
}


class PlayedExecutor(Executor):
    """Calls a function per attempt; it returns the exit status, or None to live on until it is told to stop."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.events: list[ExecutorEvent] = []
        self.environments: list[Mapping[str, str]] = []
        self.killed: list[str] = []

    def start(self, attempt: AttemptFolder, environment: Mapping[str, str]) -> None:
        self.environments.append(environment)
        self.events.append(Started(attempt, 4711))
        returncode = self.play(attempt)
        if returncode is not None:
            self.events.append(Exited(attempt, returncode))

    def terminate(self, attempt: AttemptFolder) -> None:
        if attempt.stop.read_text() == "interrupt" and attempt.job.job_id != "0009":
            AttemptResult(attempt.number, AttemptOutcome.INTERRUPTED).write(attempt)
            self.events.append(Exited(attempt, 3))

    def kill(self, attempt: AttemptFolder) -> None:
        self.killed.append(attempt.job.job_id)
        self.events.append(Exited(attempt, -9))

    def wait(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        pass


def completes(attempt: AttemptFolder) -> int:
    MetricRecord(1.0, attempt.number, 1, {"train/loss": 0.5, "val/bbox_mAP_50": 0.4}).append(attempt)
    AttemptResult(attempt.number, AttemptOutcome.COMPLETED, checkpoint_sha256="c0ffee").write(attempt)
    return 0


def run(
    tmp_path: Path,
    play: Play,
    job_ids: Sequence[str],
    device: Device = CPU,
    executor: PlayedExecutor | None = None,
) -> tuple[int, str, PlayedExecutor]:
    sweep = SweepFolder(tmp_path)
    jobs = {}
    for job_id in job_ids:
        sweep.job(job_id).path.mkdir(parents=True)
        jobs[job_id] = PlannedJob(job_id, f"title {job_id} [red]", [], {}, CONFIG, DATASET)
    out = io.StringIO()
    console = Console(file=out, width=200)
    executor = executor or PlayedExecutor(play)
    progress = Progress(console, {job_id: job.title for job_id, job in jobs.items()})
    tracker = Tracker(TrackingSettings(None, "", None), sweep, pytest.fail)
    with Journal(sweep.journal) as journal:
        code = Controller(jobs, sweep, plan_slots([device], 1, 2), executor, journal, tracker, progress).run()
    return code, out.getvalue(), executor


def states(tmp_path: Path) -> dict[str, str]:
    events = read_journal(SweepFolder(tmp_path).journal)
    return {event["job"]: event["state"] for event in events if "state" in event}


def test_every_job_is_planned_started_and_ended_in_the_journal(tmp_path: Path) -> None:
    code, out, executor = run(tmp_path, completes, ["0001", "0002"])
    assert code == 0
    events = list(read_journal(SweepFolder(tmp_path).journal))
    named = [(event["event"], event.get("job")) for event in events]
    jobs = [(kind, job) for job in ("0001", "0002") for kind in ("started", "process", "ended")]
    assert named == [("planned", "0001"), ("planned", "0002"), *jobs, ("sweep_ended", None)]
    assert events[4]["checkpoint_sha256"] == "c0ffee"
    spec = AttemptSpec.read(AttemptFolder(SweepFolder(tmp_path).job("0001").attempts / "1"))
    assert (spec.device, spec.n_threads, spec.batch_per_step, spec.accumulation) == ("cpu", 2, 4, 1)
    assert executor.environments[0] == {"CUDA_VISIBLE_DEVICES": ""}
    assert "0001 title 0001 [red]: epoch 1 loss 0.500 val mAP50 40.0" in out


def test_a_job_sees_only_the_gpu_of_its_slot(tmp_path: Path) -> None:
    gpu = Device("cuda", 3, "GPU-abc", "H200", "", 141.0)
    _, _, executor = run(tmp_path, completes, ["0001"], gpu)
    assert executor.environments == [{"CUDA_VISIBLE_DEVICES": "GPU-abc"}]


def test_a_failure_is_told_at_once_with_its_log_and_the_others_go_on(tmp_path: Path) -> None:
    def play(attempt: AttemptFolder) -> int:
        if attempt.job.job_id != "0001":
            return completes(attempt)
        attempt.log.write_text("line one\nRuntimeError: boom\n")
        failure = Failure(FailureKind.BUG, "boom")
        AttemptResult(attempt.number, AttemptOutcome.FAILED, failure=failure).write(attempt)
        return 1

    code, out, _ = run(tmp_path, play, ["0001", "0002"])
    assert code == 1
    assert states(tmp_path) == {"0001": "FAILED", "0002": "COMPLETED"}
    assert "0001 title 0001 [red]: FAILED: boom" in out
    assert "| RuntimeError: boom" in out
    assert out.index("boom") < out.index("0002 title")


def test_a_process_that_vanished_is_lost_with_the_signal_named(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, lambda attempt: -9, ["0001"])
    assert code == 1
    assert "killed by signal 9 (SIGKILL) without a result" in out


def test_a_process_that_could_not_start_says_why(tmp_path: Path) -> None:
    class CannotFork(PlayedExecutor):
        def start(self, attempt: AttemptFolder, environment: Mapping[str, str]) -> None:
            self.events.append(Exited(attempt, 1, "no process: Resource temporarily unavailable"))

    _, out, _ = run(tmp_path, completes, ["0001"], executor=CannotFork(completes))
    assert "FAILED: no process: Resource temporarily unavailable" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_lets_jobs_save_and_starts_nothing_more(tmp_path: Path, number: int, code: int) -> None:
    def play(attempt: AttemptFolder) -> None:
        os.kill(os.getpid(), number)

    found, out, _ = run(tmp_path, play, ["0001", "0002"])
    assert found == code
    assert states(tmp_path) == {"0001": "PAUSED", "0002": "PLANNED"}
    assert "stopping, 1 job is saving; Ctrl-C again kills" in out


def test_a_second_signal_kills_what_did_not_stop(tmp_path: Path) -> None:
    def play(attempt: AttemptFolder) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    code, _, executor = run(tmp_path, play, ["0009"])
    assert (code, executor.killed) == (130, ["0009"])
