"""Non-maximum suppression, soft and with groups, against greedy references written here."""

import math

import pytest
import torch
from mmcv.ops import batched_nms, nms, nms_match, soft_nms
from torch import Tensor


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


def reference_soft_nms(
    boxes: Tensor, scores: Tensor, threshold: float, sigma: float, min_score: float, method: str, offset: int
) -> tuple[list[int], list[float]]:
    """Bodla et al., 2017, figure 2: take the best, lower what overlaps it, drop what is too low, again."""
    left = dict(enumerate(scores.double().tolist()))
    kept, kept_scores = [], []
    while left:
        best = max(left, key=lambda index: left[index])
        kept.append(best)
        kept_scores.append(left.pop(best))
        for other in list(left):
            overlap = iou(boxes[best], boxes[other], offset)
            if method == "gaussian":
                left[other] *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                left[other] *= 1 - overlap if method == "linear" else 0
            if left[other] < min_score:
                del left[other]
    return kept, kept_scores


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_soft_nms_keeps_and_scores_as_the_reference(method: str, offset: int) -> None:
    boxes, scores = crowd(120)
    detections, kept = soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    expected, expected_scores = reference_soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert kept.tolist() == expected
    assert len(kept) < 120
    assert detections[:, :4].equal(boxes[expected])
    torch.testing.assert_close(detections[:, 4].double(), torch.tensor(expected_scores).double(), rtol=1e-5, atol=1e-6)


def test_soft_nms_drops_what_is_low_from_the_start_and_takes_no_boxes_at_all() -> None:
    boxes = torch.tensor([[0.0, 0, 9, 9], [50, 50, 60, 60], [80, 80, 90, 90]])
    detections, kept = soft_nms(boxes, torch.tensor([0.2, 0.9, 0.01]), 0.3, min_score=0.05)
    assert kept.tolist() == [1, 0]
    torch.testing.assert_close(detections[:, 4], torch.tensor([0.9, 0.2]))
    assert soft_nms(boxes[:0], torch.zeros(0))[0].shape == (0, 5)


def test_soft_nms_is_found_by_its_name_in_a_test_setting() -> None:
    boxes, scores = crowd(40)
    detections, kept = batched_nms(boxes, scores, torch.zeros(40), {"type": "soft_nms", "iou_threshold": 0.5})
    expected, expected_scores = reference_soft_nms(boxes, scores, 0.5, 0.5, 1e-3, "linear", 0)
    assert kept.tolist() == expected
    torch.testing.assert_close(detections[:, 4].double(), torch.tensor(expected_scores).double(), rtol=1e-5, atol=1e-6)


def test_groups_of_a_suppression_are_the_kept_boxes_with_those_they_suppress() -> None:
    boxes, scores = crowd(80)
    groups = [group.tolist() for group in nms_match(torch.cat((boxes, scores[:, None]), 1), 0.5)]
    left = scores.argsort(descending=True).tolist()
    expected = []
    while left:
        best = left.pop(0)
        expected.append([best, *(other for other in left if iou(boxes[best], boxes[other], 0) >= 0.5)])
        left = [other for other in left if other not in expected[-1]]
    assert groups == expected
    assert 1 < len(groups) < 80
