"""The loop around the schedule: carries its instructions out and tells it what happened. The only code that waits."""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from runners.contract.checkpoint_files import find_resume_point
from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.records import AttemptResult, AttemptSpec, read_metrics
from runners.contract.states import AttemptOutcome, JobState
from sweeper.executors.base import Executor, Exited, Started
from sweeper.journal import Journal
from sweeper.plan import PlannedJob
from sweeper.processes import birth_of
from sweeper.progress import Display
from sweeper.schedule import (
    AttemptEnded,
    End,
    Event,
    Instruction,
    JobAdded,
    Schedule,
    SlotOpened,
    Start,
    Stop,
    StopAsked,
)
from sweeper.slots import Slot
from sweeper.tracked_job import tracked_job
from sweeper.tracking import Tracker

TICK_S = 0.5
GRACE_S = 60.0
N_LOG_LINES = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class RunningAttempt:
    """An attempt that lives.

    Attributes:
        job: what it executes.
        folder: its folder.
        slot: where it runs.
        offset: bytes of its metrics that the progress display has seen.
    """

    job: PlannedJob
    folder: AttemptFolder
    slot: Slot
    offset: int = 0


@dataclass
class Controller:
    """Runs one plan in one sweep folder.

    Attributes:
        jobs: job id to job, in the order of the plan.
        sweep: the sweep's folder, with the folder of every job in it.
        slots: where jobs can run.
        executor: what runs them.
        journal: owned by this controller.
        tracker: ships to the tracking store.
        progress: what the person sees.
        mode: train, or only check that each job could.
        n_workers: data loader workers of a job; None chooses by device.
        batch_per_step: images in one forward pass at most; None takes the whole batch at once.
        tags: what every run carries in the tracking store.
        left: where an earlier controller of this sweep left the jobs; empty for a new one.
    """

    jobs: Mapping[str, PlannedJob]
    sweep: SweepFolder
    slots: Sequence[Slot]
    executor: Executor
    journal: Journal
    tracker: Tracker
    progress: Display
    mode: Literal["train", "check"] = "train"
    n_workers: int | None = None
    batch_per_step: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, JobState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with an empty schedule."""
        self._schedule = Schedule()
        self._running: dict[str, RunningAttempt] = {}
        self._signals: list[int] = []
        self._n_signals_handled = 0
        self._kill_at_s: float | None = None

    def run(self) -> int:
        """Run until nothing is left to do; return the exit code (0, 1, 3, or 128 + signal)."""
        previous = {number: signal.signal(number, self._note_signal) for number in SIGNALS}
        try:
            exit_code = self._loop()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self.journal.append("sweep_ended", exit_code=exit_code)
        return exit_code

    def _loop(self) -> int:
        events: list[Event] = [JobAdded(job_id, self.left.get(job_id, JobState.PLANNED)) for job_id in self.jobs]
        for job_id in self.jobs:
            if job_id not in self.left:
                self.journal.append("planned", job=job_id, state=JobState.PLANNED.value)
        events += [SlotOpened(slot.number) for slot in self.slots]
        while True:
            for event in events:
                for instruction in self._schedule.handle(event):
                    if isinstance(instruction, End):
                        return 128 + self._signals[0] if self._signals else instruction.exit_code
                    self._carry_out(instruction)
            events = self._wait()

    def _carry_out(self, instruction: Instruction) -> None:
        if isinstance(instruction, Start):
            self._start(
                self.jobs[instruction.job_id], next(slot for slot in self.slots if slot.number == instruction.slot)
            )
        elif isinstance(instruction, Stop):
            running = self._running[instruction.job_id]
            write_text(running.folder.stop, instruction.reason)
            self.executor.terminate(running.folder)

    def _start(self, job: PlannedJob, slot: Slot) -> None:
        folder = self.sweep.job(job.job_id)
        attempt = folder.take_attempt()
        accumulation = accumulation_for(job.config["batch_size"], self.batch_per_step)
        spec = AttemptSpec(
            attempt=attempt.number,
            device=slot.device.kind,
            n_threads=slot.n_threads,
            n_workers=self._workers(slot),
            batch_per_step=job.config["batch_size"] // accumulation,
            accumulation=accumulation,
            mode=self.mode,
            requested_at=time.time(),
            resume=self._resume_point(folder),
        )
        spec.write(attempt)
        self._running[job.job_id] = RunningAttempt(job, attempt, slot)
        told = {"attempt": attempt.number, "slot": slot.label, "resume": spec.resume, "state": JobState.RUNNING.value}
        self.journal.append("started", job=job.job_id, **told)
        self.executor.start(attempt, {"CUDA_VISIBLE_DEVICES": slot.device.uuid})
        self.progress.start(job.job_id, slot.label)
        self.tracker.start_job(tracked_job(job, folder, self.tags))

    def _resume_point(self, folder: JobFolder) -> str | None:
        point = find_resume_point(folder)
        for name in point.passed_over:
            self.progress.say(f"{folder.job_id}: checkpoint {name} is damaged; going on from an older one")
        return point.spec_value

    def _workers(self, slot: Slot) -> int:
        if self.n_workers is not None:
            return self.n_workers
        # On the CPU the training threads use every core already, and small images load faster than workers hand over.
        return 0 if slot.device.kind == "cpu" else min(4, max(1, slot.n_threads - 1))

    def _wait(self) -> list[Event]:
        ended: list[Event] = []
        for event in self.executor.wait(TICK_S):
            job_id = event.attempt.job.job_id
            if isinstance(event, Started):
                told = {"attempt": event.attempt.number, "pid": event.pid, "born_at": birth_of(event.pid)}
                self.journal.append("process", job=job_id, **told)
            else:
                ended.append(self._end(self._running.pop(job_id), event))
        for running in self._running.values():
            self._read_metrics(running)
        return [*ended, *self._handle_signals()]

    def _read_metrics(self, running: RunningAttempt) -> None:
        before = running.offset
        for record, behind in read_metrics(running.folder, before):
            running.offset = behind
            self.progress.record(running.job.job_id, record)
        if running.offset > before:
            self.tracker.ship(running.folder)

    def _end(self, running: RunningAttempt, exited: Exited) -> Event:
        self._read_metrics(running)
        job_id = running.job.job_id
        result = AttemptResult.read(running.folder)
        if result is None:
            outcome: AttemptOutcome = AttemptOutcome.LOST
            reason: str | None = exited.message or f"{_exit_words(exited.returncode)} without a result"
        else:
            outcome, reason = result.outcome, result.failure.message if result.failure else None
        ended = AttemptEnded(job_id, outcome)
        state = self._schedule.state_after(ended)
        digest = result.checkpoint_sha256 if result else None
        told = {"outcome": outcome.value, "reason": reason, "checkpoint_sha256": digest, "state": state.value}
        self.journal.append("ended", job=job_id, attempt=running.folder.number, **told)
        self.progress.end(job_id, state, reason)
        if state is JobState.FAILED and self.mode == "train":
            self._show_log(running.folder)
        self.tracker.end_job(running.folder, state, reason)
        return ended

    def _show_log(self, attempt: AttemptFolder) -> None:
        self.progress.say(f"  log: {attempt.log}")
        lines = attempt.log.read_text(encoding="utf-8", errors="replace").splitlines() if attempt.log.exists() else []
        for line in lines[-N_LOG_LINES:]:
            self.progress.say(f"  | {line}")

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> list[Event]:
        new = self._signals[self._n_signals_handled :]
        self._n_signals_handled = len(self._signals)
        if self._kill_at_s is not None and (new or time.monotonic() > self._kill_at_s):
            for running in self._running.values():
                self.executor.kill(running.folder)
        elif new:
            self._kill_at_s = time.monotonic() + GRACE_S
            self.progress.say(f"stopping, {self._count()} saving; Ctrl-C again kills")
            self.journal.append("stop_asked", reason="interrupt", signal=new[0])
            return [StopAsked("interrupt")]
        return []

    def _count(self) -> str:
        return "1 job is" if len(self._running) == 1 else f"{len(self._running)} jobs are"


def accumulation_for(batch_size: int, batch_per_step: int | None) -> int:
    """Return how many equal forward passes make up a batch, so that none holds more images than allowed."""
    if batch_per_step is None:
        return 1
    return next(n for n in range(1, batch_size + 1) if batch_size % n == 0 and batch_size // n <= batch_per_step)


def _exit_words(returncode: int) -> str:
    if returncode < 0:
        return f"killed by signal {-returncode} ({signal.Signals(-returncode).name})"
    return f"ended with status {returncode}"
