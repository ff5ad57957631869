"""How a batch is split into forward passes, and going on with another split than a training began with.

The optimizer's batch, and so what is trained, stays the same; iterations, which are forward passes, are other ones.
Only an epoch's end is a place that both counts have in common.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec


class BatchSplit(NamedTuple):
    """Images in one forward pass, and forward passes in one optimizer step."""

    batch_per_step: int
    accumulation: int

    @classmethod
    def of(cls, spec: AttemptSpec) -> "BatchSplit":
        """Return an attempt's split."""
        return cls(spec.batch_per_step, spec.accumulation)

    def __str__(self) -> str:
        """Return ``2 x 8 images``, or ``16 images`` where one pass is a step."""
        times = f"{self.accumulation} x " if self.accumulation > 1 else ""
        return f"{times}{self.batch_per_step} images"


def first_split(job: JobFolder) -> BatchSplit | None:
    """Return the split of a job's first training attempt, which is the one that was planned; None if nobody knows."""
    for attempt in job.all_attempts():
        try:
            spec = AttemptSpec.read(attempt)
        except (OSError, ValueError, TypeError):  # killed before it was written, or written by another version
            continue
        if spec.mode == "train":
            return BatchSplit.of(spec)
    return None


def split_notes(planned: BatchSplit | None, splits: Sequence[tuple[int, int, int]]) -> list[str]:
    """Return what a result says of a training that was not split as it was planned.

    Args:
        planned: as `first_split` gave it.
        splits: (first epoch, images per step, accumulation) of each part of the training, in order.
    """
    notes = []
    before = planned
    for epoch, *numbers in splits:
        split = BatchSplit(*numbers)
        if before is not None and split != before:
            since = f"from epoch {epoch} on " if epoch > 1 else ""
            notes.append(f"trained {since}with {split} per optimizer step instead of {before}")
        before = split
    return notes


def recounted(state: Mapping[str, Any], split: BatchSplit, n_iterations: int) -> dict[str, Any]:
    """Return an epoch's last state as if all its training had been split in another way.

    Where the epoch's end lies within an optimizer step, the gradients so far are scaled to the share of a step that the
    new count says is done; where the new count begins a step there, they are left out: less than one step is lost.

    Args:
        state: as `runners.training_state.training_state` and its description, at an epoch's end.
        split: the new one.
        n_iterations: iterations of an epoch under the new one.

    Returns:
        The state; its ``param_schedulers`` are None: `runners.training_state.restore_training` moves schedules anew.
    """
    meta = state["meta"]
    iteration = meta["epoch"] * n_iterations
    done = meta["iter"] % meta["accumulation"] / meta["accumulation"]
    counted = iteration % split.accumulation / split.accumulation
    gradients = {name: value * (counted / done) for name, value in state["gradients"].items()} if counted else {}
    return {**state, "meta": {**meta, "iter": iteration}, "gradients": gradients, "param_schedulers": None}
