"""Jobs that an earlier run answers: written down as reused before anything is started."""

from collections.abc import Mapping

from runners.contract.states import JobState
from sweeper.control.left import LeftJob, LeftSweep
from sweeper.planning.plan import Plan
from sweeper.stored.journal import Journal
from sweeper.stored.versions import stack_versions
from sweeper.tracking.reuse import ReusedRun


def note_reused(journal: Journal, plan: Plan, reused: Mapping[str, ReusedRun]) -> LeftSweep | None:
    """Journal which jobs of a new sweep are answered already.

    Args:
        journal: of the sweep.
        plan: its jobs.
        reused: job id to the run that answers it.

    Returns:
        Where the jobs stand then; None if nothing is reused.
    """
    if not reused:
        return None
    events = []
    left = LeftSweep(versions=stack_versions())
    for job in plan.jobs:
        run = reused.get(job.job_id)
        if run is None:
            continue
        told = {"job": job.job_id, "state": JobState.REUSED.value, "run_id": run.run_id, "folder": run.folder}
        events.append(("reused", {**told, "title": job.title, "values": dict(job.values), "identity": job.identity}))
        pointer = {"run_id": run.run_id, "folder": run.folder}
        left.jobs[job.job_id] = LeftJob(JobState.REUSED, identity=job.identity, reused=pointer)
    journal.append_all(events)
    return left
