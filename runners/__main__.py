"""``python -m runners <job folder | attempt folder>``: execute one attempt of a job by hand, or under any batch system."""

import argparse
import os
import sys
import time
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, AttemptSpec


def main() -> int:
    """Execute the attempt and return the exit code: 0 done, 1 failed, 2 refused, 3 stopped before the end."""
    parser = argparse.ArgumentParser(prog="python -m runners", description=__doc__)
    parser.add_argument("folder", type=Path, help="a job's folder (takes the next attempt), or an attempt's with its spec.json")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="for a job's folder: where to train (default: cuda if there)")
    arguments = parser.parse_args()
    try:
        folder = _attempt_folder(arguments.folder.resolve(), arguments.device)
    except UserError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_code
    print(f"attempt {folder.number} of job {folder.job.job_id}, log: {folder.log}", flush=True)
    terminal = os.dup(1)

    from runners.preload import preload
    from runners.process import enter_attempt

    enter_attempt(folder, {})
    preload()
    from runners.job import run_attempt

    returncode = run_attempt(folder)
    result = AttemptResult.read(folder)
    if result is not None:
        reason = f": {result.failure.message}" if result.failure else ""
        os.write(terminal, f"attempt {folder.number} {result.outcome.value}{reason}\n".encode())
    return returncode


def _attempt_folder(path: Path, device: str | None) -> AttemptFolder:
    """Return the attempt to execute; a job's folder gets a new one.

    Raises:
        UserError: the path is neither a job's nor an attempt's folder.
    """
    attempt = AttemptFolder(path)
    if attempt.spec.is_file() and attempt.job.config.is_file():
        return attempt
    job = JobFolder(path)
    if not job.config.is_file():
        raise UserError(f"folder to run: {path}; wanted a job's folder with config.yaml or an attempt's with spec.json")
    attempt = job.take_attempt()
    _default_spec(job, attempt.number, device).write(attempt)
    return attempt


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
