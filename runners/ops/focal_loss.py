"""Sigmoid focal loss as mmcv calls it, in plain PyTorch (CPU and CUDA): results are written into the caller's tensors.

Formula: Lin et al., "Focal Loss for Dense Object Detection", 2017, equation 5, one binary problem per class.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot


def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fill in the loss of every anchor and class.

    Args:
        logits: (N, C).
        target: (N,) int64 class index, C for background.
        weight: (C,) weight of each class, or empty.
        output: (N, C), filled in; lower is better.
        gamma: how strongly easy examples are played down.
        alpha: weight of the positive examples, 0-1.
    """
    x = logits.float()
    p = x.sigmoid()
    positive = -alpha * (1 - p) ** gamma * logsigmoid(x)
    negative = -(1 - alpha) * p**gamma * logsigmoid(-x)
    is_positive = _is_positive(logits, target)
    output.copy_(torch.where(is_positive, positive, negative) * _class_weight(target, weight))


def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fill `grad_input` (N, C) with the derivative of each loss by its own logit; the rest as in the forward."""
    x = logits.float()
    p = x.sigmoid()
    positive = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * logsigmoid(x))
    negative = -(1 - alpha) * p**gamma * (gamma * (1 - p) * logsigmoid(-x) - p)
    is_positive = _is_positive(logits, target)
    grad_input.copy_(torch.where(is_positive, positive, negative) * _class_weight(target, weight))


def _is_positive(logits: Tensor, target: Tensor) -> Tensor:
    n_classes = logits.size(1)
    return one_hot(target, n_classes + 1)[:, :n_classes].bool()


def _class_weight(target: Tensor, weight: Tensor) -> Tensor | float:
    """Return (N, 1): the weight of each anchor's class; background anchors keep theirs."""
    if weight.numel() == 0:
        return 1.0
    extended = torch.cat((weight.float(), weight.new_ones(1).float()))
    return extended[target].unsqueeze(1)
