"""The journal of a sweep that nobody ran here: the events that say the same as those of one that was run."""

from collections.abc import Mapping
from typing import Any

from runners.contract.digest import sha256_of
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome, JobState
from sweeper.control.attempt_ends import Tries
from sweeper.hardware.devices import CPU
from sweeper.planning.plan import Plan
from sweeper.stored.journal import Journal


def write_journal(
    sweep: SweepFolder, plan: Plan, results: Mapping[str, AttemptResult], opening: Mapping[str, Any]
) -> None:
    """Write that all jobs were planned, started and completed.

    Args:
        sweep: its folder.
        plan: its jobs.
        results: of them, by job id.
        opening: what is said of the process that imports them.
    """
    with Journal(sweep.journal) as journal:
        journal.append("sweep_started", **opening)
        journal.append("device_opened", device=CPU.label, name=CPU.name, n_shares=1)
        for job in plan.jobs:
            journal.append(
                "planned",
                job=job.job_id,
                state=JobState.PLANNED.value,
                identity=job.identity,
                config_sha256=sha256_of(sweep.job(job.job_id).config),
                title=job.title,
                values=dict(job.values),
                expected_s=0.0,
                memory_gb=0.0,
                n_devices=1,
            )
        for job in plan.jobs:
            split = {"batch_per_step": job.config["batch_size"], "accumulation": 1}
            started = {"slot": f"{CPU.label}/0", "resume": None, "state": JobState.RUNNING.value}
            journal.append("started", job=job.job_id, attempt=1, **started, **split)
            journal.append(
                "ended",
                job=job.job_id,
                attempt=1,
                outcome=AttemptOutcome.COMPLETED.value,
                kind=None,
                reason=None,
                checkpoint_sha256=results[job.job_id].checkpoint_sha256,
                state=JobState.COMPLETED.value,
                counted=False,
                tries=Tries().counts(),
            )
        journal.append("device_closed", device=CPU.label, reason="given back")
        journal.append("sweep_ended", exit_code=0)
