"""``python -m runners <job or attempt folder>``: execute one attempt of a job by hand, or under any batch system."""

import argparse
import os
import sys
import time
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.plugin_sources import DIGEST, find_copy
from runners.contract.plugin_trust import refuse_foreign_plugins
from runners.contract.records import AttemptResult, AttemptSpec


def main() -> int:
    """Execute the attempt and return the exit code: 0 done, 1 failed, 2 refused, 3 stopped before the end."""
    parser = argparse.ArgumentParser(prog="python -m runners", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="a job's folder (takes the next attempt), or an attempt's with its spec.json"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="for a job's folder: where to train (default: cuda if there)"
    )
    parser.add_argument(
        "--trust-plugins", default="", help="digests of plug-ins that came with another's sweep and may run"
    )
    arguments = parser.parse_args()
    try:
        job = _job_of(arguments.folder.resolve())
        _refuse_foreign_plugins(job, arguments.trust_plugins)
    except UserError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_code

    from runners.preload import preload
    from runners.process import enter_attempt

    preload()
    from runners.job import run_attempt

    if job.path == arguments.folder.resolve():
        folder = job.take_attempt()
        _default_spec(job, folder.number, arguments.device).write(folder)
    else:
        folder = AttemptFolder(arguments.folder.resolve())
    print(f"attempt {folder.number} of job {job.job_id}, log: {folder.log}", flush=True)
    terminal = os.dup(1)
    enter_attempt(folder, {})
    returncode = run_attempt(folder)
    result = AttemptResult.read(folder)
    if result is not None:
        reason = f": {result.failure.message}" if result.failure else ""
        os.write(terminal, f"attempt {folder.number} {result.outcome.value}{reason}\n".encode())
    return returncode


def _job_of(path: Path) -> JobFolder:
    """Return the job that a job's or an attempt's folder belongs to.

    Raises:
        UserError: the path is neither.
    """
    attempt = AttemptFolder(path)
    for job, is_there in ((JobFolder(path), True), (attempt.job, attempt.spec.is_file())):
        if is_there and job.config.is_file():
            return job
    raise UserError(f"folder to run: {path}; wanted a job's folder with config.yaml or an attempt's with spec.json")


def _refuse_foreign_plugins(job: JobFolder, consented: str) -> None:
    """Refuse to run code that came with another's sweep, unless it is consented to.

    Raises:
        UserError: the job has such code.
    """
    from runners.contract.yamlfile import load_yaml

    config = load_yaml(job.config.read_text(encoding="utf-8"))
    if config.get(DIGEST):
        refuse_foreign_plugins(find_copy(job.path, config[DIGEST]), config[DIGEST], consented)


def _default_spec(job: JobFolder, number: int, device: str | None) -> AttemptSpec:
    """Return the spec of an attempt that has the machine to itself: one forward pass per optimizer step."""
    import torch
    import yaml

    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    n_threads = len(os.sched_getaffinity(0))
    return AttemptSpec(
        attempt=number,
        device="cuda" if chosen == "cuda" else "cpu",
        n_threads=n_threads,
        # Loading in the training process is fastest where training itself uses all cores.
        n_workers=min(4, n_threads) if chosen == "cuda" else 0,
        batch_per_step=config["batch_size"],
        accumulation=1,
        requested_at=time.time(),
    )


if __name__ == "__main__":
    sys.exit(main())
