"""What must hold between a sweep's journal and what it describes: folders, tracking store, processes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runners.contract.states import JobState
from sweeper.tracking.mlflow_store import metric_name
from sweeper.verification.evidence import JobEvidence, JournalLine, SweepEvidence
from sweeper.verification.invariants import Violation, at

if TYPE_CHECKING:
    from reports.read import StoredRun

# State of a job -> status of its run. A job that waits has none, or that of the attempt before.
_STATUSES: Mapping[str, tuple[str, ...]] = {
    "COMPLETED": ("FINISHED",),
    "FAILED": ("FAILED",),
    "PRUNED": ("KILLED",),
    "CANCELLED": ("KILLED",),
    "PAUSED": ("KILLED",),
}
_N_NAMED = 3


def check_completed(evidence: SweepEvidence) -> Iterator[Violation]:
    """4: a completed job has a result and the checkpoint that it names, as written; it never runs again."""
    for job, story in evidence.lines_by_job().items():
        done = [line for line in story if line.kind == "ended" and line.state == "COMPLETED"]
        if done and not evidence.is_check:
            folder = evidence.jobs.get(job, JobEvidence())
            for message in _completed_problems(done[-1], folder):
                yield Violation(4, at(done[-1]), f"job {job} is COMPLETED and {message}")
        for line in story:
            if done and line.kind == "started" and line.number > done[0].number:
                yield Violation(4, at(line), f"job {job} is started again after it was COMPLETED")


def _completed_problems(line: JournalLine, folder: JobEvidence) -> Iterator[str]:
    number = line.event["attempt"]
    attempt = folder.attempts.get(number)
    result = attempt.result if attempt else None
    if result is None:
        yield f"attempts/{number}/result.json is missing or torn"
        return
    if result.outcome.value != "completed":
        yield f"attempts/{number}/result.json says {result.outcome.value}"
        return
    journalled = line.event.get("checkpoint_sha256")
    if result.checkpoint is None or journalled is None:
        yield "no checkpoint is named" if result.checkpoint is None else "the journal has no digest of its checkpoint"
        return
    found = folder.checkpoint_sha256.get(result.checkpoint)
    if found is None:
        yield f"its checkpoint {result.checkpoint} is not there"
    elif found != journalled:
        yield f"its checkpoint {result.checkpoint} is {found[:12]}... where the journal has {journalled[:12]}..."
    if result.checkpoint_sha256 != journalled:
        yield f"its result has another digest of the checkpoint ({result.checkpoint_sha256}) than the journal"


def check_resumable(evidence: SweepEvidence) -> Iterator[Violation]:
    """6: a job that is to go on has a whole checkpoint once the first was written."""
    stories = evidence.lines_by_job()
    for job, state in evidence.states.items():
        if state != "PAUSED" or evidence.is_check:
            continue
        folder = evidence.jobs.get(job, JobEvidence())
        started = _started_since_retry(stories[job])
        resumed = [line for line in started if line.event.get("resume")]
        had_one = bool(resumed) or folder.n_states > 0 or any(_has_second_epoch(folder, started))
        if had_one and folder.n_valid_states == 0:
            where = at(resumed[-1]) if resumed else f"jobs/{job}/checkpoints"
            yield Violation(6, where, f"job {job} had a checkpoint to go on from, and no whole one is left")


def _started_since_retry(story: Sequence[JournalLine]) -> list[JournalLine]:
    # What failed or was cancelled may have been cleaned away before somebody wanted it tried again.
    retried = [number for number, line in enumerate(story) if line.kind == "retried"]
    return [line for line in story[retried[-1] if retried else 0 :] if line.kind == "started"]


def _has_second_epoch(folder: JobEvidence, started: Sequence[JournalLine]) -> Iterator[bool]:
    # An epoch's numbers are written before its state; the next epoch's only after it.
    for line in started:
        attempt = folder.attempts.get(line.event["attempt"])
        yield attempt is not None and any(name == "train/loss" and step >= 2 for name, step in attempt.points)


def check_stored(evidence: SweepEvidence) -> Iterator[Violation]:
    """7: every job is stored, config and data fingerprint, before it starts."""
    for job, story in evidence.lines_by_job().items():
        folder = evidence.jobs.get(job, JobEvidence())
        planned: JournalLine | None = None
        for line in story:
            if line.kind == "planned":
                planned = line
            elif line.kind == "started":
                if planned is None:
                    yield Violation(7, at(line), f"job {job} is started before it was planned")
                attempt = folder.attempts.get(line.event["attempt"])
                if attempt is None or not attempt.has_spec:
                    yield Violation(7, at(line), f"job {job}: attempts/{line.event['attempt']} has no spec.json")
        if job not in evidence.stored:
            yield Violation(7, at(story[0]), f"job {job} does not stand in sweep.yaml")
        if folder.config_sha256 is None:
            yield Violation(7, f"jobs/{job}/config.yaml", f"job {job} has no config")
        elif planned is not None and not _is_config_of(planned, folder.config_sha256, evidence):
            told = f"config of job {job} is {folder.config_sha256[:12]}... where it was planned with another"
            yield Violation(7, f"jobs/{job}/config.yaml", told)


def _is_config_of(planned: JournalLine, sha256: str, evidence: SweepEvidence) -> bool:
    """Whether a job's config is what it was planned with, or a user has accepted that it is not."""
    if planned.event.get("config_sha256") in (None, sha256):
        return True
    accepted = (change for line in evidence.lines for change in line.event.get("accepted") or ())
    return any(f"jobs/{planned.job}/config.yaml" in change for change in accepted)


