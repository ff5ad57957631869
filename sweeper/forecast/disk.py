"""What a sweep writes: checkpoints while jobs run, what is kept of them, predictions and logs; and whether it fits."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.records import KeptCheckpoints
from sweeper.forecast.first_guess import state_bytes, weight_bytes
from sweeper.forecast.workload import Workload
from sweeper.view.wording import count, size

# Held while a job trains: two states, that of the newest epoch's end, and the one that is being written.
_N_STATES = 4
# The best weights that these states refer to, and those that are being written.
_N_WEIGHTS = 3
# Held by a trial that rests, and by one that was given up there until `detsweep clean`: the state of the newest epoch's
# end, the one that was saved when it stopped, and the best weights that each refers to.
_N_RESTING = 2

# A model that the table has not is taken for a Cascade R-CNN with ResNeXt-101.
_UNKNOWN_PARAMETERS = 130e6

# Per image and file of predictions: at most 100 boxes, as JSON.
_PREDICTION_BYTES = 8_000
_N_VAL_FILES = 2
# Log, metrics and configs, and what the tracking store keeps of them, for each epoch.
_LOG_BYTES = 200_000


@dataclass(frozen=True)
class DiskNeed:
    """What a sweep needs of a disk, in bytes.

    Attributes:
        stays: what is there when it is done.
        peak: the most that is there at any time.
        n_jobs: how many jobs are counted.
        keep: which checkpoints stay.
    """

    stays: float
    peak: float
    n_jobs: int
    keep: KeptCheckpoints


def sweep_disk(
    workloads: Sequence[Workload], keep: KeptCheckpoints, n_at_once: int, may_rest: bool = False
) -> DiskNeed:
    """Return what a sweep needs.

    Args:
        workloads: its jobs'.
        keep: which checkpoints stay once a job has completed.
        n_at_once: jobs that run at the same time.
        may_rest: whether any of them may wait at a rung of a search, or be given up there.
    """
    kept = [max(kept_bytes(workload, keep), resting_bytes(workload) if may_rest else 0.0) for workload in workloads]
    # In the worst case the hungriest jobs are the last.
    held = [held_bytes(workload, keep) for workload in workloads]
    beside = sorted((most - stays for most, stays in zip(held, kept, strict=True)), reverse=True)
    return DiskNeed(sum(kept), sum(kept) + sum(beside[:n_at_once]), len(workloads), keep)


def kept_bytes(workload: Workload, keep: KeptCheckpoints) -> float:
    """Return what stays of a completed job."""
    weights, state = _sizes(workload)
    n_states = {"best": 0, "best+last": 1, "all": workload.n_epochs}[keep]
    # Every epoch's state keeps the best weights that it refers to: at worst each its own.
    n_weights = workload.n_epochs if keep == "all" else 1
    return n_states * state + n_weights * weights + _small_bytes(workload)


def resting_bytes(workload: Workload) -> float:
    """Return what a trial holds that waits at a rung of a search."""
    weights, state = _sizes(workload)
    return _N_RESTING * (state + weights) + _small_bytes(workload)


def held_bytes(workload: Workload, keep: KeptCheckpoints) -> float:
    """Return the most that a job has on the disk while it runs."""
    weights, state = _sizes(workload)
    most = _N_STATES * state + _N_WEIGHTS * weights + _small_bytes(workload)
    return most if keep != "all" else kept_bytes(workload, keep) + state + weights


def check_space(
    output_dir: Path, need: DiskNeed, free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
) -> None:
    """Refuse a sweep that the disk has no room for.

    Args:
        output_dir: where it writes; need not exist yet.
        need: what it writes.
        free: bytes that are free for this user under a folder.

    Raises:
        UserError: not enough is free.
    """
    folder = next(path for path in (output_dir, *output_dir.parents) if path.exists())
    n_free = free(folder)
    if n_free < need.peak:
        hint = "free some" if need.keep == "best" else "free some, take keep=best"
        raise UserError(
            f"disk space in output_dir={output_dir}: needs about {size(need.peak)} ({count(need.n_jobs, 'job')}, "
            f"keep={need.keep}), {size(n_free)} free in {folder}; {hint}, choose another output_dir, or start all the "
            "same with check_disk=false"
        )


def _sizes(workload: Workload) -> tuple[float, float]:
    """Return the bytes of the weights and of a whole state."""
    if workload.complexity is None:
        weights = _UNKNOWN_PARAMETERS * 4
        return weights, weights * (1 + workload.n_moments)
    return weight_bytes(workload), state_bytes(workload)


def _small_bytes(workload: Workload) -> float:
    n_predicted = _N_VAL_FILES * workload.n_val_images + workload.n_final_images
    return n_predicted * _PREDICTION_BYTES + workload.n_epochs * _LOG_BYTES
