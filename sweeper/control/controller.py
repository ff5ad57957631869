"""The loop around the schedule: carries its instructions out and tells it what happened. The only code that waits."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from runners.contract.checkpoint_files import drop_states
from runners.contract.digest import sha256_of
from runners.contract.failpoints import failpoint
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptSpec
from runners.contract.states import JobState
from sweeper.control.adding import take_added_jobs
from sweeper.control.asking import Searching
from sweeper.control.attempt_ends import Aftermath, Tries
from sweeper.control.attempt_start import AttemptSettings, make_spec
from sweeper.control.events import (
    Ask,
    Close,
    DeviceOpened,
    DevicesExpected,
    End,
    Event,
    Instruction,
    JobAdded,
    JobCancelled,
    JobPruned,
    Start,
    Stop,
    StopAsked,
)
from sweeper.control.expectations import Expectations, JobEstimates, describe
from sweeper.control.left import LeftSweep
from sweeper.control.looks import Looks, look_tags
from sweeper.control.orders import Orders, handle_and_note
from sweeper.control.packing import MAX_DEVICE_ERRORS, Need
from sweeper.control.running import EndedAttempt, Limits, RunningAttempt, RunningAttempts, whole_reason
from sweeper.control.schedule import EXIT_RESUMABLE, Schedule
from sweeper.control.search_side import SearchSide
from sweeper.executors.base import Exited, Started
from sweeper.hardware.machine import Machine
from sweeper.hardware.slots import Slot
from sweeper.planning.plan import PlannedJob
from sweeper.stored.journal import Journal, JournalNotWrittenError
from sweeper.stored.processes import birth_of
from sweeper.stored.requests import Request
from sweeper.tracking.tracked_job import tracked_job
from sweeper.tracking.tracking import Tracker
from sweeper.view.progress import Display, log_lines

TICK_S = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(repr=False)  # `signal` asks for the text of a handler, and with it of every job
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
        looks: of a hypothesis that adds seeds until it is decided; None of any other.
        search: what jobs are asked of while the sweep runs; None where all are planned.
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
    looks: Looks | None = None
    search: Searching | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Begin with an empty schedule."""
        is_asking = self.search is not None and not (self.left and self.left.has_asked_all)
        self._schedule = Schedule(self.limits.max_losses, is_asking)
        self._search = SearchSide(self.search, self.tell)
        self._expectations = Expectations(self.estimates, self.settings.n_devices)
        self._orders = Orders(self.sweep, self.machine.pool)
        self._running = RunningAttempts(self.machine.executor, self.limits, self.display.say, self.clock)
        self._signals: list[int] = []
        self._n_signals_handled = 0
        self._told_obstacles: dict[int, str] = {}

    def run(self) -> int:
        """Run until nothing is left to do; return the exit code (0, 1, 3, or 128 + signal).

        Raises:
            JournalNotWrittenError: the disk is full or failing.
        """
        previous = {number: signal.signal(number, self._note_signal) for number in SIGNALS}
        try:
            exit_code = self._loop()
        finally:
            if self.looks is not None:
                self.looks.close()
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
            need, expected_s = self._expectations.of(job)
            if left is None:
                planned.append(("planned", self._describe(job, need, expected_s)))
            state, tries = (left.state, left.tries) if left else (JobState.PLANNED, Tries())
            events.append(JobAdded(job.job_id, state, need, expected_s, tries, bool(left and left.is_held)))
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
            **({} if job.trial is None else {"trial": job.trial.describe()}),
        }

    def _loop(self) -> int:
        events: Iterable[Event] = self._first_events()
        while True:
            # Each is handled before the next is looked for: what an end means depends on those before it.
            for event in events:
                exit_code = self._handle(event)
                if exit_code is not None:
                    return exit_code
            events = self._wait()

    def _handle(self, event: Event) -> int | None:
        """Let the schedule handle an event, and do what it says; return the exit code if that is the end."""
        asked: list[Event] = []
        for instruction in handle_and_note(event, self._schedule, self.machine.pool, self.tell):
            if isinstance(instruction, End):
                exit_code = self._exit_code(instruction)
                if exit_code is not None:
                    return exit_code
            elif isinstance(instruction, Ask):
                asked += self._search.ask(self._take_new)
            else:
                self._carry_out(instruction)
        if isinstance(event, JobCancelled | JobPruned):
            self._close_run(event)
        for follower in asked:
            exit_code = self._handle(follower)
            if exit_code is not None:
                return exit_code
        return None

    def _exit_code(self, end: End) -> int | None:
        """Return how the sweep ends; None while a look may still bring jobs."""
        if self._signals:
            return 128 + self._signals[0]
        if self.looks is None or end.exit_code == EXIT_RESUMABLE:
            return end.exit_code
        if self.looks.begin():
            return None
        return EXIT_RESUMABLE if self.looks.has_failed else end.exit_code

    def _first_events(self) -> Iterator[Event]:
        pool = self.machine.pool
        yield from self._take_in(list(self.jobs.values()))
        yield DevicesExpected(tuple(range(len(pool.devices))))
        # What an earlier controller of this invocation has leased, a probe's, is there already.
        for number in pool.open_numbers:
            yield self._opened(number)
        yield from self._open_devices()

    def _take_new(self, jobs: Sequence[PlannedJob]) -> list[JobAdded]:
        self.jobs.update({job.job_id: job for job in jobs})
        return self._take_in(jobs)

    def _close_run(self, event: JobCancelled | JobPruned) -> None:
        """Tell search and tracking store of a job that was cancelled or given up while it waited to go on."""
        state = self._schedule.state_of(event.job_id)
        if state not in (JobState.CANCELLED, JobState.PRUNED):
            return
        reason = event.reason if isinstance(event, JobPruned) else "asked for"
        self._search.end(event.job_id, state, reason)
        self._drop_states(event.job_id, state)
        attempt = self.sweep.job(event.job_id).newest_attempt()
        if attempt is not None:
            self.tracker.end_job(attempt, state, reason)

    def _drop_states(self, job_id: str, state: JobState) -> None:
        """Free the disk of what a job would go on from that a search gave up: most of its trials end so."""
        if state is JobState.PRUNED:
            with contextlib.suppress(OSError):  # what cannot be removed is waste, which `detsweep clean` finds
                drop_states(self.sweep.job(job_id))

    def _carry_out(self, instruction: Instruction) -> None:
        if isinstance(instruction, Start):
            self._start(instruction)
        elif isinstance(instruction, Stop):
            self._running.stop(instruction.job_id, instruction.reason)
        elif isinstance(instruction, Close):
            device = self.machine.pool.devices[instruction.device]
            self.machine.pool.give_back(instruction.device)
            reason = f"it failed {MAX_DEVICE_ERRORS} times" if instruction.is_gone else "given back"
            self.tell("device_closed", device=device.label, reason=reason)

    def _start(self, start: Start) -> None:
        job = self.jobs[start.job_id]
        slot = self.machine.slot(start.devices, start.share, max(len(self.jobs), self._search.n_jobs))
        attempt, spec = self._prepare(job, slot, start.is_halved)
        self._running.add(job, attempt, spec, slot)
        told = {"slot": slot.label, "resume": spec.resume, "state": JobState.RUNNING.value}
        split = {"batch_per_step": spec.batch_per_step, "accumulation": spec.accumulation}
        self.tell("started", job=job.job_id, attempt=attempt.number, **told, **split)
        failpoint("spawn.before")
        visible = ",".join(device.uuid for device in slot.devices)
        leases = self.machine.pool.lease_names(start.devices)
        self.machine.executor.start(attempt, {"CUDA_VISIBLE_DEVICES": visible}, leases)
        failpoint("spawn.after")
        self.tracker.start_job(tracked_job(job, self.sweep.job(job.job_id), self.tags))

    def _prepare(self, job: PlannedJob, slot: Slot, is_halved: bool) -> tuple[AttemptFolder, AttemptSpec]:
        """Make the folder of the next attempt, and write how it is executed."""
        folder = self.sweep.job(job.job_id)
        try:
            attempt = folder.take_attempt()
            spec, passed_over = make_spec(attempt, job.config["batch_size"], slot, self.settings, is_halved)
            spec.write(attempt)
        except OSError as error:
            raise JournalNotWrittenError(
                f"attempt of job {job.job_id} cannot be written in {folder.path}: {error.strerror}; make room or mend "
                "the disk, then go on with detsweep resume"
            ) from error
        for name in passed_over:
            self.display.say(f"{job.job_id}: checkpoint {name} is damaged; going on from an older one")
        return attempt, spec

    def _wait(self) -> Iterator[Event]:
        for told in self.machine.executor.wait(TICK_S):
            job_id = told.attempt.job.job_id
            if isinstance(told, Started):
                self._running.note_process(job_id, told.pid)
                process = {"pid": told.pid, "born_at": birth_of(told.pid)}
                # A process is gone with its machine: nobody has to wait until the disk knows of it.
                self.display.event(self.journal.note("process", job=job_id, attempt=told.attempt.number, **process))
            else:
                yield from self._end(told)
        for running in self._running:
            yield from self._read_metrics(running)
        self._running.look_after()
        yield from self._open_devices()
        # A look asks before it ends: what it asks for is read before its end is noticed.
        is_look_over = self.looks is not None and self.looks.end()
        yield from self._orders.read(self)
        if is_look_over:
            self.tracker.tag_sweep(look_tags(self.sweep))
            yield DevicesExpected(())
        yield from self._handle_signals()

    def _open_devices(self) -> list[Event]:
        pool = self.machine.pool
        events = [self._opened(number) for number in pool.acquire()]
        for number, reason in pool.obstacles.items():
            if self._told_obstacles.get(number) != reason:
                self.display.say(f"waiting: {reason}")
        self._told_obstacles = pool.obstacles
        return events

    def _opened(self, number: int) -> Event:
        device, offer = self.machine.pool.devices[number], self.machine.offers[number]
        self.tell("device_opened", device=device.label, name=device.name, n_shares=offer.n_shares)
        return DeviceOpened(number, offer.n_shares, offer.memory_gb)

    def _read_metrics(self, running: RunningAttempt) -> list[Event]:
        before, events = running.offset, []
        for record in self._running.read(running):
            self.display.record(running.job.job_id, record)
            events += self._search.record(running.job.job_id, record)
        if running.offset > before:
            self.tracker.ship(running.folder)
        return events

    def _end(self, exited: Exited) -> list[Event]:
        decided = self._read_metrics(self._running[exited.attempt.job.job_id])
        over = self._running.end(exited)
        aftermath = self._schedule.after(over.ended)
        reason = self._search.why_ended(over.ended.job_id, aftermath.state) or whole_reason(over, aftermath)
        self._tell_end(over, aftermath, reason)
        if aftermath.state is JobState.FAILED and self.settings.mode == "train":
            for line in log_lines(over.attempt.folder):
                self.display.say(line)
        self.tracker.end_job(over.attempt.folder, aftermath.state, reason)
        if aftermath.stops_sweep and self._schedule.stopping is None:
            self.display.say(f"disk full: {reason}; nothing more is started")
            self.tell("stop_asked", reason="disk")
        # Before the place is free: what is started there is chosen by what is known now.
        has_news = aftermath.state is JobState.COMPLETED and self._expectations.learn(over)
        corrections = self._estimate_again() if has_news else []
        self._drop_states(over.ended.job_id, aftermath.state)
        self._search.end(over.ended.job_id, aftermath.state, reason)
        return [*corrections, over.ended, *decided]

    def _tell_end(self, over: EndedAttempt, aftermath: Aftermath, reason: str | None) -> None:
        ended = over.ended
        self.tell(
            "ended",
            job=ended.job_id,
            attempt=over.attempt.folder.number,
            outcome=ended.outcome.value,
            kind=ended.kind.value if ended.kind else None,
            reason=reason,
            checkpoint_sha256=over.result.checkpoint_sha256 if over.result else None,
            state=aftermath.state.value,
            counted=aftermath.tries != self._schedule.tries_of(ended.job_id),
            tries=aftermath.tries.counts(),
        )

    def _estimate_again(self) -> list[Event]:
        """Return a correction for every waiting job of which something else is expected now, written down together."""
        events = list(self._expectations.corrections(self.jobs, self._schedule))
        for record in self.journal.append_all([describe(event) for event in events]) if events else []:
            self.display.event(record)
        return [*events]

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> list[Event]:
        new = self._signals[self._n_signals_handled :]
        self._n_signals_handled = len(self._signals)
        if not new:
            return []
        if len(self._signals) > len(new) or len(new) > 1:
            self._running.kill_all()
        if self._schedule.stopping == "interrupt":
            return []
        self.display.say(f"stopping, {self._count()} saving; Ctrl-C again kills")
        self.tell("stop_asked", reason="interrupt", signal=new[0])
        return [StopAsked("interrupt")]

    def _count(self) -> str:
        return "1 job is" if len(self._running) == 1 else f"{len(self._running)} jobs are"
