"""The schedule: a pure state machine. Events go in, instructions come out; it knows no clock, process or disk.

Its state is a fold over the journal: whoever handles the same events ends in the same state. States of a job:

    PLANNED -> RUNNING -> COMPLETED | FAILED | PRUNED
             RUNNING -> PAUSED (interrupted; a later controller goes on from its checkpoint)
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from runners.contract.states import AttemptOutcome, JobState


@dataclass(frozen=True)
class JobAdded:
    """The plan holds one job more; jobs are started in the order in which they are added."""

    job_id: str


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
    # There is no retry yet: what was lost or stalled has failed, and a person sees why.
    AttemptOutcome.LOST: JobState.FAILED,
    AttemptOutcome.STALLED: JobState.FAILED,
}

EXIT_DONE, EXIT_FAILED_JOBS, EXIT_RESUMABLE = 0, 1, 3


@dataclass
class Schedule:
    """First come, first served: a free slot takes the oldest waiting job; there is no batch and no barrier.

    Attributes:
        states: every job's state, in the order of the plan.
        slots: slot number to the job it holds, or None.
        waiting: jobs to start, oldest first.
        stopping: the reason once a stop was asked; then nothing is started any more.
    """

    states: dict[str, JobState] = field(default_factory=dict)
    slots: dict[int, str | None] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)
    stopping: str | None = None

    def handle(self, event: Event) -> Sequence[Instruction]:
        """Take one event and return what has to be done now, in order.

        Raises:
            ValueError: the event cannot happen in this state.
        """
        if isinstance(event, JobAdded):
            if event.job_id in self.states:
                raise ValueError(f"job {event.job_id} was added before, state {self.states[event.job_id].value}")
            self.states[event.job_id] = JobState.PLANNED
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
        self.states[event.job_id] = STATE_AFTER[event.outcome]

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
