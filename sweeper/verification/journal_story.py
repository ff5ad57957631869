"""A journal's story, told anew: the events that are still whole, and between them what the job folders tell. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome, JobState
from sweeper.control.attempt_ends import AttemptEnded, Tries, judge_end
from sweeper.control.attempt_start import can_halve

_UNKNOWN_SLOT = "unknown"
_BY_FOLDER = "told by its folder"


@dataclass(frozen=True)
class FoundAttempt:
    """What an attempt's folder tells of it.

    Attributes:
        number: the attempt's.
        spec: how it was executed.
        result: how it ended, by its own word.
        last_at: when something was written there last, seconds since the epoch.
    """

    number: int
    spec: AttemptSpec
    result: AttemptResult | None
    last_at: float


@dataclass(frozen=True)
class FoundJob:
    """What ``sweep.yaml`` and a job's folder tell of it.

    Attributes:
        planned: the fields of its first event.
        attempts: oldest first.
    """

    job_id: str
    planned: Mapping[str, Any]
    attempts: Sequence[FoundAttempt]


def salvage(content: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the events that are whole, and the numbers of the lines that are not; a torn end is not counted."""
    events, damaged = [], []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            if not isinstance(event["event"], str) or not isinstance(event["at"], float | int):
                raise ValueError("no event")
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                damaged.append(number)
            continue
        events.append(event)
    return events, damaged


def rebuild_events(
    events: Sequence[Mapping[str, Any]], jobs: Sequence[FoundJob], max_losses: int
) -> list[dict[str, Any]]:
    """Return the whole events with the missing ones between them, each marked ``rebuilt``.

    Args:
        events: in their order.
        jobs: what the folders tell.
        max_losses: the setting of that name.
    """
    known = {job.job_id for job in jobs}
    placed: list[tuple[float, int, Mapping[str, Any]]] = [
        (float(position), 0, event) for position, event in enumerate(events) if event.get("job") not in known
    ]
    for job in jobs:
        story = [(float(position), event) for position, event in enumerate(events) if event.get("job") == job.job_id]
        told = list(_Story(job, max_losses).tell([event for _, event in story]))
        positions = {id(event): position for position, event in story}
        placed += _place(told, positions, [event["at"] for event in events])
    return [dict(event) for _, _, event in sorted(placed, key=lambda entry: entry[:2])]


def _place(
    told: Sequence[Mapping[str, Any]], positions: Mapping[int, float], times: Sequence[float]
) -> Iterator[tuple[float, int, Mapping[str, Any]]]:
    """Yield (position, rank within it, event): whole events keep theirs, the others stand between by their time."""
    following = [float(len(times))] * (len(told) + 1)
    for number in range(len(told) - 1, -1, -1):
        following[number] = positions.get(id(told[number]), following[number + 1])
    before = -1.0
    for number, event in enumerate(told):
        by_time = float(sum(at <= event["at"] for at in times) - 1)
        before = positions.get(id(event), min(max(by_time, before), following[number]))
        yield before, number, event


class _Story:
    """One job's events, with those that are missing."""

    def __init__(self, job: FoundJob, max_losses: int) -> None:
        self._job = job
        self._max_losses = max_losses
        self._left = list(job.attempts)
        self._state: JobState | None = None
        self._running: int | None = None
        self._tries = Tries()
        self._at = 0.0

    def tell(self, events: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for event in events:
            yield from self._lead_up_to(event)
            self._take(event)
            yield event
        if self._state is None:
            yield self._new("planned", 0.0, **self._job.planned)
        yield from self._catch_up(None)

    def _lead_up_to(self, event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield what must have happened before an event."""
        kind = event["event"]
        if self._state is None and kind not in ("planned", "reused"):
            yield self._new("planned", event["at"], **self._job.planned)
        if kind == "started":
            yield from self._catch_up(event["attempt"])
            yield from self._be_startable(event["at"])
        elif kind in ("process", "ended") and self._running != event["attempt"]:
            yield from self._catch_up(event["attempt"])
            found = next((a for a in self._left if a.number == event["attempt"]), None)
            if found is not None:
                yield from self._start(found)
        elif kind in ("cancelled", "postponed", "pruned", "retried"):
            yield from self._end_running()

    def _take(self, event: Mapping[str, Any]) -> None:
        self._at = event["at"]
        if "state" in event:
            self._state = JobState(event["state"])
        if event["event"] == "started":
            self._running = event["attempt"]
        elif event["event"] == "ended":
            self._tries = Tries(**event.get("tries", {}))
            self._left = [attempt for attempt in self._left if attempt.number > event["attempt"]]
            self._running = None
        elif event["event"] == "retried":
            self._tries = Tries()

    def _catch_up(self, before: int | None) -> Iterator[Mapping[str, Any]]:
        """Yield the attempts that no event tells of; one that runs, as far as is known, stays running at the end."""
        while self._left and (before is None or self._left[0].number < before):
            attempt = self._left[0]
            if self._running != attempt.number:
                yield from self._end_running()
                yield from self._start(attempt)
            if before is None and len(self._left) == 1 and attempt.result is None:
                return
            yield from self._end(attempt)

    def _end_running(self) -> Iterator[Mapping[str, Any]]:
        attempt = next((attempt for attempt in self._left if attempt.number == self._running), None)
        if attempt is not None:
            yield from self._end(attempt)

    def _start(self, attempt: FoundAttempt) -> Iterator[Mapping[str, Any]]:
        spec = attempt.spec
        yield from self._be_startable(spec.requested_at)
        split = {"batch_per_step": spec.batch_per_step, "accumulation": spec.accumulation}
        told = {"slot": _UNKNOWN_SLOT, "resume": spec.resume, **split, "state": JobState.RUNNING.value}
        yield self._new("started", spec.requested_at, attempt=attempt.number, **told)

    def _be_startable(self, at: float) -> Iterator[Mapping[str, Any]]:
        # Only a user takes a job out of these states, and somebody did.
        if self._state in (JobState.FAILED, JobState.CANCELLED):
            yield self._new("retried", at, state=JobState.PLANNED.value, reason="told by its next attempt")

    def _end(self, attempt: FoundAttempt) -> Iterator[Mapping[str, Any]]:
        result = attempt.result
        outcome = result.outcome if result else AttemptOutcome.LOST
        failure = result.failure if result else None
        kind = failure.kind if failure else None
        ended = AttemptEnded(self._job.job_id, outcome, kind, can_halve(attempt.spec), is_own_fault=result is not None)
        aftermath = judge_end(ended, self._tries, self._max_losses)
        yield self._new(
            "ended",
            result.finished_at if result else attempt.last_at,
            attempt=attempt.number,
            outcome=outcome.value,
            kind=kind.value if kind else None,
            reason=failure.message if failure else None if result else _BY_FOLDER,
            checkpoint_sha256=result.checkpoint_sha256 if result else None,
            state=aftermath.state.value,
            counted=aftermath.tries != self._tries,
            tries=aftermath.tries.counts(),
        )

    def _new(self, name: str, at: float, /, **fields: Any) -> dict[str, Any]:
        event = {"at": max(at, self._at), "event": name, "job": self._job.job_id, **fields, "rebuilt": True}
        self._take(event)
        return event
