"""The loop around the schedule, with an executor that plays jobs; folders, journal, requests and leases are real."""

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.attempt_ends import Tries
from sweeper.attempt_start import AttemptSettings
from sweeper.controller import Controller
from sweeper.dataset import PreparedDataset
from sweeper.device_pool import DevicePool
from sweeper.devices import CPU
from sweeper.executors.base import Exited
from sweeper.journal import Journal, JournalNotWrittenError, read_journal
from sweeper.left import LeftJob, LeftSweep
from sweeper.machine import Machine
from sweeper.packing import Need
from sweeper.plan import PlannedJob
from sweeper.progress import Progress
from sweeper.requests import ask
from sweeper.running import Limits
from sweeper.slots import Device, Offer, Slot
from sweeper.sweep_view import SweepView
from sweeper.tracking import Tracker, TrackingSettings
from tests.sweeper.fake_executor import PID, PlayedExecutor

DATASET = PreparedDataset({}, {}, ["a"], "f" * 64, {"train": 4}, {"val": True}, [])
CONFIG = {
    "choices": {"detector": "faster_rcnn", "dataset": "shapes"},
    "dataset": {"name": "shapes", "root": "data"},
    "optimizer": {"lr": 0.02},
    "lr_effective": 0.005,
    "batch_size": 4,
}
TICKS = 3000


class Estimates:
    """Expects what it is told of each job, and learns at the first end that all that is left takes as told then."""

    def __init__(self, first: dict[str, tuple[Need, float]], later: dict[str, tuple[Need, float]]) -> None:
        self._known, self._later = first, later

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        return self._known[job.job_id]

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        has_news, self._known = self._known is not self._later, self._later
        return has_news


class Stage:
    """A sweep in its folder, ready to be run; the clock moves by hand.

    Attributes:
        on_tick: called with the number of each wait, before it returns.
    """

    def __init__(self, folder: Path) -> None:
        self.sweep = SweepFolder(folder)
        self.sweep.requests.mkdir()
        self.now_s = 0.0
        self.n_ticks = 0
        self.out = io.StringIO()
        self.executor = PlayedExecutor(lambda attempt: None)
        self.executor.on_wait = self._tick
        self.on_tick: Callable[[int], None] = lambda number: None
        self.devices: list[Device] = [CPU]
        self.offer = Offer(1)
        self.busy: set[str] = set()
        self.is_leased_before = False
        self.more: dict[str, Any] = {}

    def _tick(self) -> None:
        self.n_ticks += 1
        assert self.n_ticks < TICKS, self.out.getvalue()
        self.on_tick(self.n_ticks)

    def gpus(self, n: int) -> list[Device]:
        """Return GPUs whose device files are plain ones."""
        nodes = [self.sweep.path / f"nvidia{index}" for index in range(n)]
        for node in nodes:
            node.touch()
        return [Device("cuda", i, f"GPU-{i}", "H200", str(node), 141.0) for i, node in enumerate(nodes)]

    def run(self, play: Callable[[AttemptFolder], int | None], *job_ids: str) -> int:
        """Run these jobs and return the exit code."""
        self.executor.play = play
        jobs = {job_id: self.job(job_id) for job_id in job_ids}
        pool = DevicePool(
            self.devices,
            self.executor,
            users=lambda device: [os.getpid()] if device.label in self.busy else [],
            clock=lambda: self.now_s,
        )
        if self.is_leased_before:
            pool.acquire()
        machine = Machine(pool, self.executor, (self.offer,) * len(self.devices), 2)
        with Journal(self.sweep.journal) as journal:
            progress = Progress(Console(file=self.out, width=200), SweepView(self.sweep))
            tracker = Tracker(TrackingSettings(None, "", None), self.sweep, pytest.fail)
            controller = Controller(
                jobs, self.sweep, machine, journal, tracker, progress, clock=lambda: self.now_s, **self.more
            )
            try:
                return controller.run()
            finally:
                pool.close()

    def job(self, job_id: str) -> PlannedJob:
        folder = self.sweep.job(job_id)
        if not folder.path.exists():
            folder.checkpoints.mkdir(parents=True)
            folder.config.write_text(yaml.safe_dump(CONFIG))
        return PlannedJob(job_id, f"title {job_id} [red]", [], {}, CONFIG, DATASET, f"identity of {job_id}")

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in read_journal(self.sweep.journal) if not names or event["event"] in names]

    def told(self, *names: str) -> list[str]:
        """Return events as (name, job or device)."""
        events = self.events(*names)
        return [f"{event['event']} {event.get('job', event.get('device', ''))}".strip() for event in events]

    def states(self) -> dict[str, str]:
        return {event["job"]: event["state"] for event in self.events() if "state" in event}

    def attempt(self, job_id: str, number: int = 1) -> AttemptFolder:
        return AttemptFolder(self.sweep.job(job_id).attempts / str(number))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def completes(attempt: AttemptFolder) -> int:
    progress = {"phase": "train", "epoch": 1, "n_epochs": 1, "iteration": 1, "n_iterations": 1}
    values = {"train/loss": 0.5, "val/bbox_mAP_50": 0.4}
    MetricRecord(1.0, attempt.number, 1, values, progress).append(attempt)
    AttemptResult(attempt.number, AttemptOutcome.COMPLETED, checkpoint_sha256="c0ffee").write(attempt)
    return 0


