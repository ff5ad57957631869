"""torchvision's kernels of deformable convolution (CPU and CUDA), for both kinds that mmcv has.

torchvision took them from the same source as mmcv: a kernel's offsets come as (y, x) pairs, deformable group by
deformable group.
"""

from dataclasses import dataclass

import torch
import torchvision  # registers torch.ops.torchvision
from torch import Tensor

from runners.ops.dtypes import computed_in

assert torchvision.extension._has_ops(), "torchvision was installed without its compiled operators"


@dataclass(frozen=True)
class Geometry:
    """How the kernel moves; each pair is (vertical, horizontal)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    deform_groups: int

    def arguments(self) -> tuple[int, ...]:
        """Return all of it in torchvision's order."""
        return (*self.stride, *self.padding, *self.dilation, self.groups, self.deform_groups)


def convolve(
    features: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Return (B, O, H', W'): the convolution by shifted kernels, their cells weighted by the mask if there is one.

    All of it is NaN where any offset is: training that diverges has to be told as that.
    """
    operands = _operands(features, weight, offset, mask, bias)
    output: Tensor = torch.ops.torchvision.deform_conv2d(*operands, *geometry.arguments(), mask is not None)
    return output.masked_fill(torch.isnan(offset).any(), torch.nan)


def gradients_of(
    grad_output: Tensor,
    features: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: Geometry,
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
    # Where an offset is no number the kernels read outside of the features, and the process is gone.
    offset = torch.where(torch.isnan(offset), 0.0, offset)
    if mask is None:
        mask = features.new_zeros((features.size(0), 1))
    if bias is None:
        bias = features.new_zeros(weight.size(0))
    return tuple(operand.to(dtype).contiguous() for operand in (features, weight, offset, mask, bias))
