"""Modulated deformable convolution (v2) as mmcv calls it: results are written into the caller's tensors."""

from torch import Tensor

from runners.ops.deformable_kernels import Geometry, convolve, gradients_of


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
        offset: (B, deformable_group * kernel_h * kernel_w * 2, H', W'), as in `deform_conv_forward`; one of larger maps
            is read as mmcv reads it.
        mask: (B, deformable_group * kernel_h * kernel_w, H', W'): the weight of each cell; likewise.
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
    geometry = Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    offset, mask = (_as_read(value, output) for value in (offset, mask))
    output.copy_(convolve(features, weight, offset, mask, bias if with_bias else None, geometry))


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
    geometry = Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    offset, mask = (_as_read(value, grad_output) for value in (offset, mask))
    found = gradients_of(grad_output, features, weight, offset, mask, bias if with_bias else None, geometry)
    of_features, of_weight, of_offset, of_mask, of_bias = found
    grad_input.copy_(of_features)
    grad_weight.copy_(of_weight)
    _as_read(grad_offset, grad_output).copy_(of_offset)
    _as_read(grad_mask, grad_output).copy_(of_mask)
    if with_bias:
        grad_bias.copy_(of_bias)


def _as_read(value: Tensor, output: Tensor) -> Tensor:
    """Return the part of offsets or masks that mmcv's kernels take for those of an output, a view of the same memory.

    They go by the output's size alone and read each image's values from the first on, one behind the other. DyHead was
    published so: it hands over the offsets of one level for the next smaller one.

    Args:
        value: (B, C, H, W).
        output: (B, O, H', W').

    Returns:
        (B, C, H', W').

    Raises:
        ValueError: there are fewer values than mmcv would read.
    """
    size, wanted = tuple(value.shape[-2:]), tuple(output.shape[-2:])
    if size == wanted:
        return value
    n_read = value.size(1) * output[0, 0].numel()
    if n_read > value[0].numel():
        raise ValueError(f"offsets or masks of {size} cells for an output of {wanted}; they need as many")
    return value.reshape(value.size(0), -1)[:, :n_read].view(value.size(0), value.size(1), *wanted)
