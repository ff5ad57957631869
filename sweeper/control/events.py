"""What can happen to a sweep, and what its schedule wants done: the two languages of the loop between them."""

from dataclasses import dataclass

from runners.contract.states import JobState
from sweeper.control.attempt_ends import AttemptEnded, Tries
from sweeper.control.packing import Need


@dataclass(frozen=True)
class JobAdded:
    """The plan holds one job more.

    Attributes:
        job_id: the job.
        state: where an earlier controller left it; what is terminal is never started again.
        need: what it occupies.
        expected_s: how long it will take; the longest is started first, equals in the order in which they are added.
        tries: what went wrong with it so far.
        is_held: it waits until it is released.
    """

    job_id: str
    state: JobState = JobState.PLANNED
    need: Need = Need()
    expected_s: float = 0.0
    tries: Tries = Tries()
    is_held: bool = False


@dataclass(frozen=True)
class Estimated:
    """What a waiting job will need is known better."""

    job_id: str
    need: Need
    expected_s: float


@dataclass(frozen=True)
class DevicesExpected:
    """Devices of this sweep that may not be there yet: held by somebody else, or given back for a while.

    All that a sweep may ever have come in one event: what needs two devices could not run on the first alone.
    """

    devices: tuple[int, ...]


@dataclass(frozen=True)
class DeviceOpened:
    """A device can take jobs.

    Attributes:
        device: its number.
        n_shares: jobs side by side at most.
        memory_gb: what they may use together; 0 where memory does not decide.
    """

    device: int
    n_shares: int = 1
    memory_gb: float = 0.0


@dataclass(frozen=True)
class DeviceClosing:
    """A device is to be given back: its jobs save and go on elsewhere.

    Attributes:
        device: its number.
        is_gone: it is broken or lost; else it may be opened again.
    """

    device: int
    is_gone: bool = False


@dataclass(frozen=True)
class JobMovedUp:
    """A job is to be started next."""

    job_id: str


@dataclass(frozen=True)
class JobHeld:
    """A job is to save if it runs, and wait until it is released."""

    job_id: str


@dataclass(frozen=True)
class JobReleased:
    """A held job may go on, or a failed or cancelled one is to be tried again."""

    job_id: str


@dataclass(frozen=True)
class JobCancelled:
    """A job is not wanted any more."""

    job_id: str


@dataclass(frozen=True)
class JobPruned:
    """A job is not worth going on with, and why; what it has measured stays."""

    job_id: str
    reason: str = ""


@dataclass(frozen=True)
class AskingEnded:
    """A search has no more jobs to come."""


@dataclass(frozen=True)
class StopAsked:
    """The sweep is to stop; `reason` is what jobs are told (``interrupt`` or ``cancel``)."""

    reason: str


Event = (
    JobAdded
    | Estimated
    | DevicesExpected
    | DeviceOpened
    | DeviceClosing
    | AttemptEnded
    | JobMovedUp
    | JobHeld
    | JobReleased
    | JobCancelled
    | JobPruned
    | AskingEnded
    | StopAsked
)


@dataclass(frozen=True)
class Start:
    """Start a new attempt of a job.

    Attributes:
        job_id: the job.
        devices: numbers of the devices it occupies.
        share: its number among those that share the first of them.
        is_halved: with half the images per forward pass, because all of them did not fit.
    """

    job_id: str
    devices: tuple[int, ...]
    share: int = 0
    is_halved: bool = False


@dataclass(frozen=True)
class Stop:
    """Ask a running job to save and stop."""

    job_id: str
    reason: str


@dataclass(frozen=True)
class Close:
    """Give a device back; no job is on it any more.

    Attributes:
        device: its number.
        is_gone: it is broken or lost.
    """

    device: int
    is_gone: bool = False


@dataclass(frozen=True)
class Ask:
    """There is a free place and nothing waits for it: a search may have another job."""


@dataclass(frozen=True)
class End:
    """Nothing runs and nothing is left that could be started."""

    exit_code: int


Instruction = Start | Stop | Close | Ask | End
