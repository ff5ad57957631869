"""A damaged journal is written anew from its whole lines and the job folders, and kept beside the new one."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import psutil
from filelock import FileLock, Timeout

from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import JobState
from sweeper.control.stored_sweep import read_stored
from sweeper.stored.journal import SweepOwnedError
from sweeper.verification.journal_story import FoundAttempt, FoundJob, rebuild_events, salvage


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