def lives(attempt: AttemptFolder) -> None:
    """Do nothing until it is told to stop."""


def fails(kind: FailureKind, message: str = "boom") -> Callable[[AttemptFolder], int]:
    def play(attempt: AttemptFolder) -> int:
        AttemptResult(attempt.number, AttemptOutcome.FAILED, failure=Failure(kind, message)).write(attempt)
        return 1

    return play


# ---- starting and ending


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
    assert "0001 title 0001 [red]: FAILED: boom" in out
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
    assert "FAILED: no process: Resource temporarily unavailable" in stage.out.getvalue()


def test_one_that_the_kernel_ends_for_its_memory_is_tried_once_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(100))
    monkeypatch.setattr("sweeper.running.count_kernel_kills", lambda: next(kills))
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


# ---- disks


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
        monkeypatch.setattr("sweeper.journal.os.write", fail)
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
        monkeypatch.setattr("sweeper.running.write_text", fail)
        os.kill(os.getpid(), signal.SIGTERM)

    assert stage.run(play, "0001") == 143
    assert stage.states() == {"0001": "PAUSED"}


# ---- signals


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


# ---- standing still


def test_a_job_that_stands_still_writes_its_stacks_and_is_stopped_and_killed_in_turn(stage: Stage) -> None:
    stage.executor.deaf = {"0001"}
    stage.more = {"limits": Limits(first_step_s=100.0, step_s=50.0)}
    calls_at: dict[float, list[str]] = {}

    def tick(number: int) -> None:
        stage.now_s += 0.5
        methods = [method for method, _ in stage.executor.asked("dump", "terminate", "kill")]
        calls_at[stage.now_s] = methods

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 1
    first = next(at for at, methods in calls_at.items() if methods == ["dump"])
    second = next(at for at, methods in calls_at.items() if methods == ["dump", "terminate"])
    third = next(at for at, methods in calls_at.items() if methods == ["dump", "terminate", "kill"])
    assert 100.0 < first <= 102.0
    assert second - first == pytest.approx(1.0)
    assert third - second == pytest.approx(30.0)
    ended = stage.events("ended")
    assert [(event["outcome"], event["kind"], event["state"]) for event in ended] == [
        ("stalled", "stalled", "PAUSED"),
        ("stalled", "stalled", "FAILED"),
    ]
    told = f"no progress for 2 min; its stacks are in {stage.attempt('0001').log}"
    assert ended[0]["reason"] == told
    assert f"0001: {told}" in stage.out.getvalue()


