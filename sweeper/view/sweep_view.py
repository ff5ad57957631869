"""What is known of a sweep at this moment: a read-only fold of its journal's events and its jobs' metric records.

The controller's live table is fed with events as they are written; `status`, `attach` and `ls` read the same events
from the folder (`sweeper.view.sweep_reader`). Both end in the same view.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.metrics import PEAK_HOST_GB, PEAK_MEMORY_GB, TRAIN_LOSS, best, iteration_metric
from runners.contract.records import AttemptResult, MetricRecord, read_metrics
from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import WARM_STARTED, Trial
from sweeper.view.device_time import DeviceTime, devices_of
from sweeper.view.job_view import JobView

VAL_AP50 = "val/bbox_mAP_50"
# States in which a job ends because a search decided it; a decision that came too late is no reason for another.
_CARRIED_OUT = ((JobState.PAUSED, "pause"), (JobState.PRUNED, "prune"))


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
        self.search: Search | None = None
        self.has_asked_all = False
        self.n_warm = 0
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
        elif name == "asking_ended":
            self.has_asked_all = True
        elif name == WARM_STARTED:
            self.n_warm = len(event["trials"])
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
        if VAL_AP50 in record.values:
            job.ap50, job.validated = record.values[VAL_AP50], record.step
        job.memory_gb = record.values.get(PEAK_MEMORY_GB, record.values.get(PEAK_HOST_GB, job.memory_gb))
        self._measure(job, record.values)
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
            # What an epoch has told is of the last epoch; what only the result tells (costs) is of the whole.
            self._measure(job, {name: value for name, value in result.metrics.items() if name not in job.measured})
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

    def _measure(self, job: JobView, values: Mapping[str, float]) -> None:
        """Take in what a search is after or has a limit on."""
        if self.search is not None:
            wanted = [one.metric for one in self.search.objectives] + [one.metric for one in self.search.constraints]
            job.measured |= {metric: values[metric] for metric in wanted if metric in values}

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
            job.trial = Trial.read(event["trial"]) if "trial" in event else job.trial
            job.reused_from = event.get("folder", "") if name == "reused" else job.reused_from
        elif name == "started":
            self._start(job, event, at)
        elif name == "ended":
            self._end(job, event, at)
        elif name in ("cancelled", "retried", "postponed", "pruned"):
            job.reason = str(event.get("reason") or "") if name != "retried" else ""
            job.is_looked_into = False
        elif name == "decided":
            job.decided, job.decision = str(event["decision"]), str(event["reason"])
            job.has_gone_on = job.has_gone_on or job.decided == "promote"
        if "state" in event:
            job.state = JobState(event["state"])

    def _start(self, job: JobView, event: Mapping[str, Any], at: float) -> None:
        batch_per_step = event.get("batch_per_step", job.batch_per_step)
        job.is_halved = job.is_halved or batch_per_step < job.batch_per_step
        job.batch_per_step = batch_per_step
        job.slot, job.attempt = str(event.get("slot", "")), event["attempt"]
        job.is_resumed = bool(event.get("resume"))
        job.phase, job.started_at, job.ended_at = "build", at, None
        job.done_at_start, job.reason, job.is_looked_into = None, "", False
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
        is_decided = (event.get("state"), job.decided) in _CARRIED_OUT
        job.reason, job.kind = str(event.get("reason") or (job.decision if is_decided else "")), event.get("kind")
        job.slot, job.phase, job.ended_at = "", "", at
        job.spent_s += max(0.0, at - job.started_at) if job.started_at is not None else 0.0
