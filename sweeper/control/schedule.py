"""The schedule: a pure state machine. Events go in, instructions come out; it knows no clock, process or disk.

Its state is a fold over the journal: whoever handles the same events ends in the same state. States of a job:

    PLANNED -> RUNNING -> COMPLETED | FAILED | PRUNED
               RUNNING -> PAUSED (interrupted, or ended by something that a retry can mend) -> RUNNING
    PLANNED | PAUSED | RUNNING -> CANCELLED | PRUNED, and CANCELLED | FAILED -> PLANNED, only because a user asked
"""

from collections.abc import Sequence
from dataclasses import dataclass

from runners.contract.states import JobState
from sweeper.control.attempt_ends import MAX_LOSSES, Aftermath, AttemptEnded, Tries, judge_end
from sweeper.control.events import (
    Ask,
    AskingEnded,
    Close,
    DeviceClosing,
    DeviceOpened,
    DevicesExpected,
    End,
    Estimated,
    Event,
    Instruction,
    JobAdded,
    JobCancelled,
    JobHeld,
    JobMovedUp,
    JobPruned,
    JobReleased,
    Start,
    Stop,
    StopAsked,
)
from sweeper.control.packing import Need, Packing
from sweeper.control.waiting import Place, WaitingLine

EXIT_DONE, EXIT_FAILED_JOBS, EXIT_RESUMABLE = 0, 1, 3

# What is started first: what a user asked for (below zero), then what has begun already, then the rest of the plan.
_BEGUN, _PLANNED = 0, 1


@dataclass
class _Entry:
    """What the schedule knows about a job."""

    number: int
    state: JobState
    need: Need
    expected_s: float
    tries: Tries
    rank: int = _PLANNED
    is_held: bool = False
    is_cancelled: bool = False  # asked for while it runs
    is_pruned: bool = False  # decided while it runs
    share: int = 0
    devices: tuple[int, ...] = ()


