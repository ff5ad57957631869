"""Making a sweep's folder and writing what it is about; made with `mkdir`, never shared by two sweeps."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.naming import dataset_name
from sweeper.plan import Plan, PlannedJob
from sweeper.redaction import without_password
from sweeper.versions import stack_versions


def make_sweep_folder(output_dir: Path, name: str, now: datetime) -> SweepFolder:
    """Make ``<output_dir>/<UTC time>_<name>_<random>``, readable by its owner only.

    Raises:
        UserError: the folder cannot be made.
    """
    utc = now.astimezone(timezone.utc)
    folder = SweepFolder(output_dir / f"{utc:%Y%m%d-%H%M%S}_{name}_{secrets.token_hex(2)}")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        folder.path.mkdir(mode=0o700)
        folder.jobs.mkdir()
        folder.requests.mkdir()
    except OSError as error:
        raise UserError(
            f"output folder in output_dir={output_dir}: {error.strerror}; choose a folder that can be written"
        ) from None
    return folder


def write_sweep(folder: SweepFolder, plan: Plan, name: str, command: Sequence[str]) -> None:
    """Write ``sweep.yaml`` and the folder of every job: the whole plan is on the disk before a job starts."""
    datasets = {job.dataset.fingerprint: _describe_dataset(job) for job in plan.jobs}
    text = yaml.safe_dump(
        {
            "id": folder.sweep_id,
            "name": name,
            "command": list(command),
            "axes": {key: list(values) for key, values in plan.axes.values.items()},
            "settings": _without_secrets(plan.settings),
            "versions": stack_versions(),
            "datasets": list(datasets.values()),
            "jobs": [_describe_job(job) for job in plan.jobs],
        },
        allow_unicode=True,
        sort_keys=False,
    )
    write_text(folder.sweep, text)
    for job in plan.jobs:
        job_folder = folder.job(job.job_id)
        job_folder.path.mkdir()
        job_folder.checkpoints.mkdir()
        job_folder.predictions.mkdir()
        write_text(job_folder.config, yaml.safe_dump(dict(job.config), allow_unicode=True, sort_keys=False))


def _describe_job(job: PlannedJob) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "title": job.title,
        "overrides": list(job.overrides),
        "fingerprint": job.dataset.fingerprint,
    }


def _describe_dataset(job: PlannedJob) -> dict[str, Any]:
    dataset = job.dataset
    return {
        "name": dataset_name(job.config),
        "fingerprint": dataset.fingerprint,
        "n_images": dict(dataset.n_images),
        "labelled": dict(dataset.labelled),
        "source": dataset.source,
    }


def _without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as they may be written down: an address without the user and password in it."""
    tracking = dict(settings["tracking"])
    return {**settings, "tracking": {**tracking, "uri": tracking["uri"] and without_password(tracking["uri"])}}
