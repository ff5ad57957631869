"""The optimizer, the schedule and the hooks of a config of MMDetection in our dialect.

Learning rates follow ``optimizer.lr``, which is the config's own for the config's own batch, and epochs follow
``n_epochs``: what happens after two thirds of 300 epochs happens after two thirds of any other number.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.contract.errors import UserError
from sweeper.planning.mm_files import MmFile
from sweeper.planning.mm_pipeline import snake_case
from sweeper.planning.mm_refusals import without_scope

# mmdet's own runs are on eight GPUs.
N_GPUS = 8

# Of an optimizer's arguments, those that have short keys of their own.
_SHORT_KEYS = ("weight_decay", "momentum", "betas")
# Of an optimizer's wrapper, what the precision and the split of the batch decide in a job.
_NOT_THE_FILES = ("type", "optimizer", "loss_scale", "dtype", "accumulative_counts")
_EPOCH_KEYS = ("begin", "end", "T_max", "step_size")
# Learning rates that stand in a schedule as such.
_RATE_KEYS = ("eta_min", "eta_max")
_WARM_UPS = ("LinearLR", "ConstantLR", "QuadraticWarmupLR", "ExponentialLR")
_NO_SCHEDULES = {
    "ReduceOnPlateauLR": "waits for a validation of mmengine's own",
    "OneCycleLR": "counts the steps of a whole run",
}
_HOOK_EPOCHS = ("switch_epoch", "num_last_epochs", "begin_epoch")

# Hooks that log, draw, check or save, which is all done already, and those of mmengine's own validation.
_HOOKS_LEFT_OUT = (
    "CheckInvalidLossHook",
    "CheckpointHook",
    "DetVisualizationHook",
    "DistSamplerSeedHook",
    "IterTimerHook",
    "LoggerHook",
    "MemoryProfilerHook",
    "NaiveVisualizationHook",
    "NumClassCheckHook",
    "ParamSchedulerHook",
    "ProfilerHook",
    "RuntimeInfoHook",
    "SyncBuffersHook",
    "SyncNormHook",
)
_HOOK_NAMES = {"EMAHook": "ema"}


@dataclass(frozen=True)
class MmOptimizer:
    """How a config optimizes.

    Attributes:
        node: the short keys: ``lr``, the batch that it is given for, and what else has one.
        wrapper: the optimizer's wrapper, without its precision; the optimizer follows the short keys.
    """

    node: dict[str, Any]
    wrapper: dict[str, Any]


@dataclass(frozen=True)
class MmSchedule:
    """How long a config trains, and how its learning rate goes.

    Attributes:
        n_epochs: passes through the data.
        entries: the schedule; epochs follow ``n_epochs``, rates ``lr_effective``.
    """

    n_epochs: int
    entries: list[dict[str, Any]]


def read_optimizer(file: MmFile, batch_size: int) -> MmOptimizer | None:
    """Return how a config optimizes; None if it does not say so.

    Args:
        file: the config.
        batch_size: images on each of its devices.

    Raises:
        UserError: it has several optimizers, or no learning rate.
    """
    wrapper = file.config.get("optim_wrapper")
    if wrapper is None:
        return None
    optimizer = wrapper.get("optimizer") if isinstance(wrapper, Mapping) else None
    lr = optimizer.get("lr") if isinstance(optimizer, Mapping) else None
    if (
        not isinstance(optimizer, Mapping)
        or not isinstance(lr, int | float)
        or not isinstance(optimizer.get("type"), str)
    ):
        raise UserError(
            f"no single optimizer in {file.path}: optim_wrapper.optimizer has no type and lr; give optimizer=sgd or "
            "another of ours"
        )
    base = base_batch(file, batch_size)
    short = {key: optimizer[key] for key in _SHORT_KEYS if key in optimizer}
    node = {"name": optimizer["type"].lower(), "lr": lr, "base_batch_size": base, **short}
    followed = {"lr": "${lr_effective}", **{key: f"${{optimizer.{key}}}" for key in short}}
    rest = {key: value for key, value in wrapper.items() if key not in _NOT_THE_FILES}
    return MmOptimizer(node, {"clip_grad": None, **rest, "optimizer": {**optimizer, **followed}})


def base_batch(file: MmFile, batch_size: int) -> int:
    """Return the images in one step of a config's own runs, for which its learning rate is meant.

    Its name says it (``8xb32``), or `auto_scale_lr`; that is often inherited from a base of another batch, and believed
    only if it is a multiple of what each device has. Else it is eight devices.
    """
    named = re.search(r"(?:^|[_-])(\d+)xb(\d+)(?:[_-]|$)", file.name)
    if named is not None and int(named[2]) == batch_size:
        return int(named[1]) * batch_size
    told = (file.config.get("auto_scale_lr") or {}).get("base_batch_size")
    if isinstance(told, int) and told > batch_size and told % batch_size == 0:
        return told
    return N_GPUS * batch_size


def read_schedule(file: MmFile, n_repeats: int, lr: float | None) -> MmSchedule | None:
    """Return how long a config trains and how; None if it does not say so.

    Args:
        file: the config.
        n_repeats: how often one of its epochs goes through the data; that many of ours are one of its own.
        lr: its learning rate; None if it has none.

    Raises:
        UserError: it counts iterations, or has a schedule that no other number of epochs can follow.
    """
    loop = file.config.get("train_cfg")
    if not isinstance(loop, Mapping):
        return None
    n_epochs = loop.get("max_epochs")
    if without_scope(loop.get("type", "EpochBasedTrainLoop")) != "EpochBasedTrainLoop" or not isinstance(n_epochs, int):
        told = f"max_iters={loop['max_iters']}" if "max_iters" in loop else "no max_epochs"
        raise UserError(
            f"schedule in iterations in {file.path}: {loop.get('type', 'train_cfg')} with {told}, and how many epochs "
            "of your data that would be is not said; give schedule=1x (or 2x) and n_epochs=..."
        )
    given = file.config.get("param_scheduler") or []
    entries = [given] if isinstance(given, Mapping) else list(given)
    problems = [_entry_problem(file, entry) for entry in entries]
    if any(problems):
        raise UserError(*(problem for problem in problems if problem))
    return MmSchedule(n_epochs * n_repeats, [_entry(entry, n_epochs, n_repeats, lr) for entry in entries])


def read_hooks(file: MmFile, n_epochs: int | None, n_repeats: int) -> dict[str, dict[str, Any]]:
    """Return the hooks of a config that change its training, by name; epochs in them follow ``n_epochs``.

    Args:
        file: the config.
        n_epochs: its epochs; None if it does not say so.
        n_repeats: as for `read_schedule`.
    """
    hooks: dict[str, dict[str, Any]] = {}
    for hook in file.config.get("custom_hooks") or []:
        kind = without_scope(hook["type"])
        if kind in _HOOKS_LEFT_OUT:
            continue
        name = _HOOK_NAMES.get(kind) or snake_case(kind.removesuffix("Hook"))
        n_alike = sum(re.fullmatch(rf"{name}(_\d+)?", known) is not None for known in hooks)
        hooks[f"{name}_{n_alike + 1}" if n_alike else name] = {
            key: _epoch(value, n_epochs, n_repeats) if key in _HOOK_EPOCHS and n_epochs is not None else value
            for key, value in hook.items()
        }
    return hooks


def _entry_problem(file: MmFile, entry: Mapping[str, Any]) -> str | None:
    kind = without_scope(entry.get("type"))
    advice = "give schedule=1x (or 2x), with n_epochs=... for another length"
    if kind in _NO_SCHEDULES:
        return f"schedule not possible in {file.path}: {kind} {_NO_SCHEDULES[kind]}; {advice}"
    is_warm_up = kind in _WARM_UPS and not entry.get("begin") and isinstance(entry.get("end"), int)
    if not entry.get("by_epoch", True) and not is_warm_up:
        return f"schedule in iterations in {file.path}: {kind} with by_epoch=False; {advice}"
    return None


def _entry(entry: Mapping[str, Any], n_epochs: int, n_repeats: int, lr: float | None) -> dict[str, Any]:
    placed = dict(entry)
    for key in _RATE_KEYS:
        if lr and isinstance(entry.get(key), int | float) and entry[key]:
            placed[key] = f"${{in_proportion:{entry[key]!r},{lr!r},${{lr_effective}}}}"
    if not entry.get("by_epoch", True):
        return placed
    for key in _EPOCH_KEYS:
        if isinstance(entry.get(key), int):
            placed[key] = _epoch(entry[key], n_epochs, n_repeats)
    if isinstance(entry.get("milestones"), Sequence):
        own = [milestone * n_repeats for milestone in entry["milestones"]]
        placed["milestones"] = f"${{epochs_of:{own},{n_epochs * n_repeats},${{n_epochs}}}}"
    return placed


def _epoch(value: Any, n_epochs: int, n_repeats: int) -> Any:
    """Return an epoch of the config as one of a run of any length."""
    if not isinstance(value, int) or not value:
        return value
    if value == n_epochs:
        return "${n_epochs}"
    return f"${{epoch_of:{value * n_repeats},{n_epochs * n_repeats},${{n_epochs}}}}"
