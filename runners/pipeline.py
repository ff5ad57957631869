"""From the config's named stages to MMDetection's lists of transforms, and the one place that knows of mixed images."""

import importlib
from collections.abc import Mapping
from typing import Any

# Transforms of ours, and where they are; mmdet is imported with them, so not before somebody needs them.
OWN_TRANSFORMS = ("RandomRotate90",)
TRANSFORMS_MODULE = "runners.transforms"

# Transforms that take several images of the data set at once; mmdet runs them, and all that follows, in a wrapper.
# Those with a cache of their own (CachedMosaic, CachedMixUp) take one image like any other.
MIXING_TRANSFORMS = ("Mosaic", "MixUp", "CopyPaste")


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