class Schedule:
    """Longest expected job first; a free place takes the first waiting job that fits. No batch and no barrier.

    Args:
        max_losses: how many vanished processes of a job are put up with, the last of which fails it.
        is_asking: whether jobs are asked for wherever a place is free and none waits, as those of a search are.
    """

    def __init__(self, max_losses: int = MAX_LOSSES, is_asking: bool = False) -> None:
        self._max_losses = max_losses
        self._is_asking = is_asking
        self._jobs: dict[str, _Entry] = {}
        self._waiting = WaitingLine()
        self._packing = Packing()
        self._n_running = 0
        self._n_moved_up = 0
        self._n_open = 0  # jobs in no terminal state
        self.stopping: str | None = None

    @property
    def states(self) -> dict[str, JobState]:
        """Every job's state, in the order of the plan."""
        return {job_id: entry.state for job_id, entry in self._jobs.items()}

    def state_of(self, job_id: str) -> JobState | None:
        """Return a job's state; None if there is no such job."""
        entry = self._jobs.get(job_id)
        return entry.state if entry else None

    def tries_of(self, job_id: str) -> Tries:
        """Return what counts against a job so far."""
        return self._jobs[job_id].tries

    def waiting_jobs(self) -> list[str]:
        """Return the jobs that could be started, first one first."""
        return self._waiting.jobs()

    def expectation_of(self, job_id: str) -> tuple[Need, float]:
        """Return what a job is expected to need, and for how many seconds."""
        entry = self._jobs[job_id]
        return entry.need, entry.expected_s

    def after(self, event: AttemptEnded) -> Aftermath:
        """Return what an ended attempt means for its job; the schedule itself is not changed."""
        entry = self._jobs[event.job_id]
        is_stopped = entry.is_cancelled or self.stopping is not None
        return judge_end(event, entry.tries, self._max_losses, entry.is_cancelled, is_stopped, entry.is_pruned)

    def handle(self, event: Event) -> Sequence[Instruction]:
        """Take one event and return what has to be done now, in order.

        Raises:
            ValueError: the event cannot happen in this state.
        """
        told: list[Instruction] = []
        if isinstance(event, JobAdded):
            self._add(event)
        elif isinstance(event, AttemptEnded):
            told += self._end_attempt(event)
        elif isinstance(event, Estimated):
            self._estimate(event)
        elif isinstance(event, DevicesExpected):
            for device in event.devices:
                self._packing.expect(device)
        elif isinstance(event, DeviceOpened):
            self._packing.open(event.device, event.n_shares, event.memory_gb)
        elif isinstance(event, DeviceClosing):
            told += self._close(event.device, event.is_gone)
        elif isinstance(event, AskingEnded):
            self._is_asking = False
        elif isinstance(event, StopAsked):
            self.stopping = event.reason
            told += [Stop(job_id, event.reason) for job_id, entry in self._jobs.items() if _runs(entry)]
        else:
            told += self._obey(event)
        return [*told, *self._fill(), *self._end()]

    def _add(self, event: JobAdded) -> None:
        if event.job_id in self._jobs:
            raise ValueError(f"job {event.job_id} was added before, state {self._jobs[event.job_id].state.value}")
        if event.state is JobState.RUNNING:
            raise ValueError(f"job {event.job_id} was left running: its attempt has to be ended first")
        rank = _BEGUN if event.state is JobState.PAUSED else _PLANNED
        entry = _Entry(len(self._jobs), event.state, event.need, event.expected_s, event.tries, rank, event.is_held)
        self._jobs[event.job_id] = entry
        if not event.state.is_terminal:
            self._n_open += 1
            self._enqueue(event.job_id)

    def _end_attempt(self, event: AttemptEnded) -> list[Instruction]:
        entry = self._jobs.get(event.job_id)
        if entry is None or not _runs(entry):
            word = entry.state.value if entry else "unknown"
            raise ValueError(f"job {event.job_id} ended {event.outcome.value} without running (state {word})")
        aftermath = self.after(event)
        self._n_running -= 1
        self._packing.leave(event.job_id, entry.devices)
        gone = self._packing.note_error(entry.devices) if aftermath.is_device_error else []
        entry.state, entry.tries, entry.devices, entry.rank = aftermath.state, aftermath.tries, (), _BEGUN
        if aftermath.state.is_terminal:
            self._n_open -= 1
        else:
            self._enqueue(event.job_id)
        if aftermath.stops_sweep and self.stopping is None:
            self.stopping = "disk"
        told = [instruction for device in gone for instruction in self._close(device, is_gone=True)]
        return [*told, *self._closed()]

    def _estimate(self, event: Estimated) -> None:
        entry = self._jobs[event.job_id]
        if _runs(entry) or entry.state.is_terminal:
            return  # what it holds is held already
        self._dequeue(event.job_id)
        entry.need, entry.expected_s = event.need, event.expected_s
        self._enqueue(event.job_id)

    def _close(self, device: int, is_gone: bool) -> list[Instruction]:
        jobs = self._packing.close(device, is_gone)
        return [*(Stop(job_id, "interrupt") for job_id in jobs), *self._closed()]

    def _closed(self) -> list[Close]:
        return [Close(device, is_gone) for device, is_gone in self._packing.pop_empty()]

    def _obey(self, event: JobMovedUp | JobHeld | JobReleased | JobCancelled | JobPruned) -> list[Instruction]:
        """Carry out what a user or a search wants of one job; what makes no sense in its state changes nothing."""
        entry = self._jobs[event.job_id]
        if isinstance(event, JobReleased):
            if entry.state in (JobState.FAILED, JobState.CANCELLED):
                entry.state, entry.tries, entry.rank = JobState.PLANNED, Tries(), _PLANNED
                self._n_open += 1
            elif entry.state.is_terminal or not entry.is_held:
                return []
            entry.is_held = False
            if not _runs(entry):
                self._enqueue(event.job_id)
        elif entry.state.is_terminal:
            return []
        elif isinstance(event, JobMovedUp):
            self._dequeue(event.job_id)
            self._n_moved_up += 1
            entry.rank, entry.is_held = -self._n_moved_up, False
            self._enqueue(event.job_id)
        elif isinstance(event, JobHeld):
            entry.is_held = True
            if _runs(entry):
                return [Stop(event.job_id, "interrupt")]
            self._dequeue(event.job_id)
            entry.state = JobState.PAUSED
        elif _runs(entry):
            is_pruned = isinstance(event, JobPruned)
            entry.is_pruned, entry.is_cancelled = is_pruned or entry.is_pruned, not is_pruned or entry.is_cancelled
            return [Stop(event.job_id, "prune" if is_pruned else "cancel")]
        else:
            self._dequeue(event.job_id)
            entry.state = JobState.PRUNED if isinstance(event, JobPruned) else JobState.CANCELLED
            self._n_open -= 1
        return []

    def _enqueue(self, job_id: str) -> None:
        entry = self._jobs[job_id]
        if not entry.is_held and not _runs(entry):
            self._waiting.add(entry.need, _place_in_line(job_id, entry))

    def _dequeue(self, job_id: str) -> None:
        entry = self._jobs[job_id]
        self._waiting.remove(entry.need, _place_in_line(job_id, entry))

    def _fill(self) -> list[Instruction]:
        if self.stopping:
            return []
        started: list[Instruction] = []
        hopeless: set[Need] = set()
        self._packing.begin_round()
        while self._packing.has_room() and (first := self._waiting.first(hopeless)):
            need, place = first
            job_id = place[-1]
            found = self._packing.place(job_id, need, is_urgent=self._jobs[job_id].rank < _BEGUN)
            if found is None:
                hopeless.add(need)
                continue
            self._waiting.remove(need, place)
            entry = self._jobs[job_id]
            entry.devices, entry.share = found
            entry.state, entry.is_cancelled, entry.is_pruned = JobState.RUNNING, False, False
            self._n_running += 1
            started.append(Start(job_id, entry.devices, entry.share, entry.tries.n_ooms > 0))
        if self._is_asking and self._packing.has_room() and not self._waiting.needs():
            return [*started, Ask()]
        return started

    def _end(self) -> list[Instruction]:
        if self._n_running or not self._packing.was_told_of_devices:
            return []
        # A search is asked as soon as there is a place, and has jobs like those that it had.
        needs = list(self._waiting.needs()) or ([Need()] if self._is_asking else [])
        can_go_on = self.stopping is None and any(map(self._packing.could_fit, needs))
        return [] if can_go_on else [End(self.exit_code())]

    def exit_code(self) -> int:
        """Return the exit code that the states call for: 0 all done, 1 some failed, 3 something left to do."""
        if self._n_open or self._is_asking:
            return EXIT_RESUMABLE
        is_failed = any(entry.state is JobState.FAILED for entry in self._jobs.values())
        return EXIT_FAILED_JOBS if is_failed else EXIT_DONE


def _runs(entry: _Entry) -> bool:
    return entry.state is JobState.RUNNING


def _place_in_line(job_id: str, entry: _Entry) -> Place:
    return (entry.rank, -entry.expected_s, entry.number, job_id)