def test_progress_keeps_a_job_alive_and_signs_of_life_do_not(stage: Stage) -> None:
    stage.more = {"limits": Limits(first_step_s=100.0, step_s=50.0)}

    def tick(number: int) -> None:
        stage.now_s += 10.0
        attempt = stage.attempt("0001")
        if attempt.path.exists() and not stage.executor.asked("terminate"):
            iteration = min(number, 30)  # then it beats and does not step
            progress = {"phase": "train", "epoch": 1, "iteration": iteration}
            MetricRecord(0.0, 1, iteration, {"iter/loss": 0.1}, progress).append(attempt)
        if stage.attempt("0001", 2).path.exists():
            stage.executor.exit(stage.attempt("0001", 2), completes(stage.attempt("0001", 2)))
            stage.on_tick = lambda number: None

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 0
    assert 30 < stage.n_ticks < 45
    assert [event["state"] for event in stage.events("ended")] == ["PAUSED", "COMPLETED"]


def test_a_job_that_completes_after_all_has_completed(stage: Stage) -> None:
    stage.more = {"limits": Limits(first_step_s=10.0)}
    stage.executor.deaf = {"0001"}

    def tick(number: int) -> None:
        stage.now_s += 1.0
        if stage.executor.asked("terminate"):
            stage.on_tick = lambda number: None
            stage.executor.exit(stage.attempt("0001"), completes(stage.attempt("0001")))

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 0
    assert stage.states() == {"0001": "COMPLETED"}


# ---- estimates


def test_estimates_decide_the_order_and_what_finished_corrects_them_before_the_next_starts(stage: Stage) -> None:
    def told(**seconds: float) -> dict[str, tuple[Need, float]]:
        return {f"000{key[1]}": (Need(), s) for key, s in seconds.items()}

    stage.more = {"estimates": Estimates(told(j1=1.0, j2=3.0, j3=2.0, j4=2.0), told(j1=9.0, j2=3.0, j3=2.01, j4=5.5))}
    assert stage.run(completes, "0001", "0002", "0003", "0004") == 0
    assert [event["expected_s"] for event in stage.events("planned")] == [1.0, 3.0, 2.0, 2.0]
    assert stage.told("started") == [f"started {job}" for job in ("0002", "0001", "0004", "0003")]
    # Of 0003 hardly anything else is expected, of 0002 nothing more.
    corrected = [(event["job"], event["expected_s"]) for event in stage.events("estimated")]
    assert sorted(corrected) == [("0001", 9.0), ("0004", 5.5)]
    assert stage.told().index("estimated 0001") < stage.told().index("started 0001")


def test_jobs_are_packed_by_the_memory_that_is_expected_of_them(stage: Stage) -> None:
    stage.devices, stage.offer = stage.gpus(1), Offer(8, 20.0)
    needs = {job: (Need(1, gb), 1.0) for job, gb in (("0001", 12.0), ("0002", 12.0), ("0003", 8.0), ("0004", 8.0))}
    stage.more = {"estimates": Estimates(needs, needs)}
    assert stage.run(lives_until_all_are_there(stage, 2), "0001", "0002", "0003", "0004") == 0
    assert [(event["job"], event["slot"]) for event in stage.events("started")][:2] == [
        ("0001", "gpu0/0"),
        ("0003", "gpu0/1"),
    ]
    assert stage.events("planned")[0]["memory_gb"] == 12.0


def lives_until_all_are_there(stage: Stage, n: int) -> Callable[[AttemptFolder], None]:
    """Return a play whose jobs complete once `n` of them run side by side, or in the tick after next."""
    running: list[AttemptFolder] = []

    def tick(number: int) -> None:
        if len(running) >= n or number % 3 == 0:
            for attempt in running:
                stage.executor.exit(attempt, completes(attempt))
            running.clear()

    stage.on_tick = tick
    return running.append


# ---- what users ask


