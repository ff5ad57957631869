"""The parts of mmcv's synchronised batch normalisation, between which it exchanges sums, in PyTorch (CPU and CUDA).

Results are written into the caller's tensors. Inputs are (B, C, cells); what counts per channel is (C,), float32.
"""

from torch import Tensor


def sync_bn_forward_mean(features: Tensor, mean: Tensor) -> None:
    """Fill in the mean of each channel."""
    mean.copy_(features.float().mean((0, 2)))


def sync_bn_forward_var(features: Tensor, mean: Tensor, var: Tensor) -> None:
    """Fill in the mean squared distance of each channel from a mean that may be other processes' too."""
    var.copy_((features.float() - mean[:, None]).square().mean((0, 2)))


def sync_bn_forward_output(
    features: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    *,
    eps: float,
    momentum: Tensor | float,
    group_size: int,
) -> None:
    """Normalise, and move the running statistics on.

    Args:
        features: (B, C, cells).
        mean: of all processes' features.
        var: likewise.
        weight: factor of each channel.
        bias: summand of each channel.
        running_mean: changed in place, where there is one.
        running_var: likewise; it takes the unbiased variance.
        norm: like the features, float32, filled in: normalised, without weight and bias.
        std: (C,), filled in: what was divided by.
        output: like the features, filled in.
        eps: added to the variance.
        momentum: share of the new statistics, 0-1.
        group_size: processes whose features were counted.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((features.float() - mean[:, None]) / std[:, None])
    output.copy_(norm * weight[:, None] + bias[:, None])
    if running_mean is not None and running_var is not None:
        count = features.size(0) * features.size(2) * group_size
        unbiased = var * count / (count - 1) if count > 1 else var
        running_mean.copy_(momentum * mean + (1 - momentum) * running_mean)
        running_var.copy_(momentum * unbiased + (1 - momentum) * running_var)


def sync_bn_backward_param(grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor) -> None:
    """Fill in the gradients of weight and bias."""
    grad_weight.copy_((grad_output.float() * norm).sum((0, 2)))
    grad_bias.copy_(grad_output.float().sum((0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Fill `grad_input`, from gradients of weight and bias that are the mean of all processes'."""
    count = norm.size(0) * norm.size(2)
    common = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_(weight[:, None] * (grad_output.float() - common) / std[:, None])
