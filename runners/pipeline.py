"""From the config's named stages to MMDetection's lists of transforms, and the one place that knows of mixed images."""

import importlib
from collections.abc import Mapping
from typing import Any

# Transforms of ours, and where they are; mmdet is imported with them, so not before somebody needs them.
OWN_TRANSFORMS = ("RandomRotate90",)
TRANSFORMS_MODULE = "runners.transforms"

# Transforms that take several images of the data set at once; mmdet runs them, and all that follows, in a wrapper.
MIXING_TRANSFORMS = ("Mosaic", "MixUp", "CachedMosaic", "CachedMixUp", "CopyPaste")

# Where YAML can only give a list and mmcv or mmdet insist on a tuple.
TUPLE_KEYS = (
    "betas",
    "border",
    "crop_size",
    "img_scale",
    "meta_keys",
    "min_gt_bbox_wh",
    "out_indices",
    "scale",
    "scaling_ratio_range",
)
LIST_OF_TUPLES_KEYS = ("img_scales", "scales")


def import_transforms() -> None:
    """Make our transforms known to MMDetection."""
    importlib.import_module(TRANSFORMS_MODULE)


def flat_stages(stages: Mapping[str, Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Return the transforms of a pipeline in order, without the stages that are left out.

    Args:
        stages: stage name to transform, or to None where the stage is left out.
    """
    return [dict(stage) for stage in stages.values() if stage is not None]


def with_pipeline(dataset: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return a data set that applies the stages, wrapped where one of them mixes several images.

    Args:
        dataset: a data set of mmdet, without a pipeline.
        stages: as in `flat_stages`.
    """
    transforms = flat_stages(stages)
    first_mixing = next((i for i, stage in enumerate(transforms) if stage["type"] in MIXING_TRANSFORMS), None)
    if first_mixing is None:
        return {**dataset, "pipeline": transforms}
    return {
        "type": "MultiImageMixDataset",
        "dataset": {**dataset, "pipeline": transforms[:first_mixing]},
        "pipeline": transforms[first_mixing:],
    }


def with_tuples(value: Any) -> Any:
    """Return a config with the tuples restored that YAML had to write as lists."""
    if isinstance(value, Mapping):
        return {key: _restored(key, with_tuples(entry)) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_tuples(entry) for entry in value)
    return value


def _restored(key: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if key in TUPLE_KEYS:
        return tuple(value)
    # The scales of an anchor generator have the same name and are plain numbers: those stay a list.
    if key in LIST_OF_TUPLES_KEYS and all(isinstance(entry, list) for entry in value):
        return [tuple(entry) for entry in value]
    return value
