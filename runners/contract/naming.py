"""How a job is called, and the plain columns that describe it in tables and in the tracking store."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Columns of the tracking store that are choices of a config group, in the order in which tables show them.
GROUPS = (
    "detector",
    "backbone",
    "neck",
    "box_loss",
    "image_size",
    "augment",
    "optimizer",
    "schedule",
    "weights",
    "width",
    "dataset",
)

# Choices that a title leaves out because it is understood; another choice of these groups is added to the title.
USUAL = {"box_loss": "zoo", "augment": "flip", "schedule": "1x", "weights": "imagenet", "width": "standard"}

# Options that say too little without their group.
SPOKEN = {
    ("weights", "none"): "scratch",
    ("weights", "coco"): "coco-weights",
    ("weights", "file"): "own-weights",
    ("augment", "none"): "no-augment",
}

# Detectors that are a config of MMDetection, called by its name.
READ_DETECTORS = ("file", "zoo")
# The setting that says which.
DETECTOR_CONFIG = "detector.config"

# Told apart only where a sweep holds several, and always last.
REPLICATE_KEYS = ("fold", "seed")


def run_params(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of one job.

    Args:
        config: a job's resolved config (``config.yaml``).
    """
    params = {group: str(config["choices"][group]) for group in GROUPS if group in config["choices"]}
    if is_read(config):
        params["detector"] = config["detector"]["title"]
        params["detector_config"] = config["detector"]["config"]
    params["dataset"] = dataset_name(config)
    params["lr"] = f"{config['optimizer']['lr']:g}"
    params["lr_effective"] = f"{config['lr_effective']:g}"
    pretraining = (config.get("backbone") or {}).get("pretraining")
    # Of weights that come from elsewhere nobody knows, and none have no pretraining.
    if pretraining is not None and params.get("weights") == "imagenet":
        params["pretraining"] = str(pretraining)
    for key in ("batch_size", "n_epochs", "precision", "best_by", "seed", "fold"):
        if config.get(key) is not None:
            params[key] = str(config[key])
    return params


def job_columns(config: Mapping[str, Any], varied: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of one job in its sweep; a detector that is a config of MMDetection has its name.

    Args:
        config: a job's resolved config.
        varied: its place on the sweep's axes.
    """
    params = run_params(config)
    named = {"detector": params["detector"]} if is_read(config) else {}
    return {**params, **varied, **named}


def is_read(config: Mapping[str, Any]) -> bool:
    """Whether a job is trained by a config of MMDetection, and not by one of our own groups."""
    return (config.get("choices") or {}).get("detector") in READ_DETECTORS


def dataset_name(config: Mapping[str, Any]) -> str:
    """Return what a job's data set is called: a folder of one's own by its name, the others by their option."""
    name = str(config["dataset"]["name"])
    return Path(config["dataset"]["root"]).name if name == "coco" else name


def base_title(config: Mapping[str, Any]) -> str:
    """Return the study's name of a job, ``faster-rcnn_resnet50_fpn_sgd_512``, unusual choices added behind."""
    choices = {group: str(choice) for group, choice in config["choices"].items()}
    if is_read(config):
        # All that was chosen beside it replaces something of its own.
        chosen = [
            pair for pair in choices.items() if pair[0] not in ("detector", "dataset") and pair != ("augment", "flip")
        ]
        return "_".join([config["detector"]["title"], *(_spoken(pair, config).removesuffix("px") for pair in chosen)])
    named = [choices[group] for group in ("detector", "backbone", "neck", "optimizer")]
    named[0] = named[0].replace("_", "-")
    named.append(choices["image_size"].removesuffix("px"))
    unusual = [(group, choice) for group, choice in choices.items() if group in USUAL and choice != USUAL[group]]
    named += [_spoken(pair, config) for pair in unusual]
    return "_".join(named)


def _spoken(choice: tuple[str, str], config: Mapping[str, Any]) -> str:
    """Return an option in a title; a schedule that is named after its epochs (``4e``) with those that are trained."""
    group, option = choice
    if group == "schedule" and re.fullmatch(r"\d+e", option):
        return f"{config['n_epochs']}e"
    return SPOKEN.get(choice, option)


def titles(configs: Sequence[Mapping[str, Any]], overrides: Sequence[Mapping[str, str]]) -> list[str]:
    """Return one title per job, told apart by what the sweep varies; fold and seed come last.

    Args:
        configs: the jobs' resolved configs.
        overrides: for each job the axes' keys and values (``{"optimizer.lr": "0.01", "seed": "1"}``).
    """
    said = (*GROUPS, DETECTOR_CONFIG)  # by the title itself
    varied = [key for key in _keys(overrides) if key not in said and len({job.get(key) for job in overrides}) > 1]
    keys = [key for key in varied if key not in REPLICATE_KEYS]
    named = []
    for config, job in zip(configs, overrides, strict=True):
        parts = [base_title(config)]
        parts += [f"{key.rpartition('.')[2]}={job[key]}" for key in keys if key in job]
        parts += [f"{key}{config[key]}" for key in REPLICATE_KEYS if key in varied and config.get(key) is not None]
        named.append("_".join(parts))
    counts = Counter(named)
    # The same title twice can only come from axes that no title shows; the job's number keeps tables readable.
    return [f"{title}_{number}" if counts[title] > 1 else title for number, title in enumerate(named, start=1)]


def _keys(overrides: Sequence[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for job in overrides for key in job))
