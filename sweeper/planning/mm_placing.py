"""A config of MMDetection put in the place of the groups that it stands for: the same shape as any job of ours.

What it replaces of the groups, and what of it a chosen group replaces, is said here and nowhere else.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from runners.contract.errors import UserError
from runners.contract.naming import GROUPS
from runners.contract.tuples import KEY as TUPLES
from runners.contract.tuples import find_departures, without_tuples
from sweeper.planning.mm_files import MmFile
from sweeper.planning.mm_model import (
    placed_weights,
    with_classes_of_data,
    with_placed_weights,
    without_pretrained,
    without_reading_keys,
    without_resized_batches,
)
from sweeper.planning.mm_pipeline import MmData, Stages, read_data, read_epoch
from sweeper.planning.mm_schedule import read_hooks, read_optimizer, read_schedule
from sweeper.planning.zoo_configs import zoo_checkpoint

# Groups that make a model of ours, and where the same is said of a config's own.
_OF_THE_MODEL = {
    "backbone": "model.backbone.depth=101",
    "neck": "model.neck.out_channels=128",
    "box_loss": "model.bbox_head.loss_bbox.loss_weight=2.0",
    "width": "model.neck.out_channels=64",
}
# What every job has, whatever its detector.
_KEPT = ("detector", "dataset")
# How an option is called where the config itself decides.
_OWN = "config"


def place_mm_file(config: DictConfig, file: MmFile, kind: str, chosen: Collection[str]) -> None:
    """Replace what a config says for itself in a composed one.

    Args:
        config: composed by Hydra, its own node included; it is changed.
        file: the config.
        kind: the option of the group `detector`.
        chosen: groups of which an option was asked for; where the config would decide, these do.

    Raises:
        UserError: groups that cannot be chosen beside it, or parts of it that no job can have; all of them.
    """
    problems = list(_choice_problems(kind, chosen))
    if problems:
        raise UserError(*problems)
    parts = _parts(replace(file, config=without_reading_keys(file.config)), kind, config, chosen)
    departures: dict[str, list[str]] = {}
    for key, value in parts.items():
        for way, places in find_departures(value, key).items():
            departures.setdefault(way, []).extend(places)
    if departures:
        parts[TUPLES] = departures
    with open_dict(config):
        for group in _OF_THE_MODEL:
            config.pop(group, None)
        for key, value in parts.items():
            config[key] = OmegaConf.create(without_tuples(value)) if isinstance(value, Mapping | list) else value
        config.detector.title = file.name
        for group in GROUPS:
            if group not in chosen and group not in _KEPT:
                config.hydra.runtime.choices.pop(group, None)


def _choice_problems(kind: str, chosen: Collection[str]) -> Iterator[str]:
    for group, example in _OF_THE_MODEL.items():
        if group in chosen:
            yield (
                f"group without effect in {group}: detector={kind} brings its own; change a field of it, such as "
                f"{example}, or take a detector of ours"
            )
    if "augment" in chosen and "image_size" not in chosen:
        yield (
            f"image size missing in augment: beside detector={kind} it is part of our pipelines, which replace the "
            "config's own; give image_size=512px with it, or change a stage by pipeline.train..."
        )


def _parts(file: MmFile, kind: str, config: DictConfig, chosen: Collection[str]) -> dict[str, Any]:
    """Return the top-level keys that the config decides; tuples are tuples.

    Raises:
        UserError: as `place_mm_file`.
    """
    problems: list[str] = []
    parts: dict[str, Any] = {"model": with_placed_weights(with_classes_of_data(file.config["model"]))}
    data: MmData | None = None
    if "image_size" in chosen:
        parts["model"] = without_resized_batches(parts["model"])
    else:
        try:
            data = read_data(file)
        except UserError as error:
            problems += error.problems
        else:
            problems += [] if data else [_missing(file, "data loaders", "image_size=512px")]
    if data is not None:
        parts |= {
            "pipeline": {"train": data.train, "test": data.test},
            "filter_cfg": data.filter_cfg,
            "image_size": _image_size(data.test),
            "augment": {"name": _OWN},
        }
    for part in (_optimization, _weights):
        try:
            parts |= part(file, kind, config, chosen, data, parts)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return parts


def _optimization(
    file: MmFile,
    kind: str,
    config: DictConfig,
    chosen: Collection[str],
    data: MmData | None,
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return optimizer, schedule and hooks."""
    epoch = read_epoch(file)
    placed: dict[str, Any] = {} if epoch.balance is None else {"train_dataset": epoch.balance}
    lr: float | None = None
    if "optimizer" not in chosen or file.config.get("optim_wrapper"):
        own = read_optimizer(file, epoch.batch_size)
        if own is None:
            raise UserError(_missing(file, "optim_wrapper", "optimizer=sgd"))
        lr = own.node["lr"]
        placed["optim_wrapper"] = own.wrapper
        if "optimizer" in chosen:
            composed = OmegaConf.to_container(config.optim_wrapper, resolve=False)
            assert isinstance(composed, dict)
            placed["optim_wrapper"] = {**own.wrapper, "optimizer": composed["optimizer"]}
        else:
            placed["optimizer"] = own.node
            placed["lr_effective"] = "${scale_lr:${optimizer.lr},${batch_size},${optimizer.base_batch_size}}"
    n_epochs = (file.config.get("train_cfg") or {}).get("max_epochs")
    if "schedule" not in chosen:
        schedule = read_schedule(file, epoch.n_repeats, lr)
        if schedule is None:
            raise UserError(_missing(file, "train_cfg", "schedule=1x"))
        placed |= {
            "schedule": {"name": _OWN},
            "n_epochs": schedule.n_epochs,
            "param_scheduler": schedule.entries,
        }
    hooks = read_hooks(file, n_epochs, epoch.n_repeats)
    if data is None:  # another pipeline than the config's is not switched to one of it
        hooks = {name: hook for name, hook in hooks.items() if "switch_pipeline" not in hook}
    told = OmegaConf.to_container(config.custom_hooks, resolve=False) if "custom_hooks" in config else {}
    assert isinstance(told, dict)
    said = {str(name): hook for name, hook in told.items() if hook is not None}
    placed["custom_hooks"] = {**dict.fromkeys(map(str, told)), **hooks, **said}
    return placed


