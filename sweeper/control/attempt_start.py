"""How an attempt is executed: the split of its batch, its threads and workers, and where it goes on from."""

import time
from dataclasses import dataclass

from runners.contract.checkpoint_files import find_resume_point
from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptMode, AttemptSpec, KeptCheckpoints
from sweeper.hardware.slots import Slot


@dataclass(frozen=True)
class AttemptSettings:
    """What all attempts of a sweep share.

    Attributes:
        mode: train, check or probe.
        n_workers: data loader workers of a job; None chooses by device.
        batch_per_step: images in one forward pass at most; None takes the whole batch at once.
        n_devices: devices that each job occupies.
        keep: which checkpoints stay.
        umask: of the files that jobs make.
    """

    mode: AttemptMode = "train"
    n_workers: int | None = None
    batch_per_step: int | None = None
    n_devices: int = 1
    keep: KeptCheckpoints = "best"
    umask: int = 0o077


def split_batch(batch_size: int, batch_per_step: int | None, n_devices: int = 1, is_halved: bool = False) -> int:
    """Return into how many equal forward passes a batch is split, so that none holds more images than allowed.

    Args:
        batch_size: images of one optimizer step.
        batch_per_step: images in one forward pass at most; None sets no limit.
        n_devices: devices that share a forward pass, each the same number of images.
        is_halved: allow half of what would be taken otherwise.

    Raises:
        UserError: the devices cannot share the batch equally.
    """
    limit = batch_size if batch_per_step is None else batch_per_step
    splits = [n for n in range(1, batch_size + 1) if batch_size % n == 0 and batch_size // n % n_devices == 0]
    if not splits:
        raise UserError(
            f"batch in batch_size: {batch_size} images cannot be shared by {n_devices} devices; take a multiple of it"
        )
    chosen = next((n for n in splits if batch_size // n <= limit), splits[-1])
    if not is_halved:
        return chosen
    return next((n for n in splits if batch_size // n <= batch_size // chosen // 2), splits[-1])


def make_spec(
    attempt: AttemptFolder, batch_size: int, slot: Slot, settings: AttemptSettings, is_halved: bool = False
) -> tuple[AttemptSpec, tuple[str, ...]]:
    """Return the spec of an attempt, and the names of damaged checkpoints that it does not go on from.

    Args:
        attempt: its folder.
        batch_size: images of one optimizer step.
        slot: where it runs.
        settings: of the sweep.
        is_halved: with half the images per forward pass.
    """
    accumulation = split_batch(batch_size, settings.batch_per_step, len(slot.devices), is_halved)
    batch_per_step = batch_size // accumulation
    resume, passed_over = _resume_point(attempt.job, (batch_per_step, accumulation), settings)
    spec = AttemptSpec(
        attempt=attempt.number,
        device=slot.kind,
        n_threads=slot.n_threads,
        n_workers=_workers(slot, settings),
        batch_per_step=batch_per_step,
        accumulation=accumulation,
        mode=settings.mode,
        requested_at=time.time(),
        resume=resume,
        n_devices=len(slot.devices),
        keep=settings.keep,
        umask=settings.umask,
    )
    return spec, passed_over


def can_halve(spec: AttemptSpec) -> bool:
    """Whether a forward pass can be split once more, if its images were too many for the device."""
    return spec.mode == "train" and spec.batch_per_step > spec.n_devices


def _resume_point(
    job: JobFolder, split: tuple[int, int], settings: AttemptSettings
) -> tuple[str | None, tuple[str, ...]]:
    if settings.mode != "train":
        return None, ()
    point = find_resume_point(job, split)
    return point.spec_value, point.passed_over


def _workers(slot: Slot, settings: AttemptSettings) -> int:
    if settings.n_workers is not None:
        return settings.n_workers
    # On the CPU the training threads use every core already, and small images load faster than workers hand over.
    return 0 if slot.kind == "cpu" else min(4, max(1, slot.n_threads - 1))
