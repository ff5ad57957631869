"""What an earlier controller left of a sweep: the fold of its journal, and the attempts that it could not end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome, JobState
from sweeper.journal import Journal, SweepOwnedError, read_journal
from sweeper.processes import is_alive
from sweeper.schedule import STATE_AFTER

# A job whose controller died saves and goes within its server's grace; longer than this, somebody has to look.
WAIT_S = 30.0
POLL_S = 0.2


@dataclass
class LeftJob:
    """What a journal tells of one job.

    Attributes:
        state: its last state.
        reason: why it is in that state, if something went wrong.
        attempt: number of its last attempt; 0 if there was none.
        pid: process of that attempt, if it was started.
        born_at: when that process was started; tells it from a later one of the same number.
    """

    state: JobState = JobState.PLANNED
    reason: str | None = None
    attempt: int = 0
    pid: int | None = None
    born_at: float | None = None


@dataclass
class LeftSweep:
    """The fold of a journal: what an earlier controller left.

    Attributes:
        jobs: by job id.
        versions: of the stack that the sweep was started on.
    """

    jobs: dict[str, LeftJob] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> Mapping[str, JobState]:
        """The state of every job."""
        return {job_id: job.state for job_id, job in self.jobs.items()}


def read_left(sweep: SweepFolder) -> LeftSweep:
    """Fold a sweep's journal.

    Raises:
        UserError: a line of it is damaged.
    """
    left = LeftSweep(versions=yaml.safe_load(sweep.sweep.read_text(encoding="utf-8"))["versions"])
    try:
        for event in read_journal(sweep.journal):
            if "job" in event:
                job = left.jobs.setdefault(event["job"], LeftJob())
                job.state = JobState(event.get("state", job.state))
                job.reason = event.get("reason")
                job.attempt = event.get("attempt", job.attempt)
                if event["event"] == "process":
                    job.pid, job.born_at = event["pid"], event["born_at"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"journal damaged in {sweep.journal}: {error}; the job folders beside it are whole") from None
    return left


def end_what_was_left_running(sweep: SweepFolder, left: LeftSweep, journal: Journal) -> None:
    """End, in the journal, each attempt that was running when the last controller died; `left` is brought up to date.

    A job that wrote its result in time has that outcome; another is paused, and goes on from its checkpoint.

    Raises:
        SweepOwnedError: a process of it still lives.
    """
    for job_id, job in left.jobs.items():
        if job.state is not JobState.RUNNING:
            continue
        _wait_for_end(job_id, job)
        attempt = next(entry for entry in sweep.job(job_id).all_attempts() if entry.number == job.attempt)
        result = AttemptResult.read(attempt)
        outcome = result.outcome if result else AttemptOutcome.LOST
        reason = result.failure.message if result and result.failure else None if result else "its controller died"
        job.state, job.reason = STATE_AFTER[outcome], reason
        digest = result.checkpoint_sha256 if result else None
        told = {"outcome": outcome.value, "reason": reason, "checkpoint_sha256": digest, "state": job.state.value}
        journal.append("ended", job=job_id, attempt=job.attempt, **told)


def _wait_for_end(job_id: str, job: LeftJob) -> None:
    deadline = time.monotonic() + WAIT_S
    while job.pid is not None and is_alive(job.pid, job.born_at):
        if time.monotonic() > deadline:
            raise SweepOwnedError(
                f"job {job_id} of the sweep: its process {job.pid} still lives {WAIT_S:.0f} s after its controller "
                "died; end that process, then resume"
            )
        time.sleep(POLL_S)
