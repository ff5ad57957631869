"""Between a controller and its search: what the search decides is written down, and becomes the schedule's events."""

from collections.abc import Callable, Sequence

from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.control.asking import ASKING_ENDED, DECIDED, Decision, Searching
from sweeper.control.events import AskingEnded, Event, JobHeld, JobPruned, JobReleased
from sweeper.planning.plan import PlannedJob


class SearchSide:
    """Speaks with the search of one sweep; of a sweep without one it says that there is nothing.

    Args:
        search: it; None where all jobs are planned from the beginning.
        tell: writes an event to the journal, and shows it.
    """

    def __init__(self, search: Searching | None, tell: Callable[..., None]) -> None:
        self._search = search
        self._tell = tell
        self._is_over = False
        self._given_up: dict[str, str] = {}

    @property
    def n_jobs(self) -> int:
        """How many jobs there may be in the end; 0 without a search."""
        return 0 if self._search is None else self._search.n_jobs

    def ask(self, take_in: Callable[[Sequence[PlannedJob]], Sequence[Event]]) -> list[Event]:
        """Return what a free place is for.

        Args:
            take_in: takes new jobs into the plan, and returns the events that tell of them.
        """
        assert self._search is not None, "only a search is asked"
        if self._is_over:
            return []  # what it said last is still being carried out
        answer = self._search.ask()
        events = [*take_in(answer.jobs), *self._decide(answer.decisions)]
        if answer.is_over:
            self._is_over = True
            self._tell(ASKING_ENDED)
            events.append(AskingEnded())
        return events

    def record(self, job_id: str, record: MetricRecord) -> list[Event]:
        """Hand on what a job has measured; return what follows from it."""
        return [] if self._search is None else self._decide(self._search.record(job_id, record))

    def end(self, job_id: str, state: JobState | None, reason: str | None) -> None:
        """Hand on that a job has ended, if it has."""
        if self._search is not None and state is not None and state.is_terminal:
            self._search.end(job_id, state, reason)

    def why_ended(self, job_id: str, state: JobState) -> str | None:
        """Return why the search gave a job up while it ran; None of any other."""
        return self._given_up.get(job_id) if state is JobState.PRUNED else None

    def _decide(self, decisions: Sequence[Decision]) -> list[Event]:
        events: list[Event] = []
        for decision in decisions:
            told = {"decision": decision.what, "epoch": decision.epoch, "reason": decision.reason}
            self._tell(DECIDED, job=decision.job_id, **told)
            events.append(_event_of(decision))
            if decision.what == "prune":
                self._given_up[decision.job_id] = decision.reason
        return events


def _event_of(decision: Decision) -> Event:
    if decision.what == "prune":
        return JobPruned(decision.job_id, decision.reason)
    return JobHeld(decision.job_id) if decision.what == "pause" else JobReleased(decision.job_id)
