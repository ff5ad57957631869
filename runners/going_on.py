"""Where a training goes on: its saved state, counted as the new attempt counts, and the images that it has seen."""

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from runners.batch_split import BatchSplit, recounted
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec
from runners.training_state import read_training_state


def prepare_going_on(job: JobFolder, spec: AttemptSpec, loader: DataLoader[Any]) -> tuple[Path, dict[str, Any]]:
    """Read the state that a spec's `resume` names, and have the loader leave out what its epoch has seen.

    Returns:
        The path, and the state as `runners.training.JobRunner.state` wants it.

    Raises:
        UserError: no checkpoint to go on from, or one that lies within an epoch whose iterations are other ones.
    """
    if spec.resume is None:
        raise ValueError("resume: wanted a checkpoint, got None")
    path, state = read_training_state(job, spec.resume)
    split, saved = BatchSplit.of(spec), saved_split(state)
    if saved != split and state["meta"]["iter"] == state["meta"]["epoch"] * state["meta"]["n_iterations_per_epoch"]:
        state = recounted(state, split, len(loader))
    elif saved != split or state["meta"]["n_iterations_per_epoch"] != len(loader):
        raise UserError(
            f"no going on in resume: {spec.resume} was saved within an epoch of "
            f"{state['meta']['n_iterations_per_epoch']} iterations with {saved} per optimizer step; "
            f"now {len(loader)} iterations with {split}"
        )
    n_seen = state["meta"]["iter"] - state["meta"]["epoch"] * len(loader)
    if n_seen < len(loader):  # else only the validation is missing, and the next epoch is whole
        loader.batch_sampler.n_seen = n_seen  # type: ignore[union-attr]
    return path, state


def saved_split(state: dict[str, Any]) -> BatchSplit:
    """Return how the attempt that saved a state split its batches."""
    return BatchSplit(state["meta"]["batch_per_step"], state["meta"]["accumulation"])


def splits_with(state: dict[str, Any], split: BatchSplit, n_epochs: int) -> list[list[int]]:
    """Return (first epoch, images per step, accumulation) of each part of a training that goes on from a state."""
    meta, saved = state["meta"], saved_split(state)
    splits = meta.get("splits", [[1, *saved]])  # not in states from before detsweep went on with another split
    if saved != split and meta["epoch"] < n_epochs:
        splits = [*splits, [meta["epoch"] + 1, *split]]
    return list(splits)
