"""The served operators against plain-PyTorch references written here from their definitions."""

import math

import pytest
import torch
from mmcv.ops import RoIAlign, batched_nms, nms, roi_align, sigmoid_focal_loss
from mmcv.utils import ext_loader
from torch import Tensor

from runners.ops import UnservedOpError


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


def reference_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    """Greedy suppression, best first."""
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(iou(boxes[index], boxes[other], offset) <= threshold for other in kept):
            kept.append(index)
    return kept


def iou(a: Tensor, b: Tensor, offset: int) -> float:
    """Intersection over union of two xyxy boxes."""
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2]) + offset).clamp(min=0)
    areas = [(box[2:] - box[:2] + offset).prod() for box in (a, b)]
    return float(sides.prod() / (areas[0] + areas[1] - sides.prod()))


def crowd(n_boxes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(n_boxes, 2, generator=generator) * 60
    sides = torch.rand(n_boxes, 2, generator=generator) * 40 + 1
    return torch.cat((corners, corners + sides), 1), torch.rand(n_boxes, generator=generator)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_nms_keeps_what_the_reference_keeps(threshold: float, offset: int) -> None:
    boxes, scores = crowd(200)
    detections, kept = nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == reference_nms(boxes, scores, threshold, offset)
    torch.testing.assert_close(detections, torch.cat((boxes[kept], scores[kept, None]), 1))


def test_nms_takes_the_mixed_types_of_autocast_and_no_boxes_at_all() -> None:
    boxes, _ = crowd(50)
    scores = torch.arange(50) / 64  # exact in bfloat16, so that no two are equal
    _, kept = nms(boxes, scores.bfloat16(), 0.5)
    assert kept.tolist() == reference_nms(boxes, scores, 0.5, 0)
    assert nms(boxes[:0], scores[:0], 0.5)[1].tolist() == []


def test_batched_nms_does_not_mix_classes() -> None:
    boxes, scores = crowd(60)
    labels = torch.arange(60) % 3
    _, kept = batched_nms(boxes, scores, labels, {"type": "nms", "iou_threshold": 0.4})
    expected = {
        int(members[index])
        for label in range(3)
        for members in [torch.nonzero(labels == label).squeeze(1)]
        for index in reference_nms(boxes[members], scores[members], 0.4, 0)
    }
    assert set(kept.tolist()) == expected


@pytest.mark.parametrize("weighted", [False, True])
def test_focal_loss_and_its_gradient_equal_the_formula(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(12, 4, generator=generator, dtype=torch.float32) * 3
    target = torch.tensor([0, 1, 2, 3, 4, 4, 4, 0, 1, 2, 3, 4])  # 4 is background
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    gamma, alpha = 2.0, 0.25
    ours, reference = logits.clone().requires_grad_(), logits.double().requires_grad_()
    p = reference.sigmoid()
    is_positive = torch.nn.functional.one_hot(target, 5)[:, :4].bool()
    # Lin et al., 2017, equation 5.
    p_t = torch.where(is_positive, p, 1 - p)
    alpha_t = torch.where(is_positive, alpha, 1 - alpha)
    expected = -alpha_t * (1 - p_t) ** gamma * p_t.log()
    if weight is not None:
        expected = expected * torch.cat((weight, torch.ones(1)))[target][:, None]
    loss = sigmoid_focal_loss(ours, target, gamma, alpha, weight, "none")
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)
    sigmoid_focal_loss(ours, target, gamma, alpha, weight, "sum").backward()
    expected.sum().backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=1e-5, atol=1e-7)


def test_focal_loss_stays_finite_where_the_sigmoid_saturates() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1]), 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_unserved_operator_exists_and_says_so_only_when_called() -> None:
    extension = ext_loader.load_ext("_ext", ["deform_conv_forward"])
    with pytest.raises(UnservedOpError, match=r"'deform_conv_forward' is not served.*compiled mmcv"):
        extension.deform_conv_forward(torch.zeros(1))
