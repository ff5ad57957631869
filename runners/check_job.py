"""Trying a job out in seconds: its real model, optimizer and pipelines take one training and one validation step."""

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from runners.complexity import count_parameters
from runners.contract import metrics as names
from runners.contract.folder import AttemptFolder
from runners.contract.metrics import metric
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from runners.dataset import use_strict_datasets
from runners.failures import DivergedError
from runners.hooks.custom import call_custom
from runners.hooks.validation import validating
from runners.mm_config import annotation_file, eval_dataloader
from runners.needed_ops import ops_of, told
from runners.training import JobRunner, build_runner, build_train_loader
from runners.val_loss import shared_features, validation_losses

LONGEST_SIDE_PX = 128
BATCH = 2

# Share of the learning rate in the one step: what a warm-up begins with. All of it throws random weights so far that
# some detectors' validation is no number.
FIRST_LR = 1e-3

# A detector with queries may take as many of the image's cells for a start, on four levels from a stride of 8 on: this
# many pixels of the longer side, times the root of their number, have them in an image twice as wide as high.
PX_PER_ROOT_OF_QUERIES = 12


def check_job(folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec) -> AttemptResult:
    """Build the job, and take a step of training and one of validation on two of its own images, scaled down.

    Nothing is downloaded or loaded: the weights are random.

    Args:
        folder: the attempt.
        config: the job's config.
        spec: the attempt's spec; batch and workers are the check's own.

    Raises:
        DivergedError: a loss is negative or not finite.
        DataError: an image cannot be used.
    """
    images = folder.path / "check_images.json"
    images.write_text(json.dumps(_images_with_objects(config, BATCH), ensure_ascii=False), encoding="utf-8")
    try:
        tried = _tried_config(config, images)
        tried_spec = dataclasses.replace(spec, n_workers=0, batch_per_step=BATCH, accumulation=1)
        loader = build_train_loader(tried, tried_spec)
        runner, _ = build_runner(tried, tried_spec, loader, hooks=[])
        side_px = longest_side_px(config["model"])
        values = _training_step(runner, loader, side_px)
        with validating(runner) as validation:
            values |= _validation_step(runner, tried, tried_spec, side_px)
            validation.metrics = values
    finally:
        images.unlink()
    values[names.PARAMETERS_M] = count_parameters(runner.model) / 1e6
    operators = told(ops_of(config["model"]))
    return AttemptResult(
        folder.number,
        AttemptOutcome.COMPLETED,
        metrics=values,
        notes=[operators] if operators else [],
        finished_at=time.time(),
    )


def longest_side_px(model: Mapping[str, Any]) -> int:
    """Return the size at which a model is tried out, in pixels: small, and large enough for its queries.

    One whose layers are made for a size, as SSD's, is tried at that.
    """
    for_queries = math.ceil(PX_PER_ROOT_OF_QUERIES * math.sqrt(_largest(model, "num_queries")))
    return max(LONGEST_SIDE_PX, for_queries, _largest(model, "input_size"))


def _largest(value: Any, wanted: str) -> int:
    """Return the largest whole number that a key of this name has in a config, 0 without any."""
    if isinstance(value, Mapping):
        own = value.get(wanted)
        return max([own if isinstance(own, int) else 0, *(_largest(entry, wanted) for entry in value.values())])
    if isinstance(value, list | tuple):
        return max((_largest(entry, wanted) for entry in value), default=0)
    return 0


def _tried_config(config: Mapping[str, Any], ann_file: Path) -> dict[str, Any]:
    """Return the config without weights to start from, its batches small, with other annotations to train on."""
    dataset = {**config["dataset"], "train": {**config["dataset"]["train"], "ann_file": str(ann_file.resolve())}}
    return {**config, "dataset": dataset, "model": _tried_model(config["model"]), "load_from": None}


def _tried_model(model: Mapping[str, Any]) -> dict[str, Any]:
    tried: dict[str, Any] = without_pretrained(model)
    preprocessor = tried.get("data_preprocessor")
    if isinstance(preprocessor, Mapping):
        # They would scale or pad the images to a size of training's again.
        tried["data_preprocessor"] = {key: preprocessor[key] for key in preprocessor if key != "batch_augments"}
    return tried


def _images_with_objects(config: Mapping[str, Any], number: int) -> dict[str, Any]:
    truth = json.loads(annotation_file(config, "train").read_bytes())
    chosen = set(list(dict.fromkeys(annotation["image_id"] for annotation in truth["annotations"]))[:number])
    return {
        "images": [image for image in truth["images"] if image["id"] in chosen],
        "annotations": [annotation for annotation in truth["annotations"] if annotation["image_id"] in chosen],
        "categories": truth["categories"],
    }


