"""RoIAlign and RoIPool against references written here from their definitions."""

import math

import pytest
import torch
from mmcv.ops import RoIAlign, RoIPool, roi_align, roi_pool
from torch import Tensor


def bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """Sample (C, H, W) at one point; zero beyond one cell outside."""
    height, width = plane.shape[-2:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(plane.shape[0])
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    return (
        plane[:, top, left] * (1 - v) * (1 - u)
        + plane[:, top, right] * (1 - v) * u
        + plane[:, bottom, left] * v * (1 - u)
        + plane[:, bottom, right] * v * u
    )


def reference_roi_align(features: Tensor, rois: Tensor, size: int, scale: float, ratio: int, aligned: bool) -> Tensor:
    """He et al., "Mask R-CNN", 2017, section 3: the mean of bilinear samples in each bin."""
    shift = 0.5 if aligned else 0.0
    pooled = []
    for roi in rois.tolist():
        x1, y1, x2, y2 = (number * scale - shift for number in roi[1:])
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        n_y = ratio or math.ceil(height / size)
        n_x = ratio or math.ceil(width / size)
        bins = []
        for row in range(size):
            for column in range(size):
                samples = [
                    bilinear(
                        features[int(roi[0])],
                        y1 + (row + (i + 0.5) / n_y) * height / size,
                        x1 + (column + (j + 0.5) / n_x) * width / size,
                    )
                    for i in range(n_y)
                    for j in range(n_x)
                ]
                bins.append(torch.stack(samples).mean(0))
        pooled.append(torch.stack(bins, 1).reshape(-1, size, size))
    return torch.stack(pooled)


def regions() -> tuple[Tensor, Tensor]:
    """Return features (2, 3, 9, 11) and five regions, one of them partly outside."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 9, 11, generator=generator)
    rois = torch.tensor(
        [[0, 3.0, 4.0, 30.0, 25.0], [1, 0, 0, 43, 35], [1, 10.5, 2.25, 12, 33], [0, -6, -9, 9, 9], [0, 7, 7, 7.5, 7.5]]
    )
    return features, rois


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_and_its_gradient_equal_the_reference(ratio: int, aligned: bool) -> None:
    features, rois = regions()
    ours, reference = (features.clone().requires_grad_() for _ in range(2))
    pooled = roi_align(ours, rois, 4, 0.25, ratio, "avg", aligned)
    expected = reference_roi_align(reference, rois, 4, 0.25, ratio, aligned)
    torch.testing.assert_close(pooled, expected, rtol=1e-5, atol=1e-5)
    weight = torch.randn_like(expected)
    (pooled * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, reference.grad, rtol=1e-4, atol=1e-5)


def test_roi_align_under_bfloat16_autocast_equals_the_reference_on_rounded_features() -> None:
    features, rois = regions()
    rounded = features.bfloat16()
    ours = rounded.clone().requires_grad_()
    reference = rounded.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = RoIAlign((4, 4), 0.25, 0, aligned=True)(ours, rois)
    expected = reference_roi_align(reference, rois, 4, 0.25, 0, aligned=True)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), expected, rtol=2**-8, atol=1e-3)
    pooled.float().sum().backward()
    expected.sum().backward()
    assert ours.grad is not None
    assert reference.grad is not None
    torch.testing.assert_close(ours.grad.float(), reference.grad, rtol=2**-7, atol=1e-2)


def test_roi_align_by_maximum_is_refused() -> None:
    features, rois = regions()
    with pytest.raises(NotImplementedError, match="pool_mode='max'"):
        roi_align(features, rois, 4, 0.25, 0, "max", True)


def reference_roi_pool(features: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """Girshick, "Fast R-CNN", 2015, section 2.1: the maximum of each bin, whose cells mmcv finds without rounding."""
    height, width = features.shape[-2:]
    pooled = features.new_zeros(len(rois), features.size(1), *size)
    for number, (index, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top, right, bottom = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
        for row in range(size[0]):
            for column in range(size[1]):
                y_start, y_end = (top + (row + end) * (bottom - top) / size[0] for end in (0, 1))
                x_start, x_end = (left + (column + end) * (right - left) / size[1] for end in (0, 1))
                rows = range(max(math.floor(y_start), 0), min(math.ceil(y_end), height))
                columns = range(max(math.floor(x_start), 0), min(math.ceil(x_end), width))
                cells = [features[int(index), :, y, x] for y in rows for x in columns]
                if cells and right > left and bottom > top:
                    pooled[number, :, row, column] = torch.stack(cells).amax(0)
    return pooled


@pytest.mark.parametrize("size", [(4, 4), (3, 7)])
def test_roi_pool_and_its_gradient_equal_the_reference(size: tuple[int, int]) -> None:
    features, rois = regions()
    outside, inverted = [0, 60.0, 60.0, 80.0, 80.0], [1, 20.0, 20.0, 10.0, 12.0]
    rois = torch.cat((rois, torch.tensor([outside, inverted])))
    ours, reference = (features.clone().requires_grad_() for _ in range(2))
    pooled = roi_pool(ours, rois, size, 0.25)
    expected = reference_roi_pool(reference, rois, size, 0.25)
    assert pooled.equal(expected)
    assert pooled[-2:].eq(0).all()  # no cell of theirs is on the map
    weight = torch.randn_like(expected)
    (pooled * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, reference.grad)


def test_roi_pool_keeps_the_type_of_its_features_and_takes_no_regions_at_all() -> None:
    features, rois = regions()
    pool = RoIPool(2, 0.25)
    rounded = features.bfloat16().requires_grad_()
    pooled = pool(rounded, rois)
    assert pooled.dtype == torch.bfloat16
    assert pooled.float().equal(reference_roi_pool(features.bfloat16().float(), rois, (2, 2), 0.25))
    pooled.float().sum().backward()
    assert rounded.grad is not None
    assert pool(features, rois[:0]).shape == (0, 3, 2, 2)
