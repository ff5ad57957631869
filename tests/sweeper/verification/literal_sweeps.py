"""Sweeps as literal events and evidence, in order; tests change one thing of them."""

from collections.abc import Mapping
from typing import Any

from reports.read import StoredRun
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from sweeper.verification.evidence import AttemptEvidence, JobEvidence, JournalLine, SweepEvidence
from sweeper.verification.verify import INVARIANTS, judge

SHA, CONFIG_SHA = "c" * 64, "f" * 64
Event = dict[str, Any]


def event(name: str, job: str | None = None, /, **fields: Any) -> Event:
    return {"at": 1.0, "event": name, **({"job": job} if job else {}), **fields}


def planned(job: str) -> Event:
    return event("planned", job, state="PLANNED", config_sha256=CONFIG_SHA)


def started(job: str, attempt: int = 1, slot: str = "cpu/0", images: int = 4, split: int = 1, **more: Any) -> Event:
    told = {"attempt": attempt, "slot": slot, "batch_per_step": images, "accumulation": split, "resume": None}
    return event("started", job, state="RUNNING", **{**told, **more})


def ended(job: str, attempt: int = 1, outcome: str = "completed", state: str = "COMPLETED", **more: Any) -> Event:
    told = {"attempt": attempt, "outcome": outcome, "kind": None, "reason": None, "checkpoint_sha256": None}
    sha = {"checkpoint_sha256": SHA} if outcome == "completed" else {}
    return event("ended", job, state=state, **{**told, "counted": False, **sha, **more})


def lost(job: str, attempt: int, state: str = "PAUSED", counted: bool = True, **more: Any) -> Event:
    return ended(job, attempt, "lost", state, counted=counted, **{"kind": "lost", **more})


def failed(job: str, attempt: int, kind: str, state: str = "FAILED", counted: bool = False) -> Event:
    return ended(job, attempt, "failed", state, kind=kind, counted=counted)


STARTED = event("sweep_started", pid=1, born_at=1.0, host="h", boot_id="b", mode="train")
OPENED = event("device_opened", device="cpu", name="CPU", n_shares=2)


def finished(code: int = 0) -> Event:
    return event("sweep_ended", exit_code=code)


def completed(attempt: int = 1) -> JobEvidence:
    result = AttemptResult(
        attempt, AttemptOutcome.COMPLETED, checkpoint="checkpoints/a1_best.pth", checkpoint_sha256=SHA, best_epoch=2
    )
    points = frozenset({("train/loss", 1), ("train/loss", 2)})
    return JobEvidence(
        config_sha256=CONFIG_SHA,
        attempts={
            number: AttemptEvidence(
                spec_attempt=number,
                points=points if number == attempt else frozenset(),
                result=result if number == attempt else None,
            )
            for number in range(1, attempt + 1)
        },
        checkpoint_sha256={"checkpoints/a1_best.pth": SHA},
    )


def run_of(job: str | None, status: str = "FINISHED", state: str | None = "COMPLETED") -> StoredRun:
    points = {("train/loss", 1): 1, ("train/loss", 2): 1} if job else {}
    return StoredRun(f"run-{job}", job, status, state, points)


def evidence(*events: Event, **parts: Any) -> SweepEvidence:
    lines = [JournalLine(number, one) for number, one in enumerate(events, start=1)]
    jobs = {line.job for line in lines if line.job}
    found: dict[str, Any] = {
        "stored": sorted(jobs),
        "told_states": {line.job: line.state for line in lines if line.job and line.state},
        "jobs": {job: _folder_of(job, lines) for job in jobs},
        **parts,
    }
    return SweepEvidence(lines=lines, **found)


def _folder_of(job: str, lines: list[JournalLine]) -> JobEvidence:
    attempts = [line.event["attempt"] for line in lines if line.job == job and line.kind == "started"]
    done = [line.event["attempt"] for line in lines if line.job == job and line.state == "COMPLETED"]
    if done:
        return completed(done[-1])
    return JobEvidence(
        config_sha256=CONFIG_SHA,
        attempts={number: AttemptEvidence(spec_attempt=number) for number in attempts},
        n_states=1,
        n_valid_states=1,
    )


def found(sweep: SweepEvidence, missing: Mapping[str, str] | None = None) -> list[tuple[int, str, str]]:
    missing = {"the tracking store": "off"} if missing is None else missing
    return [(v.invariant, v.where, v.message) for v in judge(sweep, missing).violations]


def only(sweep: SweepEvidence, number: int) -> list[tuple[str, str]]:
    """Return what one check finds."""
    (invariant,) = (entry for entry in INVARIANTS if entry.number == number)
    return [(violation.where, violation.message) for violation in invariant.check(sweep)]


GOOD = (STARTED, planned("0001"), planned("0002"), OPENED)
WHOLE = (
    *GOOD,
    started("0001", slot="cpu/0"),
    started("0002", slot="cpu/1"),
    ended("0001"),
    lost("0002", 1),
    started("0002", 2, slot="cpu/0", resume="checkpoints/a1_epoch_1.pth"),
    ended("0002", 2),
    finished(),
)
RUNS = (run_of(None), run_of("0001"), run_of("0002"))
