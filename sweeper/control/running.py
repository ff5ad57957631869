"""The attempts that live: started, told to stop, watched, killed when their time is over, and how each ended."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from runners.contract.folder import AttemptFolder
from runners.contract.jsonfile import write_text
from runners.contract.records import AttemptResult, AttemptSpec, MetricRecord, read_metrics
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.attempt_ends import MAX_LOSSES, Aftermath, AttemptEnded
from sweeper.control.attempt_start import can_halve
from sweeper.control.losses import count_kernel_kills, explain_loss, resident_gb
from sweeper.control.watchdog import Watchdog
from sweeper.executors.base import Executor, Exited
from sweeper.hardware.slots import Slot
from sweeper.planning.plan import PlannedJob

# From being told to stop to being killed; a checkpoint of gigabytes on a slow disk takes its time.
GRACE_S = 60.0
# From the request for its stacks to TERM, and on to KILL, for an attempt that stands still.
DUMP_S = 1.0
STALL_GRACE_S = 30.0
SAMPLE_S = 2.0


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


@dataclass(frozen=True)
class EndedAttempt:
    """An attempt that is over.

    Attributes:
        attempt: as it was when it lived.
        ended: what the schedule is told.
        reason: why it ended so, if something is to be said.
        result: what it wrote itself; None if it did not come to that.
    """

    attempt: RunningAttempt
    ended: AttemptEnded
    reason: str | None
    result: AttemptResult | None


def whole_reason(over: EndedAttempt, aftermath: Aftermath) -> str | None:
    """Return why an attempt ended, and what comes of it."""
    if over.ended.outcome is AttemptOutcome.LOST and aftermath.state is JobState.FAILED:
        tries = aftermath.tries
        n_times = tries.n_host_ooms if over.ended.kind is FailureKind.OOM else tries.n_losses
        return f"{over.reason}, {n_times} times; log: {over.attempt.folder.log}"
    if over.ended.kind is FailureKind.OOM and aftermath.state is JobState.PAUSED:
        return f"{over.reason}; goes on with half the images at a time"
    return over.reason


class RunningAttempts:
    """All attempts of a controller that live.

    Args:
        executor: what runs them.
        limits: what is put up with.
        say: tells the person one line.
        clock: monotonic seconds.
    """

    def __init__(
        self, executor: Executor, limits: Limits, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._executor = executor
        self._limits = limits
        self._say = say
        self._clock = clock
        self._watchdog = Watchdog(limits.first_step_s, limits.step_s)
        self._attempts: dict[str, RunningAttempt] = {}
        self._next_sample_s = 0.0
        self._total_gb = psutil.virtual_memory().total / 1e9

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[RunningAttempt]:
        return iter(list(self._attempts.values()))

    def __getitem__(self, job_id: str) -> RunningAttempt:
        return self._attempts[job_id]

    def add(self, job: PlannedJob, folder: AttemptFolder, spec: AttemptSpec, slot: Slot) -> None:
        """Look after an attempt that is about to be started."""
        self._attempts[job.job_id] = RunningAttempt(job, folder, spec, slot, count_kernel_kills())
        self._watchdog.start(job.job_id, self._clock())

    def note_process(self, job_id: str, pid: int) -> None:
        """Know the process of an attempt."""
        self._attempts[job_id].pid = pid

    def stop(self, job_id: str, reason: str) -> None:
        """Tell an attempt to save and end; it is killed if it does not."""
        self._stop(self._attempts[job_id], reason, self._limits.grace_s)

    def kill_all(self) -> None:
        """Kill every attempt now."""
        for attempt in self:
            self._executor.kill(attempt.folder)

    def read(self, attempt: RunningAttempt) -> Iterator[MetricRecord]:
        """Yield what an attempt has written since the last time; a line that is no record stops no job."""
        while True:
            try:
                for record, behind in read_metrics(attempt.folder, attempt.offset):
                    attempt.offset = behind
                    self._watchdog.record(attempt.job.job_id, record, self._clock())
                    yield record
                return
            except (ValueError, TypeError) as error:
                told = f"a line of {attempt.folder.metrics} is damaged and passed over: {error}"
                self._say(f"{attempt.job.job_id}: {told}")
                attempt.offset = _behind_line(attempt.folder.metrics, attempt.offset)

    def look_after(self) -> None:
        """Find attempts that stand still, kill those whose time is over, and note how much memory each holds."""
        now_s = self._clock()
        for job_id, seconds in self._watchdog.stalled(now_s).items():
            attempt = self._attempts[job_id]
            if attempt.stall is None:
                attempt.stall = f"no progress for {seconds / 60:.0f} min; its stacks are in {attempt.folder.log}"
                self._say(f"{job_id}: {attempt.stall}")
                self._executor.dump(attempt.folder)
                attempt.terminate_at_s, attempt.kill_at_s = now_s + DUMP_S, now_s + DUMP_S + STALL_GRACE_S
        for attempt in self:
            if attempt.terminate_at_s is not None and now_s >= attempt.terminate_at_s:
                attempt.terminate_at_s = None
                self._stop(attempt, "interrupt", STALL_GRACE_S)
            if attempt.kill_at_s is not None and now_s >= attempt.kill_at_s:
                attempt.kill_at_s = now_s + self._limits.grace_s
                self._executor.kill(attempt.folder)
        if now_s >= self._next_sample_s:
            self._next_sample_s = now_s + SAMPLE_S
            for attempt in self:
                if attempt.pid is not None:
                    attempt.peak_host_gb = max(attempt.peak_host_gb, resident_gb(attempt.pid))

    def end(self, exited: Exited) -> EndedAttempt:
        """Take out an attempt whose process is gone, and return how it ended."""
        attempt = self._attempts.pop(exited.attempt.job.job_id)
        self._watchdog.end(attempt.job.job_id)
        result = AttemptResult.read(attempt.folder)
        return EndedAttempt(attempt, *self._outcome(attempt, exited, result), result)

    def _stop(self, attempt: RunningAttempt, reason: str, grace_s: float) -> None:
        if attempt.told == "cancel":
            return
        attempt.told = reason
        with contextlib.suppress(
            OSError
        ):  # a full disk must not keep anything from being stopped: TERM says it as well
            write_text(attempt.folder.stop, reason)
        self._executor.terminate(attempt.folder)
        if attempt.kill_at_s is None:
            attempt.kill_at_s = self._clock() + grace_s

    def _outcome(
        self, attempt: RunningAttempt, exited: Exited, result: AttemptResult | None
    ) -> tuple[AttemptEnded, str | None]:
        job_id, halves = attempt.job.job_id, can_halve(attempt.spec)
        if attempt.stall is not None and (result is None or result.outcome is not AttemptOutcome.COMPLETED):
            return AttemptEnded(job_id, AttemptOutcome.STALLED, FailureKind.STALLED), attempt.stall
        if result is not None:
            failure = result.failure
            ended = AttemptEnded(job_id, result.outcome, failure.kind if failure else None, halves)
            return ended, failure.message if failure else None
        has_killed = count_kernel_kills() > attempt.kernel_kills
        loss = explain_loss(exited, attempt.peak_host_gb, self._total_gb, has_killed)
        is_own_fault = exited.is_own_fault and attempt.told is None
        return AttemptEnded(job_id, AttemptOutcome.LOST, loss.kind, halves, is_own_fault), loss.reason


def _behind_line(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        return offset + len(file.readline())
