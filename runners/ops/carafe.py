"""CARAFE's upsampling as mmcv calls it, in plain PyTorch (CPU and CUDA): results are written into the caller's tensors.

Formula: Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", 2019, equation 4.
"""

from functools import partial

from torch import Tensor
from torch.nn.functional import pad

from runners.ops.dtypes import computed_in
from runners.ops.gradients import gradients


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    *,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill in each output cell: the sum of the features around its source cell, weighted by its own kernel.

    Args:
        features: (B, C, H, W).
        masks: (B, group_size * kernel_size**2, H * scale_factor, W * scale_factor): the kernels.
        rfeatures: like the features, filled in: what mmcv hands to the backward.
        routput: mmcv's scratch, unused.
        rmasks: mmcv's scratch, unused.
        output: (B, C, H * scale_factor, W * scale_factor), filled in.
        kernel_size: side of a kernel, odd.
        group_size: groups of channels, each with a kernel of its own.
        scale_factor: how much larger the output is.
    """
    rfeatures.copy_(features)
    dtype = computed_in(features)
    output.copy_(_reassemble(kernel_size, group_size, scale_factor, features.to(dtype), masks.to(dtype)))


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    *,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill `grad_input` and `grad_masks`; those with an ``r`` are mmcv's scratch, the rest is as in the forward."""
    formula = partial(_reassemble, kernel_size, group_size, scale_factor)
    of_features, of_masks = gradients(formula, (rfeatures, masks), grad_output)
    grad_input.copy_(of_features)
    grad_masks.copy_(of_masks)


def _reassemble(kernel_size: int, groups: int, scale: int, features: Tensor, masks: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    radius = kernel_size // 2
    around = pad(features.view(batch, groups, channels // groups, height, width), (radius,) * 4)
    kernels = masks.view(batch, groups, kernel_size, kernel_size, 1, height, scale, width, scale)
    output = features.new_zeros((batch, groups, channels // groups, height, scale, width, scale))
    # Cell by cell of the kernel: all at once would take kernel_size**2 times the memory of the output.
    for row in range(kernel_size):
        for column in range(kernel_size):
            source = around[..., row : row + height, column : column + width]
            output = output + source[..., :, None, :, None] * kernels[:, :, row, column]
    return output.reshape(batch, channels, height * scale, width * scale)
