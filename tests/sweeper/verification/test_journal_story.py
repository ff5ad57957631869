"""Whatever line of a journal is lost, the job folders put the jobs back into the states that they were in."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from runners.contract.records import AttemptResult, AttemptSpec, Failure
from runners.contract.states import AttemptOutcome, FailureKind
from sweeper.verification.evidence import AttemptEvidence, JobEvidence, JournalLine, SweepEvidence
from sweeper.verification.invariants import check_numbers, check_states
from sweeper.verification.journal_story import FoundAttempt, FoundJob, rebuild_events, salvage
from sweeper.verification.retry_invariants import check_retries
from sweeper.verification.stored_invariants import check_completed
from tests.sweeper.verification.literal_sweeps import SHA, ended, event, failed, lost, planned, started

SPEC = AttemptSpec(1, "cpu", 1, 0, 4, 1)
PLANNED = {"state": "PLANNED", "identity": "i", "config_sha256": "f" * 64, "title": "t", "values": {}}


def attempt(number: int, at: float, outcome: str | None, kind: FailureKind | None = None) -> FoundAttempt:
    spec = replace(SPEC, attempt=number, requested_at=at)
    if outcome is None:
        return FoundAttempt(number, spec, None, at + 1)
    failure = Failure(kind, "m") if kind else None
    digest = SHA if outcome == "completed" else None
    result = AttemptResult(number, AttemptOutcome(outcome), failure, checkpoint="c", checkpoint_sha256=digest)
    return FoundAttempt(number, spec, replace(result, finished_at=at + 1), at + 1)


def timed(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**entry, "at": float(number)} for number, entry in enumerate(events)]


# Two jobs: one is lost and then completes, one fails for good, is tried again by a user, and is interrupted.
EVENTS = timed(
    event("sweep_started", pid=1, born_at=1.0, host="h", boot_id="b", mode="train"),
    planned("0001"),
    planned("0002"),
    started("0001", slot="cpu/0"),
    event("process", "0001", attempt=1, pid=7, born_at=1.0),
    started("0002", slot="cpu/1"),
    lost("0001", 1, counted=False),
    failed("0002", 1, "bug"),
    started("0001", 2, slot="cpu/0"),
    event("retried", "0002", state="PLANNED", reason="asked for"),
    started("0002", 2, slot="cpu/1"),
    ended("0001", 2),
    event("stop_asked", reason="interrupt"),
    ended("0002", 2, "interrupted", "PAUSED"),
    event("sweep_ended", exit_code=130),
)
JOBS = [
    FoundJob("0001", PLANNED, [attempt(1, 3.0, None), attempt(2, 8.0, "completed")]),
    FoundJob("0002", PLANNED, [attempt(1, 5.0, "failed", FailureKind.BUG), attempt(2, 10.0, "interrupted")]),
]


def states(events: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {entry["job"]: entry["state"] for entry in events if "state" in entry}


def in_order(events: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the checks of a journal find."""
    folders = {
        job.job_id: JobEvidence(
            attempts={found.number: AttemptEvidence(result=found.result) for found in job.attempts},
            checkpoint_sha256={"c": SHA},
        )
        for job in JOBS
    }
    lines = [JournalLine(number, entry) for number, entry in enumerate(events, start=1)]
    sweep = SweepEvidence(lines=lines, jobs=folders, stored=list(folders))
    checks = (check_states, check_numbers, check_retries, check_completed)
    return [violation.message for check in checks for violation in check(sweep)]


def test_a_whole_journal_comes_back_as_it_is() -> None:
    assert rebuild_events(EVENTS, JOBS, 3) == EVENTS


@pytest.mark.parametrize("lost_line", range(len(EVENTS)))
def test_any_line_may_be_lost(lost_line: int) -> None:
    kept = [entry for number, entry in enumerate(EVENTS) if number != lost_line]
    rebuilt = rebuild_events(kept, JOBS, 3)
    assert states(rebuilt) == {"0001": "COMPLETED", "0002": "PAUSED"}
    assert in_order(rebuilt) == []
    assert [entry for entry in rebuilt if not entry.get("rebuilt")] == kept


def test_any_lines_may_be_lost() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        kept = [entry for entry in EVENTS if chance.random() < 0.5]
        rebuilt = rebuild_events(kept, JOBS, 3)
        assert states(rebuilt) == {"0001": "COMPLETED", "0002": "PAUSED"}, seed
        assert in_order(rebuilt) == [], seed


def test_the_folders_alone_are_enough() -> None:
    rebuilt = rebuild_events([], JOBS, 3)
    assert states(rebuilt) == {"0001": "COMPLETED", "0002": "PAUSED"}
    assert in_order(rebuilt) == []
    assert all(entry["rebuilt"] for entry in rebuilt)


def test_what_has_begun_and_not_ended_is_left_for_resume_to_judge() -> None:
    jobs = [FoundJob("0001", PLANNED, [attempt(1, 3.0, None)])]
    assert states(rebuild_events(EVENTS[:4], jobs, 3)) == {"0001": "RUNNING", "0002": "PLANNED"}


@pytest.mark.parametrize(
    "damage", [b"\x00\xff garbage", b"{}", b"[1]", b'{"at": 1.0', b'"text"', b'{"event": 3, "at": 1.0}']
)
def test_damage_in_the_middle_is_told_by_its_line_and_a_torn_end_is_not(damage: bytes) -> None:
    content = b'{"at":1.0,"event":"a"}\n' + damage + b'\n{"at":2.0,"event":"b"}\n{"at":3.0,"ev'
    events, lines = salvage(content)
    assert [entry["event"] for entry in events] == ["a", "b"]
    assert lines == [2]
