"""The loop around the schedule: carries its instructions out and tells it what happened. The only code that waits."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

import psutil

from runners.contract.digest import sha256_of
from runners.contract.failpoints import failpoint
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.records import AttemptResult, AttemptSpec, MetricRecord, read_metrics
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.adding import take_added_jobs
from sweeper.attempt_ends import MAX_LOSSES, Aftermath, AttemptEnded, Tries
from sweeper.attempt_start import AttemptSettings, can_halve, make_spec
from sweeper.executors.base import Exited, Started
from sweeper.journal import Journal
from sweeper.left import LeftSweep
from sweeper.losses import count_kernel_kills, explain_loss, resident_gb
from sweeper.machine import Machine
from sweeper.orders import Orders, handle_and_note
from sweeper.packing import Need
from sweeper.plan import PlannedJob
from sweeper.processes import birth_of
from sweeper.progress import Display
from sweeper.requests import Request
from sweeper.schedule import (
    Close,
    DeviceExpected,
    DeviceOpened,
    End,
    Estimated,
    Event,
    Instruction,
    JobAdded,
    Schedule,
    Start,
    Stop,
    StopAsked,
)
from sweeper.slots import Slot
from sweeper.tracked_job import tracked_job
from sweeper.tracking import Tracker
from sweeper.watchdog import Watchdog

TICK_S = 0.5
# From being told to stop to being killed; a checkpoint of gigabytes on a slow disk takes its time.
GRACE_S = 60.0
# From the request for its stacks to TERM, and on to KILL, for an attempt that stands still.
DUMP_S = 1.0
STALL_GRACE_S = 30.0
SAMPLE_S = 2.0
N_LOG_LINES = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class JobEstimates(Protocol):
    """What jobs are expected to need."""

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        """Return what a job is expected to occupy, and for how many seconds."""

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        """Take in what a finished job took; return whether others should be estimated again now."""


@dataclass(frozen=True)
class Limits:
    """What is put up with.

    Attributes:
        max_losses: the vanished process of a job that fails it.
        first_step_s: until the first iteration of an attempt is done.
        step_s: for each later step.
        grace_s: from being told to stop to being killed.
    """

    max_losses: int = MAX_LOSSES
    first_step_s: float = 20 * 60.0
    step_s: float = 30 * 60.0
    grace_s: float = GRACE_S


@dataclass
class RunningAttempt:
    """An attempt that lives.

    Attributes:
        job: what it executes.
        folder: its folder.
        spec: how.
        slot: where it runs.
        kernel_kills: `count_kernel_kills` when it was started.
        pid: its process, once it is known.
        offset: bytes of its metrics that have been read.
        told: what it was told to stop for.
        terminate_at_s: when TERM follows (monotonic seconds); None if it is not due.
        kill_at_s: when KILL follows.
        stall: why it is taken to stand still.
        peak_host_gb: the most resident memory that it was seen with.
    """

    job: PlannedJob
    folder: AttemptFolder
    spec: AttemptSpec
    slot: Slot
    kernel_kills: int
    pid: int | None = None
    offset: int = 0
    told: str | None = None
    terminate_at_s: float | None = None
    kill_at_s: float | None = None
    stall: str | None = None
    peak_host_gb: float = 0.0


@dataclass
class Controller:
    """Runs one plan in one sweep folder.

    Attributes:
        jobs: job id to job, in the order of the plan; grows when jobs are added to the running sweep.
        sweep: the sweep's folder, with the folder of every job in it.
        machine: devices, what they offer, and what runs the jobs.
        journal: owned by this controller.
        tracker: ships to the tracking store.
        display: what the person sees.
        settings: what all attempts share.
        limits: what is put up with.
        tags: what every run carries in the tracking store.
        left: where an earlier controller of this sweep left the jobs; None for a new one.
        estimates: what jobs are expected to need; None where neither order nor memory matters.
        clock: monotonic seconds.
    """

    jobs: dict[str, PlannedJob]
    sweep: SweepFolder
    machine: Machine
    journal: Journal
    tracker: Tracker
    display: Display
    settings: AttemptSettings = AttemptSettings()
    limits: Limits = Limits()
    tags: Mapping[str, str] = field(default_factory=dict)
    left: LeftSweep | None = None
    estimates: JobEstimates | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Begin with an empty schedule."""
        self._schedule = Schedule(self.limits.max_losses)
        self._watchdog = Watchdog(self.limits.first_step_s, self.limits.step_s)
        self._orders = Orders(self.sweep, self.machine.pool)
        self._running: dict[str, RunningAttempt] = {}
        self._signals: list[int] = []
        self._n_signals_handled = 0
        self._next_sample_s = 0.0
        self._told_obstacles: dict[int, str] = {}
        self._total_gb = psutil.virtual_memory().total / 1e9

    def run(self) -> int:
        """Run until nothing is left to do; return the exit code (0, 1, 3, or 128 + signal).

        Raises:
            JournalNotWrittenError: the disk is full or failing.
        """
        previous = {number: signal.signal(number, self._note_signal) for number in SIGNALS}
        try:
            exit_code = self._loop()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self.tell("sweep_ended", exit_code=exit_code)
        return exit_code

    def tell(self, event: str, **fields: Any) -> None:
        """Write an event to the journal, and then show it."""
        self.display.event(self.journal.append(event, **fields))

    def say(self, line: str) -> None:
        """Print one line."""
        self.display.say(line)

    def knows(self, job_id: str) -> bool:
        """Whether the sweep has this job."""
        return job_id in self.jobs

    def add_jobs(self, request: Request) -> list[JobAdded]:
        """Take the jobs into the plan that a request brings."""
        new = [job for job in take_added_jobs(self.sweep, request) if job.job_id not in self.jobs]
        self.jobs.update({job.job_id: job for job in new})
        return self._take_in(new)

    def _take_in(self, jobs: Sequence[PlannedJob]) -> list[JobAdded]:
        """Write new jobs to the journal, and return the events that tell the schedule of all of them."""
        events: list[JobAdded] = []
        planned: list[tuple[str, dict[str, Any]]] = []
        for job in jobs:
            left = self.left.jobs.get(job.job_id) if self.left else None
            need, expected_s = self._expect(job)
            if left is None:
                planned.append(("planned", self._describe(job, need, expected_s)))
            state, tries = (left.state, left.tries) if left else (JobState.PLANNED, Tries())
            events.append(JobAdded(job.job_id, state, need, expected_s, tries))
        for record in self.journal.append_all(planned) if planned else []:
            self.display.event(record)
        return events

    def _describe(self, job: PlannedJob, need: Need, expected_s: float) -> dict[str, Any]:
        return {
            "job": job.job_id,
            "state": JobState.PLANNED.value,
            "identity": job.identity,
            "config_sha256": sha256_of(self.sweep.job(job.job_id).config),
            "title": job.title,
            "values": dict(job.values),
            "expected_s": round(expected_s, 1),
            "memory_gb": round(need.memory_gb, 2),
            "n_devices": need.n_devices,
        }

    def _expect(self, job: PlannedJob) -> tuple[Need, float]:
        return self.estimates.of(job) if self.estimates else (Need(self.settings.n_devices), 0.0)

    def _loop(self) -> int:
        events: list[Event] = [*self._take_in(list(self.jobs.values()))]
        events += [DeviceExpected(number) for number in range(len(self.machine.pool.devices))]
        events += self._open_devices()
        while True:
            for event in events:
                for instruction in handle_and_note(event, self._schedule, self.tell):
                    if isinstance(instruction, End):
                        return 128 + self._signals[0] if self._signals else instruction.exit_code
                    self._carry_out(instruction)
            events = self._wait()

    def _carry_out(self, instruction: Instruction) -> None:
        if isinstance(instruction, Start):
            self._start(instruction)
        elif isinstance(instruction, Stop):
            self._stop(self._running[instruction.job_id], instruction.reason, self.limits.grace_s)
        elif isinstance(instruction, Close):
            device = self.machine.pool.devices[instruction.device]
            self.machine.pool.give_back(instruction.device)
            self.tell("device_closed", device=device.label, reason="given back")

    def _start(self, start: Start) -> None:
        job = self.jobs[start.job_id]
        slot = self.machine.slot(start.devices, start.share, len(self.jobs))
        attempt = self.sweep.job(job.job_id).take_attempt()
        spec, passed_over = make_spec(attempt, job.config["batch_size"], slot, self.settings, start.is_halved)
        for name in passed_over:
            self.display.say(f"{job.job_id}: checkpoint {name} is damaged; going on from an older one")
        spec.write(attempt)
        self._running[job.job_id] = RunningAttempt(job, attempt, spec, slot, count_kernel_kills())
        self._watchdog.start(job.job_id, self.clock())
        told = {"slot": slot.label, "resume": spec.resume, "state": JobState.RUNNING.value}
        split = {"batch_per_step": spec.batch_per_step, "accumulation": spec.accumulation}
        self.tell("started", job=job.job_id, attempt=attempt.number, **told, **split)
        failpoint("spawn.before")
        visible = ",".join(device.uuid for device in slot.devices)
        leases = self.machine.pool.lease_names(start.devices)
        self.machine.executor.start(attempt, {"CUDA_VISIBLE_DEVICES": visible}, leases)
        failpoint("spawn.after")
        self.tracker.start_job(tracked_job(job, self.sweep.job(job.job_id), self.tags))

    def _stop(self, running: RunningAttempt, reason: str, grace_s: float) -> None:
        if running.told == "cancel":
            return
        running.told = reason
        write_text(running.folder.stop, reason)
        self.machine.executor.terminate(running.folder)
        if running.kill_at_s is None:
            running.kill_at_s = self.clock() + grace_s

    def _wait(self) -> list[Event]:
        events: list[Event] = []
        for told in self.machine.executor.wait(TICK_S):
            job_id = told.attempt.job.job_id
            if isinstance(told, Started):
                self._running[job_id].pid = told.pid
                process = {"pid": told.pid, "born_at": birth_of(told.pid)}
                self.tell("process", job=job_id, attempt=told.attempt.number, **process)
            else:
                events += self._end(self._running.pop(job_id), told)
        for running in self._running.values():
            self._read_metrics(running)
        self._look_after()
        return [*events, *self._open_devices(), *self._orders.read(self), *self._handle_signals()]

    def _open_devices(self) -> list[Event]:
        pool = self.machine.pool
        events: list[Event] = []
        for number in pool.acquire():
            device, offer = pool.devices[number], self.machine.offers[number]
            self.tell("device_opened", device=device.label, name=device.name, n_shares=offer.n_shares)
            events.append(DeviceOpened(number, offer.n_shares, offer.memory_gb))
        for number, reason in pool.obstacles.items():
            if self._told_obstacles.get(number) != reason:
                self.display.say(f"waiting: {reason}")
        self._told_obstacles = pool.obstacles
        return events

    def _read_metrics(self, running: RunningAttempt) -> None:
        before = running.offset
        for record, behind in read_metrics(running.folder, before):
            running.offset = behind
            self._take_record(running.job.job_id, record)
        if running.offset > before:
            self.tracker.ship(running.folder)

    def _take_record(self, job_id: str, record: MetricRecord) -> None:
        self._watchdog.record(job_id, record, self.clock())
        self.display.record(job_id, record)

    def _look_after(self) -> None:
        """Find attempts that stand still, kill those whose time is over, and note how much memory each holds."""
        now_s = self.clock()
        for job_id, seconds in self._watchdog.stalled(now_s).items():
            running = self._running[job_id]
            if running.stall is None:
                running.stall = f"no progress for {seconds / 60:.0f} min; stacks of its threads are in the log"
                self.display.say(f"{job_id}: {running.stall}")
                self.machine.executor.dump(running.folder)
                running.terminate_at_s, running.kill_at_s = now_s + DUMP_S, now_s + DUMP_S + STALL_GRACE_S
        for running in self._running.values():
            if running.terminate_at_s is not None and now_s >= running.terminate_at_s:
                running.terminate_at_s = None
                self._stop(running, "interrupt", STALL_GRACE_S)
            if running.kill_at_s is not None and now_s >= running.kill_at_s:
                running.kill_at_s = now_s + self.limits.grace_s
                self.machine.executor.kill(running.folder)
        if now_s >= self._next_sample_s:
            self._next_sample_s = now_s + SAMPLE_S
            for running in self._running.values():
                if running.pid is not None:
                    running.peak_host_gb = max(running.peak_host_gb, resident_gb(running.pid))

    def _end(self, running: RunningAttempt, exited: Exited) -> list[Event]:
        self._read_metrics(running)
        self._watchdog.end(running.job.job_id)
        result = AttemptResult.read(running.folder)
        ended, reason = self._outcome(running, exited, result)
        aftermath = self._schedule.after(ended)
        if ended.outcome is AttemptOutcome.LOST and aftermath.state is JobState.FAILED:
            reason = f"{reason}, {aftermath.tries.n_losses} times; log: {running.folder.log}"
        if ended.kind is FailureKind.OOM and aftermath.state is JobState.PAUSED:
            reason = f"{reason}; goes on with half the images at a time"
        self._tell_end(running, ended, result, aftermath, reason)
        if aftermath.state is JobState.FAILED and self.settings.mode == "train":
            self._show_log(running.folder)
        self.tracker.end_job(running.folder, aftermath.state, reason)
        events: list[Event] = [ended]
        if aftermath.stops_sweep:
            self.display.say(f"disk full: {reason}; nothing more is started")
            self.tell("stop_asked", reason="disk")
        if aftermath.state is JobState.COMPLETED and result is not None and self._learn(running, result):
            events += self._estimate_again()
        return events

    def _learn(self, running: RunningAttempt, result: AttemptResult) -> bool:
        return self.estimates is not None and self.estimates.learn(running.job, running.spec, running.slot, result)

    def _outcome(
        self, running: RunningAttempt, exited: Exited, result: AttemptResult | None
    ) -> tuple[AttemptEnded, str | None]:
        """Return how an attempt ended, and why."""
        job_id, halves = running.job.job_id, can_halve(running.spec)
        if running.stall is not None and (result is None or result.outcome is not AttemptOutcome.COMPLETED):
            return AttemptEnded(job_id, AttemptOutcome.STALLED, FailureKind.STALLED), running.stall
        if result is not None:
            failure = result.failure
            ended = AttemptEnded(job_id, result.outcome, failure.kind if failure else None, halves)
            return ended, failure.message if failure else None
        has_killed = count_kernel_kills() > running.kernel_kills
        loss = explain_loss(exited, running.peak_host_gb, self._total_gb, has_killed)
        is_own_fault = exited.is_own_fault and running.told is None
        return AttemptEnded(job_id, AttemptOutcome.LOST, loss.kind, halves, is_own_fault), loss.reason

    def _tell_end(
        self,
        running: RunningAttempt,
        ended: AttemptEnded,
        result: AttemptResult | None,
        aftermath: Aftermath,
        reason: str | None,
    ) -> None:
        before = self._schedule.tries_of(ended.job_id)
        self.tell(
            "ended",
            job=ended.job_id,
            attempt=running.folder.number,
            outcome=ended.outcome.value,
            kind=ended.kind.value if ended.kind else None,
            reason=reason,
            checkpoint_sha256=result.checkpoint_sha256 if result else None,
            state=aftermath.state.value,
            counted=aftermath.tries != before,
            tries=aftermath.tries.counts(),
        )

    def _estimate_again(self) -> list[Event]:
        events: list[Event] = []
        for job_id in self._schedule.waiting_jobs():
            events.append(Estimated(job_id, *self._expect(self.jobs[job_id])))
        return events

    def _show_log(self, attempt: AttemptFolder) -> None:
        self.display.say(f"  log: {attempt.log}")
        lines = attempt.log.read_text(encoding="utf-8", errors="replace").splitlines() if attempt.log.exists() else []
        for line in lines[-N_LOG_LINES:]:
            self.display.say(f"  | {line}")

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> list[Event]:
        new = self._signals[self._n_signals_handled :]
        self._n_signals_handled = len(self._signals)
        if not new:
            return []
        if len(self._signals) > len(new) or len(new) > 1:
            for running in self._running.values():
                self.machine.executor.kill(running.folder)
        if self._schedule.stopping == "interrupt":
            return []
        self.display.say(f"stopping, {self._count()} saving; Ctrl-C again kills")
        self.tell("stop_asked", reason="interrupt", signal=new[0])
        return [StopAsked("interrupt")]

    def _count(self) -> str:
        return "1 job is" if len(self._running) == 1 else f"{len(self._running)} jobs are"
