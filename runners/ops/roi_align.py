"""RoIAlign as mmcv calls it, on torchvision's kernels (CPU and CUDA): results are written into the caller's tensors."""

import torch
import torchvision  # registers torch.ops.torchvision
from torch import Tensor

AVERAGE = 1  # mmcv's number of the pooling mode; 0 would be the maximum

assert torchvision.extension._has_ops(), "torchvision was installed without its compiled operators"


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Pool regions of a feature map.

    Args:
        features: (B, C, H, W).
        rois: (N, 5): index in the batch, then xyxy in input pixels.
        output: (N, C, aligned_height, aligned_width), filled in.
        argmax_y: unused by average pooling.
        argmax_x: unused by average pooling.
        aligned_height: bins per region, vertically.
        aligned_width: bins per region, horizontally.
        spatial_scale: feature cells per input pixel.
        sampling_ratio: samples per bin and axis, 0 for as many as fit.
        pool_mode: mmcv's number; only average (1) is served.
        aligned: shift by half a cell, as Detectron2 does.

    Raises:
        NotImplementedError: another pooling than average was asked for.
    """
    _require_average(pool_mode)
    # Reduced types are computed in float32: the CPU has no bfloat16 kernel, and coordinates need the precision.
    pooled = torch.ops.torchvision.roi_align(
        features.float() if features.dtype != torch.float64 else features,
        rois.to(torch.float64 if features.dtype == torch.float64 else torch.float32),
        spatial_scale,
        aligned_height,
        aligned_width,
        sampling_ratio,
        aligned,
    )
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `grad_input` (B, C, H, W) from `grad_output` (N, C, aligned_height, aligned_width); else as the forward."""
    _require_average(pool_mode)
    dtype = torch.float64 if grad_output.dtype == torch.float64 else torch.float32
    batch, channels, height, width = grad_input.shape
    gradient = torch.ops.torchvision._roi_align_backward(
        grad_output.to(dtype),
        rois.to(dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        batch,
        channels,
        height,
        width,
        sampling_ratio,
        aligned,
    )
    grad_input.copy_(gradient)


def _require_average(pool_mode: int) -> None:
    if pool_mode != AVERAGE:
        raise NotImplementedError("RoIAlign with pool_mode='max' is not served; use 'avg', mmdet's default")
