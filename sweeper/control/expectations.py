"""What jobs are expected to need, of which a controller may know nothing, and what is worth a correction."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from runners.contract.records import AttemptResult, AttemptSpec
from sweeper.control.events import Estimated
from sweeper.control.packing import Need
from sweeper.control.running import EndedAttempt
from sweeper.control.schedule import Schedule
from sweeper.hardware.slots import Slot
from sweeper.planning.plan import PlannedJob

# An expectation that changes by less is left as it is: no order depends on it.
NEWS_SHARE = 0.02


class JobEstimates(Protocol):
    """What jobs are expected to need."""

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        """Return what a job is expected to occupy, and for how many seconds."""

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        """Take in what a finished job took; return whether others should be estimated again now."""


class Expectations:
    """What a sweep's jobs are expected to need.

    Args:
        estimates: tells; None where neither order nor memory matters.
        n_devices: that a job occupies then.
    """

    def __init__(self, estimates: JobEstimates | None, n_devices: int) -> None:
        self._estimates = estimates
        self._n_devices = n_devices

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        """Return what a job is expected to occupy, and for how many seconds."""
        return self._estimates.of(job) if self._estimates else (Need(self._n_devices), 0.0)

    def learn(self, over: EndedAttempt) -> bool:
        """Take in what a finished attempt took; return whether others should be estimated again."""
        running = over.attempt
        if self._estimates is None or over.result is None:
            return False
        return self._estimates.learn(running.job, running.spec, running.slot, over.result)

    def corrections(self, jobs: Mapping[str, PlannedJob], schedule: Schedule) -> Iterable[Estimated]:
        """Yield a correction for every waiting job of which something else is expected now."""
        for job_id in schedule.waiting_jobs():
            need, expected_s = self.of(jobs[job_id])
            if _is_news((need, expected_s), schedule.expectation_of(job_id)):
                yield Estimated(job_id, need, expected_s)


def describe(event: Estimated) -> tuple[str, dict[str, Any]]:
    """Return what the journal says of a correction."""
    expected = {"expected_s": round(event.expected_s, 1), "memory_gb": round(event.need.memory_gb, 2)}
    return "estimated", {"job": event.job_id, **expected}


def _is_news(now: tuple[Need, float], before: tuple[Need, float]) -> bool:
    """Whether an expectation is another one; what every finished job moves a little is not written down each time."""
    pairs = ((now[0].memory_gb, before[0].memory_gb), (now[1], before[1]))
    return now[0].n_devices != before[0].n_devices or any(abs(a - b) > NEWS_SHARE * b for a, b in pairs)
