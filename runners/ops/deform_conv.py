"""Deformable convolution (v1) as mmcv calls it: results are written into the caller's tensors.

How many images mmcv unfolds at once (`im2col_step`) does not change them.
"""
# ruff: noqa: N803 - the arguments are named as mmcv names them

import torch
from torch import Tensor

from runners.ops.deformable_kernels import Geometry, convolve, gradients_of


def deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Convolve with kernels whose cells are shifted.

    Args:
        features: (B, C, H, W).
        weight: (O, C / group, kH, kW).
        offset: (B, deformable_group * kH * kW * 2, H', W'): (y, x) of each cell, in cells of the features.
        output: (B, O, H', W'), filled in.
        columns: mmcv's scratch, unused.
        ones: mmcv's scratch, unused.
        kW: width of the kernel, as in its weight; likewise `kH`.
        kH: height of the kernel.
        dW: horizontal stride.
        dH: vertical stride.
        padW: zeros on the left and on the right.
        padH: zeros above and below.
        dilationW: horizontal distance of the kernel's cells.
        dilationH: vertical distance of the kernel's cells.
        group: groups of input and output channels.
        deformable_group: groups of input channels that share offsets.
        im2col_step: images at once, without influence on the result.
    """
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    output.copy_(convolve(features, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    features: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill `grad_input` (B, C, H, W) and `grad_offset`, of the offset's shape; the rest as in the forward."""
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    of_features, _, of_offset, _, _ = gradients_of(grad_output, features, weight, offset, None, None, geometry)
    grad_input.copy_(of_features)
    grad_offset.copy_(of_offset)


def deform_conv_backward_parameters(
    features: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add `scale` times the weight's gradient to `grad_weight` (O, C / group, kH, kW); the rest as in the forward."""
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    # The weight's own gradient does not depend on the weight, which mmcv does not hand over here.
    weight = torch.zeros_like(grad_weight)
    _, of_weight, _, _, _ = gradients_of(grad_output, features, weight, offset, None, None, geometry)
    grad_weight.add_(of_weight.to(grad_weight.dtype), alpha=scale)
