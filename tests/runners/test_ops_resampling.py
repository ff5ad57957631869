"""CARAFE's upsampling and the masked convolution against references written here as loops over their definitions."""

import numpy as np
import pytest
import torch
from mmcv.ops import CARAFEPack, MaskedConv2d, carafe
from numpy.typing import NDArray
from torch import Tensor


def reference_carafe(features: NDArray[np.float64], masks: NDArray[np.float64], groups: int, scale: int) -> Tensor:
    """Wang et al., "CARAFE", 2019, equation 4: the sum over the cells around the source cell."""
    batch, channels, height, width = features.shape
    side = round((masks.shape[1] / groups) ** 0.5)
    output = np.zeros((batch, channels, height * scale, width * scale))
    for image, channel, y, x in np.ndindex(*output.shape):
        group = channel // (channels // groups)
        for row, column in np.ndindex(side, side):
            source = (y // scale + row - side // 2, x // scale + column - side // 2)
            if 0 <= source[0] < height and 0 <= source[1] < width:
                kernel = masks[image, (group * side + row) * side + column, y, x]
                output[image, channel, y, x] += kernel * features[image, channel, source[0], source[1]]
    return torch.from_numpy(output)


@pytest.mark.parametrize(("side", "groups", "scale"), [(3, 1, 2), (5, 2, 1), (3, 2, 3)])
def test_carafe_equals_the_reference_in_value_and_gradient(side: int, groups: int, scale: int) -> None:
    generator = torch.Generator().manual_seed(6)
    features = torch.randn(2, 4, 3, 4, generator=generator, dtype=torch.float64)
    masks = torch.rand(2, groups * side**2, 3 * scale, 4 * scale, generator=generator, dtype=torch.float64)

    def upsample(features: Tensor, masks: Tensor) -> Tensor:
        result: Tensor = carafe(features, masks, side, groups, scale)
        return result

    expected = reference_carafe(features.numpy(), masks.numpy(), groups, scale)
    torch.testing.assert_close(upsample(features, masks), expected)
    assert torch.autograd.gradcheck(upsample, (features.requires_grad_(), masks.requires_grad_()), fast_mode=True)


def test_carafe_of_equal_features_leaves_them_and_trains() -> None:
    module = CARAFEPack(channels=4, scale_factor=2)
    output = module(torch.ones(1, 4, 6, 6))
    torch.testing.assert_close(output[..., 4:8, 4:8], torch.ones(1, 4, 4, 4))  # kernels of 5 cells sum up to 1
    output.square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize("padding", [0, 1, (2, 0)])
def test_masked_convolution_equals_a_whole_one_where_it_is_asked_for(padding: int | tuple[int, int]) -> None:
    torch.manual_seed(7)
    convolution = MaskedConv2d(3, 5, 3, padding=padding)
    features = torch.randn(1, 3, 7, 8)
    whole = convolution(features)
    # A mask has the size of the features; a cell beyond the output has no place.
    asked = torch.zeros(1, 7, 8)
    asked[0, : whole.size(2), : whole.size(3)] = torch.rand(whole.shape[2:])[:7, :8] > 0.5
    cells = torch.nonzero(asked[0] > 0).T
    masked = convolution(features, asked)
    torch.testing.assert_close(masked[0][:, cells[0], cells[1]], whole[0][:, cells[0], cells[1]])
    masked[0][:, cells[0], cells[1]] = 0
    assert masked.eq(0).all()