def _weights(
    file: MmFile,
    kind: str,
    config: DictConfig,
    chosen: Collection[str],
    data: MmData | None,
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what is started from: the config's own choice, or that of the group `weights`."""
    model = parts["model"]
    if "weights" not in chosen:
        load_from = file.config.get("load_from")
        return {"weights": {"name": _OWN}, "load_from": placed_weights(load_from) if load_from else None}
    option = config.weights.name
    if option == "none":
        return {"model": without_pretrained(model, thawed=True), "load_from": None}
    if option == "file":
        return {"model": without_pretrained(model)}
    if option == "coco" and kind == "zoo":
        address = zoo_checkpoint(file.path)
        return {
            "model": without_pretrained(model),
            "weights": {"name": "coco", "model": file.name},
            "load_from": address,
        }
    raise UserError(
        f"weights without effect in weights={option}: detector={kind} says itself what it starts from; leave weights "
        "out, or give weights=none, or weights=file weights.path=..."
    )


def _image_size(test: Stages) -> dict[str, Any]:
    """Return the group's node for a pipeline of the config's own: it follows the last stage that resizes to a size."""
    for name, stage in reversed(test.items()):
        at, scale = f"pipeline.test.{name}", stage.get("scale")
        if isinstance(scale, list | tuple) and len(scale) == 2 and all(isinstance(side, int) for side in scale):
            keep = {"keep_ratio": f"${{{at}.keep_ratio}}"} if "keep_ratio" in stage else {}
            named = f"${{{at}.scale.0}}x${{{at}.scale.1}}px"
            return {"name": named, "scale": f"${{{at}.scale}}", **keep}
    return {"name": "its own size"}


def _missing(file: MmFile, what: str, advice: str) -> str:
    return f"no {what} in {file.path}: it is a part of a config; give {advice}, or a whole config"
