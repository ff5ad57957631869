"""What a detector costs per pixel and per region of interest: the numbers that a sweep's estimates are made from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import Tensor

from runners.activations import count_saved_bytes
from runners.complexity import count_multiply_adds, count_parameters
from runners.contract.tuples import with_tuples

# Everything grows with the pixels, so two sizes tell; Swin pads its windows, which small images feel more.
_COUNTED_PX = (384, 768)
_SAVED_PX = (256, 512)


def count_complexity(model: Mapping[str, Any], thawed: Mapping[str, Any]) -> dict[str, float]:
    """Return the columns of ``sweeper/forecast/complexity.csv`` for one detector.

    Args:
        model: a detector's config as a job has it, its backbone frozen as far as pretrained weights are.
        thawed: the same with nothing frozen.
    """
    built = _build(model)
    has_rois = "roi_head" in model
    n_proposals = model["test_cfg"]["rpn"]["max_per_img"] if has_rois else 0
    n_rois = _n_rois(model["train_cfg"]["rcnn"]) if has_rois else 0
    adds, adds_fixed = _line(lambda inputs: count_multiply_adds(built, inputs), _COUNTED_PX)
    saved, saved_fixed = _line(lambda inputs: count_saved_bytes(built, inputs, n_rois), _SAVED_PX)
    saved_thawed = saved
    if thawed["backbone"].get("frozen_stages") != model["backbone"].get("frozen_stages"):  # a Swin has nothing frozen
        unfrozen = _build(thawed)
        saved_thawed, _ = _line(lambda inputs: count_saved_bytes(unfrozen, inputs, n_rois), _SAVED_PX)
    values = {
        "parameters_m": count_parameters(built) / 1e6,
        "adds_g_per_mpx": adds / 1e3,
        "adds_m_per_proposal": adds_fixed / n_proposals / 1e6 if has_rois else 0.0,
        "saved_b_per_px": saved,
        "saved_b_per_px_thawed": saved_thawed,
        "saved_kb_per_roi": saved_fixed / n_rois / 1e3 if has_rois else 0.0,
    }
    return {name: float(f"{value:.5g}") for name, value in values.items()}


def _build(model: Mapping[str, Any]) -> BaseDetector:
    init_default_scope("mmdet")
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(with_tuples(model)))


def _n_rois(rcnn: Any) -> int:
    stage = rcnn[0] if isinstance(rcnn, list) else rcnn
    return int(stage["sampler"]["num"])


def _line(count: Callable[[Tensor], int], sides_px: Sequence[int]) -> tuple[float, float]:
    """Return slope per pixel and value at no pixel of what was counted at two sizes."""
    (small, at_small), (large, at_large) = ((side**2, count(torch.zeros(1, 3, side, side))) for side in sides_px)
    slope = (at_large - at_small) / (large - small)
    return slope, at_small - slope * small
