"""What an earlier controller left of a sweep: the fold of its journal, and the attempts that it could not end."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.asking import ASKING_ENDED, DECIDED, PRUNED
from sweeper.control.attempt_ends import MAX_LOSSES, AttemptEnded, Tries, judge_end
from sweeper.control.attempt_start import can_halve
from sweeper.hardware.devices import CPU
from sweeper.stored.journal import Journal, SweepOwnedError, read_journal
from sweeper.stored.processes import boot_id, is_alive, working_in
from sweeper.stored.sweep_file import read_sweep_file

# A job whose controller died saves and goes within its server's grace; longer than this, somebody has to look.
WAIT_S = 30.0
POLL_S = 0.2


@dataclass
class LeftJob:
    """What a journal tells of one job.

    Attributes:
        state: its last state.
        reason: why it is in that state, if something went wrong.
        tries: what counts against it.
        attempt: number of its last attempt; 0 if there was none.
        pid: process of that attempt, if it was started.
        born_at: when that process was started; tells it from a later one of the same number.
        identity: of what is trained.
        config_sha256: of ``config.yaml`` as it was planned.
        is_unwanted: somebody asked to cancel it while it ran, and it has not ended since.
        is_held: a search lets it wait before it trains on.
        is_pruned: a search gave it up while it ran, and it has not ended since.
        reused: the run that answers it, if it is reused: ``run_id`` and ``folder``.
        started_at: when its first attempt was started, in wall-clock seconds since the epoch.
    """

    state: JobState = JobState.PLANNED
    reason: str | None = None
    tries: Tries = Tries()
    attempt: int = 0
    pid: int | None = None
    born_at: float | None = None
    identity: str = ""
    config_sha256: str = ""
    is_unwanted: bool = False
    is_held: bool = False
    is_pruned: bool = False
    reused: Mapping[str, str] = field(default_factory=dict)
    started_at: float | None = None


@dataclass
class LeftSweep:
    """The fold of a journal: what an earlier controller left.

    Attributes:
        jobs: by job id.
        versions: of the stack that the sweep was started on.
        host: machine of its last controller.
        boot_id: which run of that machine's kernel.
        was_on_gpus: whether it had GPUs.
        started_at: when its first controller began, in wall-clock seconds since the epoch.
        ended_at: when the last thing happened.
        has_asked_all: whether a search has no more jobs to come.
    """

    jobs: dict[str, LeftJob] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    boot_id: str = ""
    was_on_gpus: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    has_asked_all: bool = False

    @property
    def states(self) -> Mapping[str, JobState]:
        """The state of every job."""
        return {job_id: job.state for job_id, job in self.jobs.items()}


def read_left(sweep: SweepFolder) -> LeftSweep:
    """Fold a sweep's journal.

    Raises:
        UserError: a line of it is damaged.
    """
    left = LeftSweep()
    try:
        for event in read_journal(sweep.journal):
            _fold(left, event)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"journal damaged in {sweep.journal}: {error!r}; the job folders beside it are whole") from None
    if not left.versions:
        left.versions = read_sweep_file(sweep)["versions"]
    return left


def _fold(left: LeftSweep, event: Mapping[str, Any]) -> None:
    left.started_at = event["at"] if left.started_at is None else left.started_at
    left.ended_at = event["at"]
    if event["event"] == "sweep_started":
        left.host, left.boot_id, left.versions = event["host"], event["boot_id"], event["versions"]
    if event["event"] == "device_opened":
        left.was_on_gpus = event["device"] != CPU.label
    if event["event"] == ASKING_ENDED:
        left.has_asked_all = True
    if "job" not in event:
        return
    job = left.jobs.setdefault(event["job"], LeftJob())
    if "state" in event:
        job.state, job.reason = JobState(event["state"]), event.get("reason")
    if event["event"] in ("started", "ended", "cancelled", PRUNED):
        job.is_unwanted = job.is_pruned = False
    if event["event"] in ("started", "retried", PRUNED):
        job.is_held = False
    if event["event"] == DECIDED:
        job.is_held, job.is_pruned = event["decision"] == "pause", event["decision"] == "prune"
    elif event["event"] == "requested":
        job.is_held &= event["op"] not in ("continue", "next")
        job.is_unwanted = event["op"] == "stop" and job.state is JobState.RUNNING
    if event["event"] == "planned":
        job.identity, job.config_sha256 = event["identity"], event["config_sha256"]
    elif event["event"] == "reused":
        job.reused = {"run_id": event["run_id"], "folder": event["folder"]}
    elif event["event"] == "started":
        job.attempt, job.pid = event["attempt"], None
        job.started_at = event["at"] if job.started_at is None else job.started_at
    elif event["event"] == "process":
        job.pid, job.born_at = event["pid"], event["born_at"]
    elif event["event"] == "ended":
        job.tries = Tries(**event["tries"])
    elif event["event"] == "retried":
        job.tries = Tries()


def end_what_was_left_running(
    sweep: SweepFolder, left: LeftSweep, journal: Journal, max_losses: int = MAX_LOSSES
) -> None:
    """End, in the journal, each attempt that was running when the last controller died; `left` is brought up to date.

    A job that wrote its result in time has that outcome; another is paused, and goes on from its checkpoint: it was
    lost with its controller or its machine, which does not count against it.

    Raises:
        SweepOwnedError: a process of it still lives.
    """
    cause = _wait_for_ends(sweep, left)
    for job_id, job in left.jobs.items():
        if job.state is not JobState.RUNNING:
            continue
        attempt = AttemptFolder(sweep.job(job_id).attempts / str(job.attempt))
        result = AttemptResult.read(attempt)
        failure = result.failure if result else None
        outcome = result.outcome if result else AttemptOutcome.LOST
        kind = failure.kind if failure else None if result else FailureKind.LOST
        reason = failure.message if failure else None if result else cause
        ended = AttemptEnded(job_id, outcome, kind, _can_halve(attempt), is_own_fault=result is not None)
        wishes = {"is_cancelled": job.is_unwanted, "is_pruned": job.is_pruned}
        aftermath = judge_end(ended, job.tries, max_losses, **wishes)
        is_counted, job.is_unwanted, job.is_pruned = aftermath.tries != job.tries, False, False
        job.state, job.reason, job.tries = aftermath.state, reason, aftermath.tries
        journal.append(
            "ended",
            job=job_id,
            attempt=job.attempt,
            outcome=outcome.value,
            kind=kind.value if kind else None,
            reason=reason,
            checkpoint_sha256=result.checkpoint_sha256 if result else None,
            state=job.state.value,
            counted=is_counted,
            tries=job.tries.counts(),
        )


def _can_halve(attempt: AttemptFolder) -> bool:
    try:
        return can_halve(AttemptSpec.read(attempt))
    except (FileNotFoundError, ValueError, TypeError):
        return False  # the controller died before it had written how the attempt was to be executed


def _wait_for_ends(sweep: SweepFolder, left: LeftSweep) -> str:
    """Wait for the processes of a dead controller, where they can be told; return what ended them.

    A job whose controller died saves, and goes within its server's grace. After a restart of the machine nothing of it
    lives, whatever processes have its numbers now; of another machine nothing can be told but that the lock is free.
    """
    if left.host != socket.gethostname():
        return f"its controller on {left.host or 'another machine'} is gone"
    if left.boot_id != boot_id():
        return "the machine was restarted"
    deadline = time.monotonic() + WAIT_S
    for job_id, job in left.jobs.items():
        if job.state is not JobState.RUNNING:
            continue
        # A controller that died between a start and the news of its process has not written down who that is.
        known = [(job.pid, job.born_at)] if job.pid is not None else working_in(sweep.job(job_id).path)
        for pid, born_at in known:
            while is_alive(pid, born_at):
                if time.monotonic() > deadline:
                    raise SweepOwnedError(
                        f"job {job_id} of the sweep: its process {pid} still lives {WAIT_S:.0f} s after its controller "
                        "died; end that process, then resume"
                    )
                time.sleep(POLL_S)
    return "its controller died"
