"""What a controller asks of a search, and what it is told: more jobs, and what becomes of those that it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.planning.plan import PlannedJob

# Names of events in the journal: a search decided something about a job; gave one up that waited; has no more to come.
DECIDED = "decided"
PRUNED = "pruned"
ASKING_ENDED = "asking_ended"


@dataclass(frozen=True)
class Decision:
    """What becomes of a job.

    Attributes:
        job_id: the job.
        what: ``pause`` (save and wait, a free place is better used), ``promote`` (go on from there) or ``prune`` (end).
        reason: why, for the person who watches.
        epoch: after which it was decided; 0 where none was the cause.
    """

    job_id: str
    what: Literal["pause", "promote", "prune"]
    reason: str
    epoch: int = 0


@dataclass(frozen=True)
class Answer:
    """What a search answers when there is a free place; all empty: nothing until something that runs has ended.

    Attributes:
        jobs: new ones; their folders and ``sweep.yaml`` are written.
        decisions: about jobs that it has.
        is_over: nothing more comes, whatever else happens.
    """

    jobs: Sequence[PlannedJob] = ()
    decisions: Sequence[Decision] = ()
    is_over: bool = False


class Searching(Protocol):
    """A search, as far as its controller goes."""

    @property
    def n_jobs(self) -> int:
        """How many jobs there may be in the end."""

    def ask(self) -> Answer:
        """Return what the free place is for; not empty while nothing runs."""

    def record(self, job_id: str, record: MetricRecord) -> Sequence[Decision]:
        """Take in what a job has measured; return what follows from it."""

    def end(self, job_id: str, state: JobState, reason: str | None) -> None:
        """Take in that a job has reached a state that it does not leave by itself."""
