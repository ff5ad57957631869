"""What the tracking store is told about a job when its run is opened."""

import json
from collections.abc import Mapping

from runners.contract.folder import JobFolder
from runners.contract.naming import dataset_name, job_columns
from runners.contract.trials import TRIAL_TAG
from sweeper.planning.plan import PlannedJob
from sweeper.tracking.outbox import TrackedJob


def tracked_job(
    job: PlannedJob, folder: JobFolder, tags: Mapping[str, str], started_at: float | None = None
) -> TrackedJob:
    """Return a job's name, columns, tags and data set.

    Args:
        job: as planned.
        folder: its folder.
        tags: what every run of the sweep carries.
        started_at: when its first attempt was started, if that is past.
    """
    name = dataset_name(job.config)
    own = {
        "detsweep.folder": str(folder.path),
        "detsweep.dataset": name,
        "detsweep.dataset_fingerprint": job.dataset.fingerprint,
        "detsweep.identity": job.identity,
        "detsweep.recipe": job.recipe,
        "detsweep.labelled": json.dumps(job.dataset.labelled),
    }
    if job.trial is not None:
        own[TRIAL_TAG] = json.dumps(job.trial.describe(), ensure_ascii=False)
    dataset = (name, job.dataset.fingerprint, str(job.config["dataset"]["root"]))
    params = job_columns(job.config, job.values)
    return TrackedJob(folder, job.title, params, {**tags, **own}, dataset, started_at)