def check_runs(evidence: SweepEvidence) -> Iterator[Violation]:
    """8: journal and tracking store agree: one run for each job that was started, in the state of the job."""
    runs = evidence.runs or ()
    if len(parents := [run for run in runs if run.job is None]) != 1:
        yield Violation(8, "tracking store", f"the sweep has {len(parents)} runs of its own")
    by_job: dict[str, list[StoredRun]] = {}
    for run in runs:
        by_job.setdefault(run.job or "", []).append(run)
    started = {line.job for line in evidence.lines if line.kind == "started"}
    # What the outbox knows to be missing is no contradiction; it is told as a note.
    waiting = evidence.waiting_runs
    for job, state in sorted((job, state) for job, state in evidence.states.items() if job not in waiting):
        yield from _check_runs_of(job, state, job in started, by_job.get(job, []))
    for job in sorted(by_job.keys() - evidence.states.keys() - {""}):
        yield Violation(8, "tracking store", f"run {by_job[job][0].run_id} is of job {job}, which the journal lacks")
    for run in runs:
        if run.status == "RUNNING" and run.job not in waiting:
            whose = f"of job {run.job}" if run.job else "of the sweep"
            yield Violation(8, "tracking store", f"run {run.run_id} {whose} is RUNNING and nothing runs")


def _check_runs_of(job: str, state: str, was_started: bool, runs: Sequence["StoredRun"]) -> Iterator[Violation]:
    if state == "REUSED" and runs:
        yield Violation(8, "tracking store", f"job {job} is REUSED and has run {runs[0].run_id} of its own")
    elif was_started and len(runs) != 1:
        yield Violation(8, "tracking store", f"job {job} has {len(runs)} runs, wanted one")
    elif was_started and state in _STATUSES:
        run = runs[0]
        if run.status not in _STATUSES[state] and run.status != "RUNNING":
            yield Violation(8, "tracking store", f"job {job} is {state} and its run {run.run_id} is {run.status}")
        if run.state != state:
            yield Violation(8, "tracking store", f"job {job} is {state} and its run's tag says {run.state}")


def check_points(evidence: SweepEvidence) -> Iterator[Violation]:
    """9: the tracking store has every recorded value once."""
    runs = {run.job: run for run in evidence.runs or () if run.job is not None}
    states = evidence.states
    for job, run in sorted(runs.items()):
        for (name, step), n in sorted(run.points.items()):
            if n > 1:
                yield Violation(9, f"run {run.run_id}", f"job {job}: {name} of step {step} stands there {n} times")
        missing = sorted(_recorded(evidence.jobs.get(job, JobEvidence()), states.get(job)) - run.points.keys())
        if missing and job not in evidence.waiting_runs and not evidence.is_owned:
            named = ", ".join(f"{name} of step {step}" for name, step in missing[:_N_NAMED])
            rest = f" and {len(missing) - _N_NAMED} more" if len(missing) > _N_NAMED else ""
            yield Violation(9, f"run {run.run_id}", f"job {job}: it lacks {named}{rest}")


def _recorded(folder: JobEvidence, state: str | None) -> set[tuple[str, int]]:
    """Return name and step of everything that the store should hold of a job, names as the store writes them."""
    points = {(metric_name(name), step) for a in folder.attempts.values() for name, step in a.points}
    result = folder.attempts[max(folder.attempts)].result if folder.attempts else None
    if result is not None and state is not None and result.stands_for(JobState(state)):
        points |= {(metric_name(name), result.best_epoch or 0) for name in result.metrics}
    return points


def check_left_behind(evidence: SweepEvidence) -> Iterator[Violation]:
    """12: after the controller's exit no process of the sweep lives."""
    for line in evidence.living:
        whose = f"attempt {line.event['attempt']} of job {line.job}"
        yield Violation(12, at(line), f"process {line.event['pid']} ({whose}) lives and nobody owns the sweep")
