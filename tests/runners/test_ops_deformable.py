"""Deformable convolution and attention against references written here as loops over their definitions."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmcv.cnn import build_conv_layer
from mmcv.ops import deform_conv2d, modulated_deform_conv2d
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def sampled(plane: Array, y: float, x: float) -> float:
    """Sample (H, W) at one point: a cell counts by its nearness, and is 0 beyond the border."""
    height, width = plane.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    return sum(
        float(plane[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
        for row, column in itertools.product((top, top + 1), (left, left + 1))
        if 0 <= row < height and 0 <= column < width
    )


def reference_deform_conv(
    features: Array,
    offset: Array,
    weight: Array,
    mask: Array | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    deform_groups: int,
) -> Array:
    """Dai et al., 2017, equation 2, and Zhu et al., 2019, equation 1."""
    n_out, per_group, n_rows, n_columns = weight.shape
    output = np.zeros((len(features), n_out, *offset.shape[2:]))
    per_deform_group = features.shape[1] // deform_groups
    for image, out, y, x in np.ndindex(*output.shape):
        group = out // (n_out // groups)
        for channel, row, column in np.ndindex(per_group, n_rows, n_columns):
            source = group * per_group + channel
            cell = (source // per_deform_group) * n_rows * n_columns + row * n_columns + column
            value = sampled(
                features[image, source],
                y * stride[0] - padding[0] + row * dilation[0] + offset[image, 2 * cell, y, x],
                x * stride[1] - padding[1] + column * dilation[1] + offset[image, 2 * cell + 1, y, x],
            )
            factor = 1.0 if mask is None else mask[image, cell, y, x]
            output[image, out, y, x] += weight[out, channel, row, column] * factor * value
    return output


# kernel, stride, padding, dilation, groups, deformable groups; each pair is (vertical, horizontal).
GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    ((3, 3), (2, 1), (1, 2), (1, 2), 2, 1),
    ((3, 2), (1, 2), (0, 1), (2, 1), 1, 2),
    ((1, 3), (1, 1), (2, 0), (1, 1), 2, 2),
]


def operands(kernel: tuple[int, int], geometry: tuple[object, ...], batch: int = 2) -> list[Tensor]:
    """Return features, offset, mask, weight and bias in double precision, offsets reaching beyond the border."""
    stride, padding, dilation, groups, deform_groups = geometry
    generator = torch.Generator().manual_seed(4)
    height, width = 5, 6
    sizes = [
        (size + 2 * pad - step * (side - 1) - 1) // move + 1
        for size, pad, step, side, move in zip((height, width), padding, dilation, kernel, stride, strict=True)
    ]
    cells = deform_groups * kernel[0] * kernel[1]
    return [
        torch.randn(batch, 4, height, width, generator=generator, dtype=torch.float64),
        torch.randn(batch, 2 * cells, *sizes, generator=generator, dtype=torch.float64) * 1.5,
        torch.rand(batch, cells, *sizes, generator=generator, dtype=torch.float64),
        torch.randn(4, 4 // groups, *kernel, generator=generator, dtype=torch.float64),
        torch.randn(4, generator=generator, dtype=torch.float64),
    ]


@pytest.mark.parametrize(("kernel", "geometry"), [(kernel, rest) for kernel, *rest in GEOMETRIES])
def test_deformable_convolution_equals_the_reference_in_value_and_gradient(
    kernel: tuple[int, int], geometry: tuple[object, ...]
) -> None:
    features, offset, _, weight, _ = operands(kernel, geometry)
    stride, padding, dilation, groups, deform_groups = geometry

    def convolve(features: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
        # Two images, one at a time: the third number is how many mmcv unfolds at once.
        result: Tensor = deform_conv2d(
            features, offset, weight, stride, padding, dilation, groups, deform_groups, False, 1
        )
        return result

    arrays = (value.numpy() for value in (features, offset, weight))
    expected = reference_deform_conv(*arrays, None, *geometry)
    torch.testing.assert_close(convolve(features, offset, weight), torch.from_numpy(expected))
    check_gradients(convolve, [features, offset, weight])


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(("kernel", "geometry"), [(kernel, rest) for kernel, *rest in GEOMETRIES])
def test_modulated_convolution_equals_the_reference_in_value_and_gradient(
    kernel: tuple[int, int], geometry: tuple[object, ...], has_bias: bool
) -> None:
    features, offset, mask, weight, bias = operands(kernel, geometry)

    def convolve(features: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        result: Tensor = modulated_deform_conv2d(features, offset, mask, weight, *(bias or (None,)), *geometry)
        return result

    expected = reference_deform_conv(
        *(value.numpy() for value in (features, offset, weight, mask)),
        *geometry,
    )
    if has_bias:
        expected = expected + bias.numpy()[None, :, None, None]
    given = [features, offset, mask, weight, *([bias] if has_bias else [])]
    torch.testing.assert_close(convolve(*given), torch.from_numpy(expected))
    check_gradients(convolve, given)


def test_offsets_of_a_larger_map_are_read_as_mmcv_reads_them_from_the_first_on() -> None:
    features, offset, mask, weight, _ = operands((3, 3), ((2, 2), (1, 1), (1, 1), 1, 1))
    height, width = offset.shape[2:]
    # The values that the output asks for come first in each image's memory, and others behind them.
    larger = [torch.randn(2, channels, 2 * height, 2 * width, dtype=torch.float64) for channels in (18, 9)]
    for large, value in zip(larger, (offset, mask), strict=True):
        large.view(2, -1)[:, : value[0].numel()] = value.view(2, -1)

    def convolve(features: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        result: Tensor = modulated_deform_conv2d(features, offset, mask, weight, None, 2, 1)
        return result

    output = convolve(features, *larger, weight)
    assert output.equal(convolve(features, offset, mask, weight))
    check_gradients(convolve, [features, *larger, weight])
    with pytest.raises(ValueError, match="they need as many"):
        convolve(features, offset[..., 1:, :], mask, weight)


def check_gradients(function: Callable[..., Tensor], given: list[Tensor]) -> None:
    """Compare the gradients with differences along random directions."""
    assert torch.autograd.gradcheck(function, [value.requires_grad_() for value in given], fast_mode=True)


@pytest.mark.parametrize("layer", ["DCN", "DCNv2"])
def test_a_layer_with_resting_offsets_is_a_convolution_and_trains_under_bfloat16_autocast(layer: str) -> None:
    torch.manual_seed(0)
    convolution = build_conv_layer({"type": layer, "deform_groups": 1}, 4, 6, 3, stride=2, padding=1, bias=False)
    images = torch.randn(2, 4, 9, 9)
    plain = torch.nn.functional.conv2d(images, convolution.weight, stride=2, padding=1)
    rest = 0.5 if layer == "DCNv2" else 1.0  # a mask is the sigmoid of 0
    torch.testing.assert_close(convolution(images), rest * plain, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = convolution(images)
    torch.testing.assert_close(output.float(), rest * plain, rtol=0.03, atol=0.03)
    output.float().square().sum().backward()
    assert all(parameter.grad is not None for parameter in convolution.parameters())


def reference_attention(value: Array, shapes: Array, locations: Array, weights: Array) -> Array:
    """Zhu et al., "Deformable DETR", 2021, equation 3; a location of 0 and 1 is the outer border of a level."""
    batch, _, n_heads, n_channels = value.shape
    output = np.zeros((batch, locations.shape[1], n_heads, n_channels))
    starts = np.concatenate(([0], np.cumsum(shapes.prod(1))))
    for image, query, head, channel in np.ndindex(*output.shape):
        for level, point in np.ndindex(*locations.shape[3:5]):
            height, width = shapes[level]
            plane = value[image, starts[level] : starts[level + 1], head, channel].reshape(height, width)
            x, y = locations[image, query, head, level, point]
            weight = weights[image, query, head, level, point]
            output[image, query, head, channel] += weight * sampled(plane, y * height - 0.5, x * width - 0.5)
    return output.reshape(batch, -1, n_heads * n_channels)


def attention_operands(dtype: torch.dtype) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return value, locations (some outside) and weights; the shapes of the levels; where each begins."""
    generator = torch.Generator().manual_seed(5)
    shapes = torch.tensor([[3, 4], [2, 2]])
    value = torch.randn(2, 16, 2, 3, generator=generator, dtype=dtype)
    locations = torch.rand(2, 5, 2, 2, 3, 2, generator=generator, dtype=dtype) * 1.4 - 0.2
    weights = torch.rand(2, 5, 2, 2, 3, generator=generator, dtype=dtype)
    return [value, locations, weights], shapes, torch.tensor([0, 12])


