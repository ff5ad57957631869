"""Training in reduced precision where mmengine's own wrapper refuses: bfloat16, on CPU and GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Runs forward passes under bfloat16 autocast; bfloat16 has float32's range, so that losses need no scaling.

    Args:
        dtype: only ``bfloat16``; float16 needs the loss scaling of mmengine's `AmpOptimWrapper`.
        **kwargs: as `OptimWrapper`.
    """

    def __init__(self, dtype: str = "bfloat16", **kwargs: Any) -> None:
        if dtype != "bfloat16":
            raise ValueError(f"dtype: wanted bfloat16, got {dtype!r}; float16 is trained by AmpOptimWrapper")
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Wrap one forward pass of training."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield


def keep_regions_exact(model: nn.Module) -> None:
    """Have regions of interest cut out at float32 coordinates under bfloat16 autocast.

    MMDetection casts the coordinates to the features' type, and bfloat16's 8 bits place a box near x = 500 within
    2 pixels at best. With float32 features the coordinates stay what they are.
    """

    def cast_features(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        features, *rest = inputs
        return (tuple(level.float() for level in features), *rest)

    for module in model.modules():
        if isinstance(module, BaseRoIExtractor):
            module.register_forward_pre_hook(cast_features)
