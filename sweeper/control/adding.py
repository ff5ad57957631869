"""``detsweep add``: jobs that join a sweep later, written by whoever asks and taken in by its controller."""

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runners.contract.folder import JobFolder, SweepFolder
from sweeper.control.left import read_left
from sweeper.control.stored_sweep import read_job
from sweeper.planning.axes import Axes
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.stored.requests import Request, read_requests
from sweeper.stored.sweep_file import add_to_sweep_file, describe_dataset, describe_job, read_sweep_file
from sweeper.stored.sweep_folder import write_job


def write_added_jobs(sweep: SweepFolder, plan: Plan) -> dict[str, Any]:
    """Write the folders of a plan's jobs that the sweep does not have, and return what a request says of them.

    Args:
        sweep: the sweep's folder.
        plan: made from the longer command; what the sweep has, told by its identity, is left out.

    Returns:
        ``jobs``, ``datasets`` and ``axes``; no jobs if there is nothing new.
    """
    known = {job.identity for job in read_left(sweep).jobs.values()}
    # What was asked for a moment ago and has not been taken in yet.
    asked = [request for request in read_requests(sweep) if request.op == "add"]
    known |= {job["identity"] for request in asked for job in request.arguments["jobs"]}
    new = [job for job in plan.jobs if job.identity not in known]
    placed = [place_job(sweep, job) for job in new]
    return {
        "jobs": [describe_job(job) for job in placed],
        "datasets": list({job.dataset.fingerprint: describe_dataset(job) for job in placed}.values()),
        "axes": {key: list(values) for key, values in plan.axes.values.items()},
    }


def take_added_jobs(sweep: SweepFolder, request: Request) -> list[PlannedJob]:
    """Return the jobs that a request brings, once ``sweep.yaml`` holds them; taking them twice changes nothing."""
    jobs: Sequence[Mapping[str, Any]] = request.arguments["jobs"]
    add_to_sweep_file(sweep, jobs, request.arguments["datasets"], request.arguments["axes"])
    stored = read_sweep_file(sweep)
    datasets = {entry["fingerprint"]: entry for entry in stored["datasets"]}
    axes = Axes(stored["axes"], [], [])
    return [read_job(sweep, job, datasets[job["fingerprint"]], axes) for job in jobs]


def place_job(sweep: SweepFolder, job: PlannedJob) -> PlannedJob:
    """Write a job's folder under the next free number; `mkdir` decides between two who ask at once.

    Returns:
        The job with its number.
    """
    number = max((int(folder.job_id) for folder in sweep.all_jobs()), default=0)
    while True:
        number += 1
        job_id = f"{number:04d}"
        placed = PlannedJob(**{**vars(job), "job_id": job_id})
        # Complete before it has its number: a job's folder without a config would be in nobody's plan.
        hidden = JobFolder(sweep.jobs / f".{job_id}.{os.getpid()}")
        write_job(hidden, placed)
        try:
            Path(hidden.path).rename(sweep.job(job_id).path)
        except OSError as error:
            _remove(hidden)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            continue
        return placed


def _remove(folder: JobFolder) -> None:
    folder.config.unlink()
    folder.checkpoints.rmdir()
    folder.predictions.rmdir()
    folder.path.rmdir()
