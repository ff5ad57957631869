"""Making a sweep's folder and those of its jobs; made with `mkdir`, never shared by two sweeps."""

import os
import secrets
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.yamlfile import YamlParts
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.stored.sweep_file import write_sweep_file

Sharing = Literal["private", "group"]
UMASKS = {"private": 0o077, "group": 0o007}
# New files in it belong to its group, and not to the first group of whoever makes them.
_SETGID = 0o2000


def make_sweep_folder(output_dir: Path, name: str, now: datetime, share: Sharing = "private") -> SweepFolder:
    """Make ``<output_dir>/<UTC time>_<name>_<random>``, readable by its owner only, or by the group of `output_dir`.

    Raises:
        UserError: the folder cannot be made.
    """
    utc = now.astimezone(timezone.utc)
    folder = SweepFolder(output_dir / f"{utc:%Y%m%d-%H%M%S}_{name}_{secrets.token_hex(2)}")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        folder.path.mkdir()
        if share == "group":
            os.chown(folder.path, -1, output_dir.stat().st_gid)
        folder.path.chmod(0o777 & ~UMASKS[share] | (_SETGID if share == "group" else 0))
        folder.jobs.mkdir()
        folder.requests.mkdir()
    except OSError as error:
        raise UserError(
            f"output folder in output_dir={output_dir}: {error.strerror}; choose a folder that can be written"
        ) from None
    return folder


def set_umask(umask: int) -> None:
    """Have this process, and all that it starts, make files for their owner only, or for the group as well."""
    os.umask(umask)


def write_sweep(folder: SweepFolder, plan: Plan, name: str, command: Sequence[str]) -> None:
    """Write the folder of every job, and then ``sweep.yaml``: with it the whole plan is on the disk."""
    parts = YamlParts()
    for job in plan.jobs:
        write_job(folder.job(job.job_id), job, parts)
    write_sweep_file(folder, plan, name, command)


def write_job(folder: JobFolder, job: PlannedJob, parts: YamlParts | None = None) -> None:
    """Make a job's folder, with its config in it.

    Args:
        folder: to be made.
        job: what it holds.
        parts: what the configs of this sweep have in common; written once.
    """
    folder.path.mkdir()
    folder.checkpoints.mkdir()
    folder.predictions.mkdir()
    write_text(folder.config, (parts or YamlParts()).dump(job.config))
