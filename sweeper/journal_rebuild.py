"""A damaged journal written anew: the events that are still whole, and between them what the job folders tell."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psutil
from filelock import FileLock, Timeout

from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome, JobState
from sweeper.attempt_ends import AttemptEnded, Tries, judge_end
from sweeper.attempt_start import can_halve
from sweeper.journal import SweepOwnedError
from sweeper.stored_sweep import read_stored

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


def rebuild_journal(sweep: SweepFolder) -> list[str]:
    """Write a new journal; the damaged one stays beside it under another name.

    Returns:
        What was done, one line each.

    Raises:
        SweepOwnedError: a process owns the sweep, or one of its jobs lives.
        UserError: the journal is whole.
    """
    lock = FileLock(f"{sweep.journal}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SweepOwnedError(f"sweep in {sweep.path}: a process owns it; end it with detsweep stop") from None
    try:
        _refuse_living_jobs(sweep)
        return _rebuild(sweep)
    finally:
        lock.release()


def _rebuild(sweep: SweepFolder) -> list[str]:
    content = sweep.journal.read_bytes() if sweep.journal.exists() else b""
    events, damaged = salvage(content)
    if events and not damaged:
        raise UserError(
            f"journal in {sweep.journal}: all its {len(events)} lines are whole; there is nothing to rebuild"
        )
    settings, jobs = _read_jobs(sweep)
    rebuilt = rebuild_events(events, jobs, settings["max_losses"])
    now = time.time()
    told = {"n_lost": len(damaged), "n_told_by_folders": len(rebuilt) - len(events)}
    kept = sweep.path / f"journal.damaged-{datetime.fromtimestamp(now, timezone.utc):%Y%m%d-%H%M%S}.jsonl"
    if content:
        # The old file has both names until the new one takes its place.
        os.link(sweep.journal, kept)
    lines = [*rebuilt, {"at": now, "event": "journal_rebuilt", **told}]
    write_text(sweep.journal, "".join(json.dumps(e, ensure_ascii=False, separators=(",", ":")) + "\n" for e in lines))
    return [
        f"journal of {sweep.path}: {len(events)} events were whole, {len(damaged)} lines were not",
        f"{told['n_told_by_folders']} events were written from the job folders"
        + (f"; the damaged file is {kept.name}" if content else ""),
        "what the folders cannot tell may be lost: that a job was cancelled, tried again, reused or put back",
    ]


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
        elif kind in ("cancelled", "postponed", "retried"):
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


def _read_jobs(sweep: SweepFolder) -> tuple[Mapping[str, Any], list[FoundJob]]:
    stored = read_stored(sweep, ())
    settings = stored.plan.settings
    found = []
    for job in stored.plan.jobs:
        folder = sweep.job(job.job_id)
        planned = {
            "state": JobState.PLANNED.value,
            "identity": job.identity,
            "config_sha256": sha256_of(folder.config),
            "title": job.title,
            "values": dict(job.values),
            "expected_s": 0.0,
            "memory_gb": 0.0,
            "n_devices": settings["devices_per_job"],
        }
        found.append(FoundJob(job.job_id, planned, list(_read_attempts(sweep, job.job_id))))
    return settings, found


def _read_attempts(sweep: SweepFolder, job_id: str) -> Iterator[FoundAttempt]:
    for attempt in sweep.job(job_id).all_attempts():
        try:
            spec = AttemptSpec.read(attempt)
        except (FileNotFoundError, ValueError, TypeError):
            continue  # its controller died before it was started
        last_at = max(path.stat().st_mtime for path in attempt.path.iterdir())
        yield FoundAttempt(attempt.number, spec, AttemptResult.read(attempt), last_at)


def _refuse_living_jobs(sweep: SweepFolder) -> None:
    """Look for processes at work in a job's folder: the events that named them may be lost."""
    for process in psutil.process_iter(["pid", "cwd"]):
        folder = process.info["cwd"]
        if folder is not None and folder.startswith(f"{sweep.jobs.resolve()}{os.sep}"):
            raise SweepOwnedError(
                f"sweep in {sweep.path}: process {process.info['pid']} works in {folder}; end it before you rebuild"
            )
