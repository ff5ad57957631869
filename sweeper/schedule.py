"""The schedule: a pure state machine. Events go in, instructions come out; it knows no clock, process or disk.

Its state is a fold over the journal: whoever handles the same events ends in the same state. States of a job:

    PLANNED -> RUNNING -> COMPLETED | FAILED | PRUNED
               RUNNING -> PAUSED (interrupted or lost) -> RUNNING (from its newest valid checkpoint)
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from runners.contract.states import AttemptOutcome, JobState


@dataclass(frozen=True)
class JobAdded:
    """The plan holds one job more; jobs are started in the order in which they are added.

    Attributes:
        job_id: the job.
        state: where an earlier controller left it; what is terminal is never started again.
    """

    job_id: str
    state: JobState = JobState.PLANNED


@dataclass(frozen=True)
class SlotOpened:
    """A slot can take jobs."""

    slot: int


@dataclass(frozen=True)
class AttemptEnded:
    """An attempt is over, however it ended."""

    job_id: str
    outcome: AttemptOutcome


@dataclass(frozen=True)
class StopAsked:
    """The sweep is to stop; `reason` is what jobs are told (``interrupt`` or ``cancel``)."""

    reason: str


Event = JobAdded | SlotOpened | AttemptEnded | StopAsked


@dataclass(frozen=True)
class Start:
    """Start a new attempt of a job in a slot."""

    job_id: str
    slot: int


@dataclass(frozen=True)
class Stop:
    """Ask a running job to save and stop."""

    job_id: str
    reason: str


@dataclass(frozen=True)
class End:
    """Nothing runs and nothing is left to start."""

    exit_code: int


Instruction = Start | Stop | End

STATE_AFTER = {
    AttemptOutcome.COMPLETED: JobState.COMPLETED,
    AttemptOutcome.PRUNED: JobState.PRUNED,
    AttemptOutcome.FAILED: JobState.FAILED,
    AttemptOutcome.INTERRUPTED: JobState.PAUSED,
    AttemptOutcome.LOST: JobState.PAUSED,
    AttemptOutcome.STALLED: JobState.FAILED,
}
# A job whose process vanished is tried again; the third loss under one controller is taken for its own fault.
MAX_LOSSES = 3

EXIT_DONE, EXIT_FAILED_JOBS, EXIT_RESUMABLE = 0, 1, 3


@dataclass
class Schedule:
    """First come, first served: a free slot takes the oldest waiting job; there is no batch and no barrier.

    Attributes:
        states: every job's state, in the order of the plan.
        slots: slot number to the job it holds, or None.
        waiting: jobs to start, oldest first.
        losses: how often each job's process has vanished.
        stopping: the reason once a stop was asked; then nothing is started any more.
    """

    states: dict[str, JobState] = field(default_factory=dict)
    slots: dict[int, str | None] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)
    losses: Counter[str] = field(default_factory=Counter)
    stopping: str | None = None

    def handle(self, event: Event) -> Sequence[Instruction]:
        """Take one event and return what has to be done now, in order.

        Raises:
            ValueError: the event cannot happen in this state.
        """
        if isinstance(event, JobAdded):
            if event.job_id in self.states:
                raise ValueError(f"job {event.job_id} was added before, state {self.states[event.job_id].value}")
            if event.state is JobState.RUNNING:
                raise ValueError(f"job {event.job_id} was left running: its attempt has to be ended first")
            self.states[event.job_id] = event.state
            if not event.state.is_terminal:
                self.waiting.append(event.job_id)
        elif isinstance(event, SlotOpened):
            if event.slot in self.slots:
                raise ValueError(f"slot {event.slot} was opened before")
            self.slots[event.slot] = None
        elif isinstance(event, AttemptEnded):
            self._end_attempt(event)
        else:
            self.stopping = event.reason
            return [Stop(job, event.reason) for job in self.slots.values() if job is not None] or self._end()
        return [*self._fill(), *self._end()]

    def _end_attempt(self, event: AttemptEnded) -> None:
        if self.states.get(event.job_id) is not JobState.RUNNING:
            state = self.states.get(event.job_id)
            word = state.value if state else "unknown"
            raise ValueError(f"job {event.job_id} ended {event.outcome.value} without running (state {word})")
        slot = next(number for number, job in self.slots.items() if job == event.job_id)
        self.slots[slot] = None
        self.states[event.job_id] = self.state_after(event)
        if event.outcome is AttemptOutcome.LOST:
            self.losses[event.job_id] += 1
            if not self.states[event.job_id].is_terminal:
                self.waiting.appendleft(event.job_id)

    def state_after(self, event: AttemptEnded) -> JobState:
        """Return the state that an ended attempt puts its job into; the schedule itself is not changed."""
        if event.outcome is AttemptOutcome.LOST and self.losses[event.job_id] + 1 >= MAX_LOSSES:
            return JobState.FAILED
        return STATE_AFTER[event.outcome]

    def _fill(self) -> list[Instruction]:
        if self.stopping:
            return []
        started: list[Instruction] = []
        for slot, job in self.slots.items():
            if job is None and self.waiting:
                job_id = self.waiting.popleft()
                self.slots[slot] = job_id
                self.states[job_id] = JobState.RUNNING
                started.append(Start(job_id, slot))
        return started

    def _end(self) -> list[Instruction]:
        if any(job is not None for job in self.slots.values()) or (self.waiting and not self.stopping):
            return []
        if not self.slots:
            return []
        return [End(self.exit_code())]

    def exit_code(self) -> int:
        """Return the exit code that the states call for: 0 all done, 1 some failed, 3 something left to do."""
        if not all(state.is_terminal for state in self.states.values()):
            return EXIT_RESUMABLE
        if JobState.FAILED in self.states.values():
            return EXIT_FAILED_JOBS
        return EXIT_DONE
