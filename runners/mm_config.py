"""From a job's config to the config that mmengine's Runner takes."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from runners.contract.errors import UserError
from runners.contract.metrics import Split
from runners.contract.records import AttemptSpec
from runners.contract.tuples import tuples_in
from runners.hooks.custom import KEY, listed_hooks
from runners.pipeline import import_transforms, with_pipeline
from runners.pretrained import place_weights, read_weights_only
from runners.sync_norm import without_synchronisation

# A warm-up of one iteration would leave mmengine's LinearLR at its first, tiny factor for good.
MIN_WARMUP_ITERATIONS = 2

# The warm-up may take this share of a run's iterations.
WARMUP_SHARE = 10


def build_mm_config(config: Mapping[str, Any], spec: AttemptSpec, work_dir: Path, n_train_images: int) -> Config:
    """Build the config of mmengine's Runner.

    Args:
        config: the job's resolved config (``config.yaml``).
        spec: device, workers and batch split of the attempt.
        work_dir: where mmengine may write.
        n_train_images: images that training goes through in one epoch.

    Raises:
        UserError: the precision does not run on the device.
    """
    read_weights_only()
    model, load_from = tuples_in(config, "model"), config["load_from"]
    if spec.n_devices == 1:
        model = without_synchronisation(model)
    if config["weights"]["name"] == "file":
        load_from = place_weights(model, load_from)
    has_val = config["dataset"]["val"] is not None
    has_test = config["dataset"]["test"] is not None
    return Config(
        {
            "default_scope": "mmdet",
            "work_dir": str(work_dir),
            "model": model,
            "train_dataloader": train_dataloader(config, spec),
            "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": config["n_epochs"], "val_interval": 1},
            "optim_wrapper": _optim_wrapper(config, spec),
            "param_scheduler": _param_scheduler(config, spec, n_train_images),
            "custom_hooks": _custom_hooks(config, spec),
            "val_dataloader": eval_dataloader(config, spec, "val") if has_val else None,
            "val_cfg": {"type": "ValLoop"} if has_val else None,
            "val_evaluator": evaluator(config, "val") if has_val else None,
            "test_dataloader": eval_dataloader(config, spec, "test") if has_test else None,
            "test_cfg": {"type": "TestLoop"} if has_test else None,
            "test_evaluator": evaluator(config, "test") if has_test else None,
            "randomness": {"seed": config["seed"]},
            "env_cfg": {"cudnn_benchmark": False, "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}},
            "load_from": load_from,
            "resume": False,
            "log_level": "INFO",
        }
    )


def train_dataloader(config: Mapping[str, Any], spec: AttemptSpec) -> dict[str, Any]:
    """Return the data loader of training: shuffled by the seed, images of one orientation together."""
    import_transforms()
    dataset = {**_dataset(config, "train"), "filter_cfg": dict(config["filter_cfg"])}
    mixed = with_pipeline(dataset, tuples_in(config, "pipeline.train"))
    wrapper = config.get("train_dataset")  # of a config of MMDetection that shows rare classes more often
    return {
        "batch_size": spec.batch_per_step,
        **_workers(spec),
        "sampler": {"type": "DefaultSampler", "shuffle": True, "seed": config["seed"]},
        "batch_sampler": {"type": "AspectRatioBatchSampler"},
        "dataset": {**wrapper, "dataset": mixed} if wrapper else mixed,
    }


def eval_dataloader(config: Mapping[str, Any], spec: AttemptSpec, split: Split) -> dict[str, Any]:
    """Return the data loader that evaluates a split: every image once, in the file's order, at the test size."""
    dataset = {**_dataset(config, split), "test_mode": True}
    return {
        "batch_size": 1,
        **_workers(spec),
        "drop_last": False,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": with_pipeline(dataset, tuples_in(config, "pipeline.test")),
    }


def evaluator(config: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """Return mmdet's own metric of a split; detsweep scores by itself, this is for who takes the config elsewhere."""
    ann_file = str(annotation_file(config, split))
    return {"type": "CocoMetric", "ann_file": ann_file, "metric": "bbox", "format_only": False}


def annotation_file(config: Mapping[str, Any], split: Split) -> Path:
    """Return the path of a split's annotations."""
    dataset = config["dataset"]
    return Path(dataset["root"], dataset[split]["ann_file"])


def _dataset(config: Mapping[str, Any], split: Split) -> dict[str, Any]:
    dataset = config["dataset"]
    return {
        "type": "CocoDataset",
        "data_root": dataset["root"],
        "ann_file": dataset[split]["ann_file"],
        "data_prefix": {"img": dataset[split]["image_dir"]},
        "metainfo": {"classes": tuple(dataset["classes"])},
    }


def _workers(spec: AttemptSpec) -> dict[str, Any]:
    # Several processes, one for each device, share the workers.
    n_workers = math.ceil(spec.n_workers / spec.n_devices)
    return {"num_workers": n_workers, "persistent_workers": n_workers > 0}


def _optim_wrapper(config: Mapping[str, Any], spec: AttemptSpec) -> dict[str, Any]:
    wrapper = {key: value for key, value in tuples_in(config, "optim_wrapper").items() if value is not None}
    if spec.accumulation > 1:
        wrapper["accumulative_counts"] = spec.accumulation
    return {**_precision(config["precision"], spec), **wrapper}


def _precision(precision: str, spec: AttemptSpec) -> dict[str, Any]:
    if precision == "fp32":
        return {"type": "OptimWrapper"}
    if precision == "bf16":
        # mmengine's own wrapper of mixed precision refuses the CPU.
        return {"type": "AutocastOptimWrapper", "dtype": "bfloat16"}
    if precision == "fp16":
        if spec.device == "cpu":
            raise UserError("precision not possible on this device in precision: fp16 on the CPU; take bf16 or fp32")
        return {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": "dynamic"}
    raise UserError(f"unknown value in precision: {precision}; choices: fp32, bf16, fp16")


def _param_scheduler(config: Mapping[str, Any], spec: AttemptSpec, n_train_images: int) -> list[dict[str, Any]]:
    """Return the schedule of the learning rate.

    What the config counts in optimizer steps is counted in forward passes here, as mmengine does, and ends after a
    tenth of the run at the latest. What a short run leaves no epoch for is left out.
    """
    n_iterations = config["n_epochs"] * math.ceil(n_train_images / spec.batch_per_step)
    schedule = []
    for entry in tuples_in(config, "param_scheduler"):
        if not entry.get("by_epoch", True):
            end = min(entry["end"] * spec.accumulation, n_iterations // WARMUP_SHARE)
            if end < MIN_WARMUP_ITERATIONS:
                continue
            entry = {**entry, "end": end}
        elif entry.get("begin", 0) >= entry.get("end", math.inf):
            continue
        schedule.append(dict(entry))
    return schedule


def _custom_hooks(config: Mapping[str, Any], spec: AttemptSpec) -> list[dict[str, Any]]:
    """Return the hooks that the config names; one that begins with an optimizer step begins with its first pass."""
    hooks = listed_hooks({KEY: tuples_in(config, KEY)} if KEY in config else {})
    return [
        {**hook, "begin_iter": hook["begin_iter"] * spec.accumulation} if "begin_iter" in hook else hook
        for hook in hooks
    ]