def asks_at(stage: Stage, **wishes: Any) -> None:
    """Let the ticks of these numbers ask: ``t5=("stop", {"job": "0001"})``, or call."""
    at = {int(key[1:]): wish for key, wish in wishes.items()}

    def tick(number: int) -> None:
        wish = at.get(number)
        if callable(wish):
            wish()
        elif wish is not None:
            op, arguments = wish
            ask(stage.sweep, op, **arguments)

    stage.on_tick = tick


def test_a_running_job_that_is_cancelled_is_told_so_and_the_others_go_on(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int | None:
        return None if attempt.job.job_id == "0001" else completes(attempt)

    asks_at(stage, t3=("stop", {"job": "0001"}), t2=("stop", {"job": "0003"}))
    assert stage.run(play, "0001", "0002", "0003") == 0
    assert stage.attempt("0001").stop.read_text() == "cancel"
    assert stage.states() == {"0001": "CANCELLED", "0002": "COMPLETED", "0003": "CANCELLED"}
    assert stage.told("requested", "cancelled") == ["requested 0003", "cancelled 0003", "requested 0001"]
    assert not list(stage.sweep.requests.iterdir())


def test_a_sweep_that_is_asked_to_stop_saves_and_ends_with_3(stage: Stage) -> None:
    asks_at(stage, t2=("stop", {}))
    assert stage.run(lives, "0001", "0002") == 3
    assert stage.states() == {"0001": "PAUSED", "0002": "PLANNED"}
    assert [event["reason"] for event in stage.events("stop_asked")] == ["request"]


def test_a_sweep_that_is_paused_gives_its_devices_back_and_goes_on_when_it_is_told(stage: Stage) -> None:
    stage.devices = stage.gpus(1)
    node = stage.devices[0].node
    n_starts: list[int] = []

    def go_on() -> None:
        assert stage.executor.asked("hold", "release") == [("hold", node), ("release", node)]
        n_starts.append(len(stage.executor.asked("start")))
        stage.executor.play = completes
        ask(stage.sweep, "continue")

    asks_at(stage, t3=("pause", {}), t30=go_on)
    assert stage.run(lives, "0001", "0002") == 0
    assert n_starts == [1]  # nothing was started while it rested
    named = stage.told("paused", "device_closed", "continued", "device_opened")
    assert named == ["device_opened gpu0", "paused", "device_closed gpu0", "continued", "device_opened gpu0"]
    assert stage.states() == {"0001": "COMPLETED", "0002": "COMPLETED"}


def test_a_pause_that_is_taken_back_before_the_jobs_have_saved_keeps_the_devices(stage: Stage) -> None:
    stage.devices = stage.gpus(1)
    stage.executor.deaf = {"0001"}

    def saved() -> None:
        stage.executor.deaf, stage.executor.play = set(), completes
        attempt = stage.attempt("0001")
        AttemptResult(1, AttemptOutcome.INTERRUPTED).write(attempt)
        stage.executor.exit(attempt, 3)

    asks_at(stage, t2=("pause", {}), t4=("continue", {}), t8=saved)
    assert stage.run(lives, "0001") == 0
    assert stage.told("device_opened", "device_closed") == ["device_opened gpu0"]
    assert len(stage.events("started")) == 2


def test_a_gpu_that_is_given_back_is_free_after_its_job_has_saved_and_taken_again_later(stage: Stage) -> None:
    stage.devices = stage.gpus(2)
    nodes = [device.node for device in stage.devices]

    def finish() -> None:
        stage.executor.play = completes
        for job, number in (("0001", 1), ("0002", 2), ("0003", 1)):
            attempt = stage.attempt(job, number)
            if attempt.path.exists() and not attempt.result.exists():
                stage.executor.exit(attempt, completes(attempt))

    asks_at(stage, t3=("gpus", {"minus": [1], "plus": []}), t6=("gpus", {"plus": [1]}), t20=finish)
    stage.now_s = 1000.0
    assert stage.run(lives, "0001", "0002", "0003") == 0
    assert stage.executor.asked("hold", "release") == [
        ("hold", nodes[0]),
        ("hold", nodes[1]),
        ("release", nodes[1]),
        ("hold", nodes[1]),
    ]
    slots = [(event["job"], event["slot"]) for event in stage.events("started")]
    assert slots == [("0001", "gpu0"), ("0002", "gpu1"), ("0002", "gpu1"), ("0003", slots[3][1])]
    assert [event["reason"] for event in stage.events("device_closed")] == ["given back"]


def test_a_job_that_is_held_waits_and_one_that_is_moved_up_goes_first(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int | None:
        return None if len(stage.executor.asked("start")) == 1 else completes(attempt)

    asks_at(
        stage,
        t2=("pause", {"job": "0002"}),
        t3=("next", {"job": "0004"}),
        t4=("pause", {"job": "0001"}),
        t40=lambda: pytest.fail("it should have ended"),
    )
    assert stage.run(play, "0001", "0002", "0003", "0004") == 3
    assert stage.told("started") == ["started 0001", "started 0004", "started 0003"]
    assert stage.told("postponed") == ["postponed 0002"]
    assert stage.states() == {"0001": "PAUSED", "0002": "PAUSED", "0003": "COMPLETED", "0004": "COMPLETED"}


def test_a_failed_job_is_tried_again_if_that_is_asked(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int | None:
        if attempt.job.job_id == "0002":
            return None
        return fails(FailureKind.BUG)(attempt) if attempt.number == 1 else completes(attempt)

    asks_at(
        stage,
        t4=("retry", {"job": "0001"}),
        t8=lambda: stage.executor.exit(stage.attempt("0002"), completes(stage.attempt("0002"))),
    )
    assert stage.run(play, "0001", "0002") == 0
    assert stage.told("retried", "ended") == ["ended 0001", "retried 0001", "ended 0002", "ended 0001"]


# ---- devices


def test_a_gpu_in_use_is_waited_for_and_told_once(stage: Stage) -> None:
    stage.devices, stage.busy = stage.gpus(1), {"gpu0"}

    def tick(number: int) -> None:
        stage.now_s += 1.0
        if number == 20:
            stage.busy = set()

    stage.on_tick = tick
    assert stage.run(completes, "0001") == 0
    assert stage.out.getvalue().count(f"waiting: gpu0 (H200) is used by pid {os.getpid()} (") == 1
    assert stage.n_ticks >= 20


def test_a_gpu_that_breaks_twice_is_taken_out_and_its_jobs_move(stage: Stage) -> None:
    stage.devices = stage.gpus(2)

    def play(attempt: AttemptFolder) -> int | None:
        if stage.executor.environments[-1]["CUDA_VISIBLE_DEVICES"] == "GPU-0":
            return fails(FailureKind.DEVICE, "CUDA error: unspecified launch failure")(attempt)
        return completes(attempt)

    assert stage.run(play, "0001", "0002", "0003") == 0
    assert [event["reason"] for event in stage.events("device_closed")] == ["it failed 2 times"]
    assert ("release", stage.devices[0].node) in stage.executor.calls
    assert set(stage.states().values()) == {"COMPLETED"}


def test_without_a_gpu_that_works_the_sweep_is_left_for_a_resume(stage: Stage) -> None:
    stage.devices = stage.gpus(1)
    assert stage.run(fails(FailureKind.DEVICE), "0001", "0002") == 3
    assert stage.told("device_closed") == ["device_closed gpu0"]
    assert JobState.FAILED.value not in stage.states().values()


def test_what_an_earlier_controller_of_this_invocation_has_leased_is_there_at_once(stage: Stage) -> None:
    """A probe's controller leaves the pool as it was."""
    stage.devices, stage.is_leased_before = stage.gpus(2), True
    assert stage.run(completes, "0001") == 0
    assert stage.executor.asked("hold") == [("hold", device.node) for device in stage.devices]
    assert stage.told("device_opened") == ["device_opened gpu0", "device_opened gpu1"]
