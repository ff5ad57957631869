"""Multi-scale deformable attention as mmcv calls it on a GPU, by mmcv's own form in plain PyTorch.

On the CPU mmcv takes that form by itself.
"""

from functools import partial

import torch
from torch import Tensor

from runners.ops.dtypes import computed_in
from runners.ops.gradients import gradients


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    *,
    im2col_step: int,
) -> Tensor:
    """Return (B, Q, heads * channels): for each query, the weighted mean of values at its points.

    Args:
        value: (B, cells of all levels, heads, channels).
        spatial_shapes: (levels, 2): height and width of each level.
        level_start_index: (levels,): follows from the shapes, unused.
        sampling_locations: (B, Q, heads, levels, points, 2): (x, y), 0-1 from border to border.
        attention_weights: (B, Q, heads, levels, points).
        im2col_step: images at once, without influence on the result.
    """
    dtype = computed_in(value)
    operands = (value.to(dtype), sampling_locations.to(dtype), attention_weights.to(dtype))
    return _attend(spatial_shapes, *operands).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    *,
    im2col_step: int,
) -> None:
    """Fill the three gradients, each of its tensor's shape; the rest as in the forward."""
    formula = partial(_attend, spatial_shapes)
    found = gradients(formula, (value, sampling_locations, attention_weights), grad_output)
    for target, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), found, strict=True):
        target.copy_(gradient)


def _attend(spatial_shapes: Tensor, value: Tensor, sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
    # Only here: mmcv's module asks for these operators when it is imported.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    # Autocast would take part of it down to the precision that the caller has just left.
    with torch.autocast(value.device.type, enabled=False):
        attended: Tensor = multi_scale_deformable_attn_pytorch(
            value, spatial_shapes, sampling_locations, attention_weights
        )
    return attended
