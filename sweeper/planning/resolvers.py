"""The resolvers that conf's files may use: how one group's numbers and names follow from another's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runners.contract.coco import read_classes
from sweeper.planning.zoo import checkpoint_address

# `optimizer.lr` is given for this many images in a step: mmdet's eight GPUs with two images each.
BASE_BATCH_SIZE = 16

# Lengths in pixels are kept to multiples of this, the stride of FPN's coarsest level that every backbone computes.
STRIDE_PX = 32


def register() -> None:
    """Make the resolvers known to OmegaConf; calling it again changes nothing."""
    for name, resolver in RESOLVERS.items():
        OmegaConf.register_new_resolver(name, _returning_config(resolver), replace=True)


def scale_lr(lr: float, batch_size: int, base_batch_size: int = BASE_BATCH_SIZE) -> float:
    """Return the learning rate for a batch size by the linear rule (Goyal et al. 2017, arXiv:1706.02677).

    Args:
        lr: the learning rate for a batch of `base_batch_size`.
        batch_size: images in one step.
        base_batch_size: that of mmdet's eight GPUs with two images each, or what a config of one's own was made for.
    """
    return in_proportion(lr, base_batch_size, batch_size)


def in_proportion(value: float, whole: float, new_whole: float) -> float:
    """Return a value that is to `new_whole` as it was to `whole`; exactly itself where these are equal."""
    return float(value) if new_whole == whole else value * new_whole / whole


def epoch_of(epoch: int, n_planned: int, n_epochs: int) -> int:
    """Return the epoch of a run of `n_epochs` that corresponds to one of a run of `n_planned`."""
    return int(epoch * n_epochs / n_planned + 0.5)


def epochs_of(epochs: Sequence[int], n_planned: int, n_epochs: int) -> list[int]:
    """Return what corresponds to epochs after which the learning rate falls; as they are in a run of equal length."""
    if n_epochs == n_planned:
        return list(epochs)
    moved = dict.fromkeys(epoch_of(epoch, n_planned, n_epochs) for epoch in epochs)
    return [epoch for epoch in moved if 0 < epoch < n_epochs]


def milestones(n_epochs: int, fractions: Sequence[float]) -> list[int]:
    """Return the epochs after which the learning rate falls; one that would be the end of the run is left out."""
    epochs = dict.fromkeys(int(n_epochs * fraction + 0.5) for fraction in fractions)
    return [epoch for epoch in epochs if 0 < epoch < n_epochs]


def scales_around(scale: Sequence[int], factors: Sequence[float]) -> list[list[int]]:
    """Return an image scale times each factor, in pixels, both sides rounded to multiples of 32."""
    return [[max(1, round(side * factor / STRIDE_PX)) * STRIDE_PX for side in scale] for factor in factors]


def half_border(scale: Sequence[int]) -> list[int]:
    """Return the border that cuts a mosaic, twice as wide and high as `scale`, back to `scale`."""
    return [-side // 2 for side in scale]


def coco_classes(root: str, ann_file: str) -> list[str]:
    """Return the class names of the training annotations.

    Raises:
        UserError: there is no such file, or it is not COCO.
    """
    return read_classes(Path(root) / ann_file, "dataset.train.ann_file")


def shape_classes(n_classes: int) -> list[str]:
    """Return the class names of a generated data set."""
    from sweeper.planning.shapes import SHAPES  # draws with numpy and Pillow, which most sweeps do not need

    return list(SHAPES[:n_classes])


def absolute_path(path: str) -> str:
    """Return a path that a job finds from its own folder."""
    return str(Path(path).expanduser().absolute())


RESOLVERS: dict[str, Callable[..., Any]] = {
    "absolute_path": absolute_path,
    "coco_classes": coco_classes,
    "count": len,
    "epoch_of": epoch_of,
    "epochs_of": epochs_of,
    "half_border": half_border,
    "in_proportion": in_proportion,
    "milestones": milestones,
    "scale_lr": scale_lr,
    "scales_around": scales_around,
    "shape_classes": shape_classes,
    "zoo_checkpoint": checkpoint_address,
}


def _returning_config(resolver: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a resolver so that its lists are OmegaConf's, without which `OmegaConf.resolve` refuses them."""

    def wrapped(*args: Any) -> Any:
        value = resolver(*args)
        return OmegaConf.create(value) if isinstance(value, list) else value

    return wrapped