def without_pretrained(value: Any) -> Any:
    """Return a model's config without the checkpoints that its parts would be loaded from."""
    if isinstance(value, Mapping):
        # Some of the older backbones have the address as a setting of their own, PVT a file without a type.
        return {
            key: without_pretrained(entry)
            for key, entry in value.items()
            if not _is_pretrained(entry)
            and not (key == "pretrained" and isinstance(entry, str))
            and not (key == "init_cfg" and isinstance(entry, Mapping) and "checkpoint" in entry)
        }
    if isinstance(value, list | tuple):
        return type(value)(without_pretrained(entry) for entry in value if not _is_pretrained(entry))
    return value


def _is_pretrained(init: Any) -> bool:
    return isinstance(init, Mapping) and init.get("type") == "Pretrained"


def _training_step(runner: JobRunner, loader: DataLoader[Any], side_px: int) -> dict[str, float]:
    """Take one step, telling the hooks that the config names what they are told around it."""
    runner.model.init_weights()
    runner.model.train()
    _take_statistics_of_batch(runner.model)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    for group in runner.optim_wrapper.param_groups:
        group["lr"] *= FIRST_LR
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    for moment in ("before_run", "before_train", "before_train_epoch"):
        call_custom(runner, moment)
    batch = _scaled_down(next(iter(loader)), side_px, is_truth_resized=True)
    call_custom(runner, "before_train_iter", batch_idx=0, data_batch=batch)
    losses = runner.model.train_step(batch, runner.optim_wrapper)
    call_custom(runner, "after_train_iter", batch_idx=0, data_batch=batch, outputs=losses)
    return _checked("train", losses)


def _take_statistics_of_batch(model: nn.Module) -> None:
    """Have batch normalisation keep the statistics of the next batch alone, frozen layers too.

    Random weights have none of their own, and without them a deep network's numbers grow beyond all bounds.
    """
    for module in model.modules():
        # PyTorch takes no statistics with an eps of 0, which NAS-FCOS's frozen layers have.
        if isinstance(module, _BatchNorm) and module.eps > 0:
            module.momentum = 1.0
            module.train()


def _validation_step(runner: JobRunner, config: Mapping[str, Any], spec: AttemptSpec, side_px: int) -> dict[str, float]:
    loader_config = eval_dataloader(config, spec, "train")
    use_strict_datasets(loader_config)
    batch = _scaled_down(next(iter(Runner.build_dataloader(loader_config))), side_px, is_truth_resized=False)
    model = runner.model.eval()
    with torch.no_grad(), shared_features(model):
        data = model.data_preprocessor(batch, False)
        has_loss = config["evaluation"]["val_loss"]
        losses = validation_losses(model, data["inputs"], data["data_samples"]) if has_loss else {}
        model(data["inputs"], data["data_samples"], mode="predict")
    return _checked("val", losses)


def _checked(split: names.Split, losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the losses under their full names.

    Raises:
        DivergedError: one is negative or not finite.
    """
    values = {metric(split, name): float(value) for name, value in losses.items() if "loss" in name}
    wrong = [name for name, value in values.items() if not (math.isfinite(value) and value >= 0)]
    if wrong:
        # The sum comes first and is wrong if any part of it is: the last one says more.
        raise DivergedError(
            f"{wrong[-1]} is {values[wrong[-1]]:.4g} in the first step; losses are finite and at least 0"
        )
    return values


def _scaled_down(batch: dict[str, Any], side_px: int, *, is_truth_resized: bool) -> dict[str, Any]:
    """Scale a batch of images, as a data loader gives it, to a longer side of at most so many pixels.

    Args:
        batch: ``inputs`` (each (3, H, W), uint8) and ``data_samples``.
        side_px: the longer side.
        is_truth_resized: whether the boxes are in pixels of the inputs (training) or of the original image (test).
    """
    inputs = []
    for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        factor = min(1.0, side_px / max(image.shape[-2:]))
        small = interpolate(image[None].float(), scale_factor=factor, mode="bilinear")[0].round().to(image.dtype)
        inputs.append(small)
        if is_truth_resized:
            for instances in (sample.gt_instances, sample.ignored_instances):
                instances.bboxes.rescale_((factor, factor))
                if "masks" in instances:
                    instances.masks = instances.masks.resize(tuple(small.shape[-2:]))
                if "masks" in instances:
                    instances.masks = instances.masks.resize(small.shape[-2:])
        sample.set_metainfo({"img_shape": tuple(small.shape[-2:])})
        if "scale_factor" in sample:  # a mixed image has none
            width_factor, height_factor = sample.scale_factor
            sample.set_metainfo({"scale_factor": (width_factor * factor, height_factor * factor)})
    return {"inputs": inputs, "data_samples": batch["data_samples"]}