def test_deformable_attention_of_a_gpu_equals_the_reference_in_value_and_gradient() -> None:
    given, shapes, starts = attention_operands(torch.float64)

    def attend(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        # What mmcv calls on a GPU; by itself it takes another way on the CPU.
        result: Tensor = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
        return result

    value, locations, weights = (operand.numpy() for operand in given)
    expected = reference_attention(value, shapes.numpy(), locations, weights)
    torch.testing.assert_close(attend(*given), torch.from_numpy(expected))
    check_gradients(attend, given)


def test_deformable_attention_keeps_the_type_of_its_values() -> None:
    given, shapes, starts = attention_operands(torch.float32)
    value = given[0].bfloat16().requires_grad_()
    output = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, *given[1:], 64)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert value.grad is not None
    assert value.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("modulated", [False, True])
def test_offsets_that_are_no_numbers_give_none_and_end_no_process(modulated: bool) -> None:
    features, weight = torch.randn(2, 8, 16, 16, requires_grad=True), torch.randn(8, 8, 3, 3, requires_grad=True)
    offset = torch.zeros(2, 18, 16, 16)
    offset[1, 3, 5, 5] = torch.nan
    if modulated:
        output = modulated_deform_conv2d(features, offset, torch.ones(2, 9, 16, 16), weight, None, 1, 1, 1, 1, 1)
    else:
        output = deform_conv2d(features, offset, weight, 1, 1, 1, 1, 1)
    assert output.isnan().all()
    output.sum().backward()
    assert features.grad is not None
