"""Deformable convolution, plain (v1) and modulated (v2), as mmcv calls it, on torchvision's kernels (CPU and CUDA).

torchvision took its kernels from the same source as mmcv: a kernel's offsets come as (y, x) pairs, deformable group by
deformable group. Results are written into the caller's tensors. How many images mmcv unfolds at once (`im2col_step`)
does not change them.
"""
# ruff: noqa: N803 - the arguments are named as mmcv names them

from dataclasses import dataclass

import torch
import torchvision  # registers torch.ops.torchvision
from torch import Tensor

from runners.ops.dtypes import computed_in

assert torchvision.extension._has_ops(), "torchvision was installed without its compiled operators"


@dataclass(frozen=True)
class _Geometry:
    """How the kernel moves; each pair is (vertical, horizontal)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    deform_groups: int

    def arguments(self) -> tuple[int, ...]:
        return (*self.stride, *self.padding, *self.dilation, self.groups, self.deform_groups)


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
    geometry = _Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    output.copy_(_forward(features, weight, offset, None, None, geometry))


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
    geometry = _Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    of_features, _, of_offset, _, _ = _backward(grad_output, features, weight, offset, None, None, geometry)
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
    geometry = _Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    # The weight's own gradient does not depend on the weight, which mmcv does not hand over here.
    weight = torch.zeros_like(grad_weight)
    _, of_weight, _, _, _ = _backward(grad_output, features, weight, offset, None, None, geometry)
    grad_weight.add_(of_weight.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Convolve with kernels whose cells are shifted and weighted.

    Args:
        features: (B, C, H, W).
        weight: (O, C / group, kernel_h, kernel_w).
        bias: (O,); anything without `with_bias`.
        ones: mmcv's scratch, unused.
        offset: (B, deformable_group * kernel_h * kernel_w * 2, H', W'), as in `deform_conv_forward`.
        mask: (B, deformable_group * kernel_h * kernel_w, H', W'): the weight of each cell.
        output: (B, O, H', W'), filled in.
        columns: mmcv's scratch, unused.
        kernel_h: height of the kernel, as in its weight.
        kernel_w: width of the kernel.
        stride_h: vertical stride.
        stride_w: horizontal stride.
        pad_h: zeros above and below.
        pad_w: zeros on the left and on the right.
        dilation_h: vertical distance of the kernel's cells.
        dilation_w: horizontal distance of the kernel's cells.
        group: groups of input and output channels.
        deformable_group: groups of input channels that share offsets and masks.
        with_bias: whether the bias is added.
    """
    geometry = _Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    output.copy_(_forward(features, weight, offset, mask, bias if with_bias else None, geometry))


def modulated_deform_conv_backward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill the gradients, each of its tensor's shape (the bias's only `with_bias`); the rest as in the forward."""
    geometry = _Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    found = _backward(grad_output, features, weight, offset, mask, bias if with_bias else None, geometry)
    for target, gradient in zip((grad_input, grad_weight, grad_offset, grad_mask), found, strict=False):
        target.copy_(gradient)
    if with_bias:
        grad_bias.copy_(found[-1])


def _forward(
    features: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: _Geometry
) -> Tensor:
    operands = _operands(features, weight, offset, mask, bias)
    output: Tensor = torch.ops.torchvision.deform_conv2d(*operands, *geometry.arguments(), mask is not None)
    return output


def _backward(
    grad_output: Tensor,
    features: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: _Geometry,
) -> tuple[Tensor, ...]:
    """Return the gradients of features, weight, offset, mask and bias; the last two are void without mask and bias."""
    operands = _operands(features, weight, offset, mask, bias)
    gradients: tuple[Tensor, ...] = torch.ops.torchvision._deform_conv2d_backward(
        grad_output.to(operands[0].dtype), *operands, *geometry.arguments(), mask is not None
    )
    return gradients


def _operands(
    features: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """Return input, weight, offset, mask and bias as torchvision's kernels want them: of one type, none missing."""
    dtype = computed_in(features)
    if mask is None:
        mask = features.new_zeros((features.size(0), 1))
    if bias is None:
        bias = features.new_zeros(weight.size(0))
    return tuple(operand.to(dtype).contiguous() for operand in (features, weight, offset, mask, bias))
