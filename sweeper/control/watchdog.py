"""Which attempts have stood still for too long, told from their progress and not from signs of life. No clock here."""

from dataclasses import dataclass, field

from runners.contract.records import MetricRecord

# What of a record's progress has to change: a process that only says that it lives makes none.
_MEASURES = ("phase", "epoch", "iteration", "batch")


@dataclass
class _Watched:
    since_s: float
    has_stepped: bool = False
    seen: tuple[object, ...] = ()


@dataclass
class Watchdog:
    """Remembers when each attempt last got further.

    Attributes:
        first_limit_s: until the first iteration is done: building, loading and caches take longer than any other.
        limit_s: from then on.
    """

    first_limit_s: float
    limit_s: float
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def start(self, job_id: str, now_s: float) -> None:
        """Watch an attempt of a job from now on.

        Args:
            job_id: the job.
            now_s: monotonic seconds.
        """
        self._watched[job_id] = _Watched(now_s)

    def record(self, job_id: str, record: MetricRecord, now_s: float) -> None:
        """Take in what an attempt has written."""
        watched = self._watched[job_id]
        seen = tuple(record.progress.get(measure) for measure in _MEASURES)
        if seen != watched.seen:
            watched.seen, watched.since_s = seen, now_s
            watched.has_stepped |= bool(record.progress.get("iteration"))

    def end(self, job_id: str) -> None:
        """Watch a job no longer."""
        self._watched.pop(job_id, None)

    def stalled(self, now_s: float) -> dict[str, float]:
        """Return the jobs that stand still for too long, and for how many seconds."""
        still = {job_id: now_s - watched.since_s for job_id, watched in self._watched.items()}
        return {job_id: seconds for job_id, seconds in still.items() if seconds > self._limit_s(job_id)}

    def _limit_s(self, job_id: str) -> float:
        return self.limit_s if self._watched[job_id].has_stepped else self.first_limit_s
