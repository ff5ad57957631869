"""The states of a job and the ways an attempt can end."""

from enum import Enum


class JobState(str, Enum):
    """Where a job stands in its sweep."""

    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    REUSED = "REUSED"
    PRUNED = "PRUNED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        """Whether the schedule never leaves this state by itself."""
        return self not in (JobState.PLANNED, JobState.RUNNING, JobState.PAUSED)


class AttemptOutcome(str, Enum):
    """How one execution of a job ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    STALLED = "stalled"
    FAILED = "failed"


class FailureKind(str, Enum):
    """What a failure was caused by; decides whether a retry could help."""

    OOM = "oom"
    DIVERGED = "diverged"
    DATA = "data"
    LOST = "lost"
    DEVICE = "device"
    STALLED = "stalled"
    DISK = "disk"
    BUG = "bug"
    USER = "user"
