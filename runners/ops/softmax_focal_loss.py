"""Softmax focal loss as mmcv calls it, in plain PyTorch (CPU and CUDA): results are written into the caller's tensors.

Formula: Lin et al., "Focal Loss for Dense Object Detection", 2017, equation 5, with p of a softmax over the classes.
mmcv weights every class with `alpha`, and takes a negative target as one that does not count.
"""

import torch
from torch import Tensor

from runners.ops.dtypes import computed_in


def softmax_focal_loss_forward(
    softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fill in the loss of every anchor.

    Args:
        softmax: (N, C) probabilities.
        target: (N,) int64 class index, negative to leave the anchor out.
        weight: (C,) weight of each class, or empty.
        output: (N,), filled in; lower is better.
        gamma: how strongly easy examples are played down.
        alpha: weight of all examples.
    """
    p = _of_target(softmax, target)
    loss = -alpha * (1 - p) ** gamma * _log(p)
    output.copy_(loss * _weight(target, weight, loss.dtype))


def softmax_focal_loss_backward(
    softmax: Tensor, target: Tensor, weight: Tensor, buff: Tensor, grad_input: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fill `grad_input` (N, C) with the derivative by the logits; `buff` is scratch, the rest as in the forward."""
    p = _of_target(softmax, target)
    # p times the derivative of the loss by p.
    slope = alpha * (gamma * (1 - p) ** (gamma - 1) * p * _log(p) - (1 - p) ** gamma)
    slope = slope * _weight(target, weight, slope.dtype)
    is_target = torch.arange(softmax.size(1), device=target.device) == target[:, None]
    grad_input.copy_(slope[:, None] * (is_target.to(slope.dtype) - softmax.to(slope.dtype)))


def _of_target(softmax: Tensor, target: Tensor) -> Tensor:
    return softmax.to(computed_in(softmax)).gather(1, target.clamp(min=0)[:, None]).squeeze(1)


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=torch.finfo(torch.float32).tiny).log()


def _weight(target: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (N,): the weight of each anchor's class, 0 where it does not count."""
    counts = (target >= 0).to(dtype)
    return counts if weight.numel() == 0 else counts * weight.to(dtype)[target.clamp(min=0)]
