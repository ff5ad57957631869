"""What users ask of a running sweep, turned into the schedule's events; and what that changes, written down."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from sweeper.control.asking import PRUNED
from sweeper.control.events import (
    DeviceClosing,
    DevicesExpected,
    Event,
    Instruction,
    JobAdded,
    JobCancelled,
    JobHeld,
    JobMovedUp,
    JobPruned,
    JobReleased,
    StopAsked,
)
from sweeper.control.schedule import Schedule
from sweeper.hardware.device_pool import DevicePool
from sweeper.stored.journal import JournalNotWrittenError
from sweeper.stored.requests import Request, drop_request, read_requests

Tell = Callable[..., None]

# What was meant for the controller of that time, and is done by its end, unless it is about one job.
_ENDING = ("stop", "pause")
_OF_ONE_JOB: Mapping[str, Callable[[str], Event]] = {
    "stop": JobCancelled,
    "pause": JobHeld,
    "continue": JobReleased,
    "retry": JobReleased,
    "next": JobMovedUp,
}


class Obeyed(Protocol):
    """What an order is carried out on: the controller, as far as orders go."""

    def tell(self, event: str, **fields: Any) -> None:
        """Write an event to the journal, and show it."""

    def say(self, line: str) -> None:
        """Print one line."""

    def knows(self, job_id: str) -> bool:
        """Whether the sweep has this job."""

    def add_jobs(self, request: Request) -> list[JobAdded]:
        """Take the jobs into the plan that a request brings."""


class Orders:
    """Reads the requests of one sweep.

    Args:
        sweep: its folder.
        pool: its devices.
        started_at: wall-clock seconds since the epoch: earlier requests to stop were meant for an earlier controller.
    """

    def __init__(self, sweep: SweepFolder, pool: DevicePool, started_at: float | None = None) -> None:
        self._sweep = sweep
        self._pool = pool
        self._started_at = time.time() if started_at is None else started_at

    def read(self, obeyed: Obeyed) -> list[Event]:
        """Return what has been asked since the last time, as events; a request is journalled before it is dropped."""
        events: list[Event] = []
        for request in read_requests(self._sweep):
            is_old = request.asked_at < self._started_at and request.job is None
            if not (is_old and request.op in _ENDING):
                obeyed.tell("requested", name=request.name, op=request.op, **request.arguments)
                events += self._read_one(request, obeyed)
            drop_request(self._sweep, request)
        return events

    def _read_one(self, request: Request, obeyed: Obeyed) -> Sequence[Event]:
        """Return the events of a request; none of one that makes no sense, for which no sweep should end."""
        try:
            return self._events_of(request, obeyed)
        except JournalNotWrittenError:
            raise
        except (UserError, KeyError, TypeError, ValueError) as error:
            told = str(error) if isinstance(error, UserError) else repr(error)
            obeyed.say(f"request to {request.op} in {request.name}: cannot be carried out ({told})")
            return []

    def _events_of(self, request: Request, obeyed: Obeyed) -> Sequence[Event]:
        if request.job is not None:
            if obeyed.knows(request.job):
                return [_OF_ONE_JOB[request.op](request.job)]
            obeyed.say(f"request to {request.op}: there is no job {request.job}")
            return []
        if request.op == "stop":
            obeyed.say("stopping, as asked from another terminal; jobs are saving")
            obeyed.tell("stop_asked", reason="request")
            return [StopAsked("interrupt")]
        if request.op == "pause":
            obeyed.tell("paused")
            return [DeviceClosing(number) for number in range(len(self._pool.devices))]
        if request.op == "continue":
            obeyed.tell("continued")
            return [DevicesExpected(tuple(range(len(self._pool.devices))))]
        if request.op == "gpus":
            plus = self._numbers(request.arguments.get("plus", ()), obeyed)
            minus = self._numbers(request.arguments.get("minus", ()), obeyed)
            return [*map(DeviceClosing, minus), *([DevicesExpected(tuple(plus))] if plus else [])]
        if request.op == "add":
            return obeyed.add_jobs(request)
        raise ValueError("it names no job")

    def _numbers(self, indices: Sequence[int], obeyed: Obeyed) -> list[int]:
        """Return the devices that NVML's indices name."""
        found = [number for number, device in enumerate(self._pool.devices) if device.index in indices]
        unknown = set(indices) - {device.index for device in self._pool.devices}
        if unknown:
            labels = ", ".join(device.label for device in self._pool.devices)
            obeyed.say(f"no GPU {', '.join(map(str, sorted(unknown)))} in this sweep; it has {labels}")
        return found


def handle_and_note(event: Event, schedule: Schedule, pool: DevicePool, tell: Tell) -> Sequence[Instruction]:
    """Let the schedule handle an event, the pool know which devices are wanted, and the journal what a wish changes.

    A device that the schedule has is given back when it says so, with no job on it; one that is only waited for, now.
    """
    if isinstance(event, DevicesExpected):
        for device in event.devices:
            pool.want(device)
    elif isinstance(event, DeviceClosing) and not pool.is_open(event.device):
        pool.give_back(event.device)
    if not isinstance(event, JobHeld | JobReleased | JobCancelled | JobPruned):
        return schedule.handle(event)
    before = schedule.state_of(event.job_id)
    instructions = schedule.handle(event)
    if isinstance(event, JobReleased):
        if before in (JobState.FAILED, JobState.CANCELLED):
            tell("retried", job=event.job_id, state=JobState.PLANNED.value, reason="asked for")
    elif before in (JobState.PLANNED, JobState.PAUSED):
        if isinstance(event, JobPruned):
            tell(PRUNED, job=event.job_id, state=JobState.PRUNED.value, reason=event.reason)
        elif isinstance(event, JobCancelled):
            tell("cancelled", job=event.job_id, state=JobState.CANCELLED.value, reason="asked for")
        else:
            tell("postponed", job=event.job_id, state=JobState.PAUSED.value, reason="asked for")
    return instructions
