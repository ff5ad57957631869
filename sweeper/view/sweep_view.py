"""What is known of a sweep at this moment: a read-only fold of its journal's events and its jobs' metric records.

The controller's live table is fed with events as they are written; `status`, `attach` and `ls` read the same events
from the folder (`sweeper.view.sweep_reader`). Both end in the same view.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.metrics import PEAK_HOST_GB, PEAK_MEMORY_GB, TRAIN_LOSS, best, iteration_metric
from runners.contract.records import AttemptResult, MetricRecord, read_metrics
from runners.contract.states import JobState
from sweeper.view.device_time import DeviceTime, devices_of

VAL_AP50 = "val/bbox_mAP_50"


@dataclass
class JobView:
    """What is known about a job.

    Attributes:
        job_id: its number in the sweep.
        title: what people call it.
        values: axis to value.
        state: where it stands.
        slot: label of the slot it holds, empty if none.
        attempt: number of its newest attempt, 0 before the first.
        phase: what its process does (``build``, ``train``, ``val``, ...).
        epoch: the epoch it is in, from 1.
        n_epochs: of the whole training.
        done: share of the planned iterations, 0-1.
        loss: the newest training loss.
        ap50: the newest val AP50, 0-1; of a finished job that of the chosen epoch.
        memory_gb: measured peak of a device's memory (on a CPU of the process), in 1e9 bytes.
        expected_memory_gb: what the plan expects; 0 unknown.
        expected_s: how long a whole training is expected to take; 0 unknown.
        n_devices: whole devices it occupies if it is more than one.
        started_at: when its newest attempt was started, wall-clock seconds since the epoch.
        ended_at: when that attempt ended.
        spent_s: seconds of attempts that have ended.
        done_at_start: share that was done when the newest attempt told of itself first, and when it did so.
        told_at: when it told of itself last.
        reason: why it is in its state, if something is to be said about it.
        decision: the last thing that a search decided about it.
        kind: class of its last failure.
        batch_per_step: images in one forward pass of its newest attempt.
        is_halved: trained with half the images per forward pass, after device memory was short.
        is_resumed: its newest attempt went on from a checkpoint.
        reused_from: the job folder that holds its numbers, of a REUSED job.
        is_looked_into: its numbers have been read from its folder.
    """

    job_id: str
    title: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    state: JobState = JobState.PLANNED
    slot: str = ""
    attempt: int = 0
    phase: str = ""
    epoch: int = 0
    n_epochs: int = 0
    done: float = 0.0
    loss: float | None = None
    ap50: float | None = None
    memory_gb: float | None = None
    expected_memory_gb: float = 0.0
    expected_s: float = 0.0
    n_devices: int = 1
    started_at: float | None = None
    ended_at: float | None = None
    spent_s: float = 0.0
    done_at_start: tuple[float, float] | None = None
    told_at: float = 0.0
    reason: str = ""
    decision: str = ""
    kind: str | None = None
    batch_per_step: int = 0
    is_halved: bool = False
    is_resumed: bool = False
    reused_from: str = ""
    is_looked_into: bool = False

    @property
    def remark(self) -> str:
        """Whatever is out of the ordinary about it, in a few words."""
        if self.reused_from:
            return "trained by an earlier sweep"
        return f"attempt {self.attempt}, {'resumed' if self.is_resumed else 'anew'}" if self.attempt > 1 else ""


class SweepView:
    """The fold.

    Args:
        folder: of the sweep; read only for the numbers of jobs that ended before anybody watched.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder
        self.jobs: dict[str, JobView] = {}
        self.devices: dict[str, DeviceTime] = {}
        self.controller: Mapping[str, Any] = {}
        self.command: list[str] = []
        self.started_at: float | None = None
        self.last_at: float = 0.0
        self.exit_code: int | None = None
        self.is_held = False
        self.stop_reason = ""
        self.most_at_once = 0
        self.is_live = True
        self.is_described = False
        self._n_running = 0
        self._cut_at = 0.0

    def event(self, event: Mapping[str, Any]) -> None:
        """Take in an event of the journal; one that is not known changes nothing."""
        before, self.last_at = self.last_at, float(event["at"])
        at = self.last_at
        self.started_at = at if self.started_at is None else self.started_at
        name = event["event"]
        job_id = event.get("job")
        if job_id is not None:
            self._job_event(name, self.jobs.setdefault(job_id, JobView(job_id)), event, at)
        elif name == "sweep_started":
            self._begin(event, at, before)
        elif name == "device_opened":
            self._device(event["device"]).open(at, str(event.get("name", "")), int(event.get("n_shares", 1)))
            self.most_at_once = 0
        elif name == "device_closed":
            self._device(event["device"]).close(at, str(event.get("reason") or ""))
            self.most_at_once = 0
        elif name in ("paused", "continued"):
            self.is_held = name == "paused"
        elif name == "stop_asked":
            self.stop_reason = str(event.get("reason") or "")
        elif name == "sweep_ended":
            self.exit_code = event["exit_code"]
            for device in self.devices.values():
                device.close(at, device.reason)

    def record(self, job_id: str, record: MetricRecord) -> None:
        """Take in what a job reports."""
        job, told = self.jobs.setdefault(job_id, JobView(job_id)), record.progress
        job.loss = record.values.get(iteration_metric("loss"), record.values.get(TRAIN_LOSS, job.loss))
        job.ap50 = record.values.get(VAL_AP50, job.ap50)
        job.memory_gb = record.values.get(PEAK_MEMORY_GB, record.values.get(PEAK_HOST_GB, job.memory_gb))
        if told:
            job.phase = told.get("phase", job.phase)
            job.epoch, job.n_epochs = told.get("epoch", job.epoch), told.get("n_epochs", job.n_epochs)
            if told.get("n_iterations"):
                job.done = told.get("iteration", 0) / told["n_iterations"]
            job.told_at = record.at
            if job.done_at_start is None and job.phase != "build":
                job.done_at_start = job.done, record.at

    def look_into(self, job: JobView) -> JobView:
        """Read the numbers of a job that ended before anybody watched from its folder, once; return the job."""
        if job.is_looked_into or job.state is JobState.RUNNING or not (job.attempt or job.reused_from):
            return job
        job.is_looked_into = True
        attempt = self.attempt_folder(job)
        try:
            if job.loss is None and job.ap50 is None:
                for record, _ in read_metrics(attempt):
                    self.record(job.job_id, record)
            result = AttemptResult.read(attempt)
        except (OSError, ValueError, TypeError, KeyError):
            return job  # damaged or foreign: `verify` tells what of it; here the cells stay empty
        if result is not None:
            job.ap50 = result.metrics.get(best(VAL_AP50), job.ap50)
            job.memory_gb = result.metrics.get(PEAK_MEMORY_GB, result.metrics.get(PEAK_HOST_GB, job.memory_gb))
        return job

    def attempt_folder(self, job: JobView) -> AttemptFolder:
        """Return the folder of a job's newest attempt; of a reused job that of the run which holds its numbers."""
        if job.reused_from:
            other = JobFolder(Path(job.reused_from))
            return other.newest_attempt() or AttemptFolder(other.attempts / "1")
        return AttemptFolder(self.folder.job(job.job_id).attempts / str(job.attempt))

    def counts(self) -> Counter[JobState]:
        """Return how many jobs are in each state."""
        return Counter(job.state for job in list(self.jobs.values()))

    def n_places(self) -> int:
        """Return how many jobs run side by side: what the devices allow, or as many as were seen to fit."""
        shares = sum(device.n_shares for device in list(self.devices.values()) if device.is_open)
        if not shares:
            shares = sum(device.n_shares for device in list(self.devices.values()) if not device.reason)
        n_waiting = sum(job.state in (JobState.PLANNED, JobState.PAUSED) for job in list(self.jobs.values()))
        seen = self.most_at_once or shares
        return max(1, min(shares or seen, seen) if n_waiting else shares or seen)

    def busy_share(self, now: float) -> float | None:
        """Return the part of the devices' open time in which at least one job was on them, 0-1; None before any."""
        times = [device.seconds(now) for device in list(self.devices.values())]
        open_s = sum(opened for opened, _ in times)
        return min(1.0, sum(busy for _, busy in times) / open_s) if open_s > 0 else None

    def _begin(self, event: Mapping[str, Any], at: float, before: float) -> None:
        self._n_running, self._cut_at = 0, before
        self.controller = event
        self.command = [str(word) for word in event.get("command", self.command)]
        self.exit_code, self.stop_reason, self.is_held, self.most_at_once = None, "", False, 0
        self.devices.clear()

    def _device(self, label: str) -> DeviceTime:
        return self.devices.setdefault(label, DeviceTime(label))

    def _job_event(self, name: str, job: JobView, event: Mapping[str, Any], at: float) -> None:
        if name in ("planned", "estimated", "reused"):
            job.title = event.get("title", job.title)
            job.values = event.get("values", job.values)
            job.expected_s = event.get("expected_s", job.expected_s) or 0.0
            job.expected_memory_gb = event.get("memory_gb", job.expected_memory_gb) or 0.0
            job.n_devices = event.get("n_devices", job.n_devices)
            job.reused_from = event.get("folder", "") if name == "reused" else job.reused_from
        elif name == "started":
            self._start(job, event, at)
        elif name == "ended":
            self._end(job, event, at)
        elif name in ("cancelled", "retried", "postponed", "pruned"):
            job.reason = str(event.get("reason") or "") if name != "retried" else ""
            job.is_looked_into = False
        elif name == "decided":
            job.decision = str(event["reason"])
        if "state" in event:
            job.state = JobState(event["state"])

    def _start(self, job: JobView, event: Mapping[str, Any], at: float) -> None:
        batch_per_step = event.get("batch_per_step", job.batch_per_step)
        job.is_halved = job.is_halved or batch_per_step < job.batch_per_step
        job.batch_per_step = batch_per_step
        job.slot, job.attempt = str(event.get("slot", "")), event["attempt"]
        job.is_resumed = bool(event.get("resume"))
        job.phase, job.started_at, job.ended_at = "build", at, None
        job.done_at_start, job.reason, job.decision, job.is_looked_into = None, "", "", False
        job.done = job.done if job.is_resumed else 0.0
        for label in devices_of(job.slot):
            self._device(label).enter(at)
        self._n_running += 1
        self.most_at_once = max(self.most_at_once, self._n_running)

    def _end(self, job: JobView, event: Mapping[str, Any], at: float) -> None:
        if job.started_at is not None and job.started_at < self.controller.get("at", 0.0):
            # A new controller ends what the last one left running: nobody trained in between.
            at = max(job.started_at, self._cut_at)
        else:
            self._n_running = max(0, self._n_running - 1)
            for label in devices_of(job.slot):
                self._device(label).leave(at)
        job.reason, job.kind = str(event.get("reason") or job.decision), event.get("kind")
        job.slot, job.phase, job.ended_at = "", "", at
        job.spent_s += max(0.0, at - job.started_at) if job.started_at is not None else 0.0
