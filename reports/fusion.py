"""Fuses what several detectors found in one image: weighted boxes fusion, and class-wise non-maximum suppression.

Weighted boxes fusion is that of Solovyev, Wang and Gabruseva (2021), "Weighted boxes fusion: Ensembling boxes from
different object detection models", Image and Vision Computing 107 (arXiv:1910.13302), section 3; a detector's weight
multiplies its scores, as in the authors' own program.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Boxes(NamedTuple):
    """Boxes of one class in one image.

    Attributes:
        xyxy: (N, 4) left, top, right, bottom in pixels, float64.
        scores: (N,) 0-1, float64.
    """

    xyxy: Array
    scores: Array


def fuse_weighted(members: Sequence[Boxes], weights: Sequence[float], iou: float, skip_score: float = 0.0) -> Boxes:
    """Return the weighted boxes fusion of what several detectors found, the highest score first.

    Boxes are gone through by falling score. Each joins the cluster whose fused box it overlaps most, if by more than
    `iou`, or begins a cluster of its own. A fused box is the mean of its cluster's corners, weighted by score; its
    score is the mean of theirs, times min(T, N) / N for T boxes of N detectors (with weights: over their sum).

    Of equal scores the box further left, then further up, goes first: the order of the detectors does not count.

    Args:
        members: of each detector.
        weights: of each, above 0.
        iou: intersection over union, 0-1, above which two boxes are of one object.
        skip_score: boxes of a lower score, before weighting, are left out.
    """
    boxes, scores = _gathered(members, weights, skip_score)
    n_boxes = len(scores)
    fused, weighed = np.empty((n_boxes, 4)), np.zeros((n_boxes, 4))
    sums, counts = np.zeros(n_boxes), np.zeros(n_boxes, dtype=np.int64)
    n_clusters = 0
    for box, score in zip(boxes, scores, strict=True):
        overlaps = overlap(box, fused[:n_clusters])
        place = int(overlaps.argmax()) if n_clusters else 0
        if not n_clusters or overlaps[place] <= iou:
            place, n_clusters = n_clusters, n_clusters + 1
        weighed[place] += score * box
        sums[place] += score
        counts[place] += 1
        fused[place] = weighed[place] / sums[place]
    kept = slice(n_clusters)
    n_members = len(members)
    rescaled = sums[kept] / counts[kept] * np.minimum(counts[kept], n_members) / sum(weights)
    order = np.argsort(-rescaled, kind="stable")
    return Boxes(fused[kept][order], rescaled[order])


def suppress(members: Sequence[Boxes], weights: Sequence[float], iou: float, skip_score: float = 0.0) -> Boxes:
    """Return the boxes of several detectors without those that overlap one of a higher score by more than `iou`.

    Args:
        members: of each detector.
        weights: of each, above 0; scores are multiplied by them over the largest, so that none exceeds 1.
        iou: intersection over union, 0-1.
        skip_score: boxes of a lower score, before weighting, are left out.
    """
    largest = max(weights)
    boxes, scores = _gathered(members, [weight / largest for weight in weights], skip_score)
    kept: list[int] = []
    is_left = np.ones(len(scores), dtype=bool)
    for number in range(len(scores)):
        if is_left[number]:
            kept.append(number)
            is_left[number + 1 :] &= overlap(boxes[number], boxes[number + 1 :]) <= iou
    return Boxes(boxes[kept], scores[kept])


def overlap(box: Array, others: Array) -> Array:
    """Return the intersection over union, 0-1, of a box with each of several.

    Args:
        box: (4,) xyxy in pixels.
        others: (N, 4) xyxy in pixels.

    Returns:
        (N,) float64; 0 where neither has an area.
    """
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0.0, None).prod(axis=1)
    together = _area(box[None]) + _area(others) - shared
    shares: Array = np.divide(shared, together, out=np.zeros_like(shared), where=together > 0)
    return shares


def _area(boxes: Array) -> Array:
    area: Array = np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1)
    return area


def _gathered(members: Sequence[Boxes], weights: Sequence[float], skip_score: float) -> tuple[Array, Array]:
    """Return boxes and weighted scores, by falling score."""
    if len(members) != len(weights):
        raise ValueError(f"weights: wanted {len(members)}, got {len(weights)}")
    boxes = np.concatenate([np.asarray(member.xyxy, dtype=np.float64).reshape(-1, 4) for member in members])
    own = np.concatenate([np.asarray(member.scores, dtype=np.float64) for member in members])
    numbers = np.concatenate([np.full(len(member.scores), number) for number, member in enumerate(members)])
    scores = own * np.asarray(weights, dtype=np.float64)[numbers]
    # A score of nothing would divide by nothing.
    is_kept = (own >= skip_score) & (scores > 0)
    boxes, scores = boxes[is_kept], scores[is_kept]
    order = np.lexsort((boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -scores))
    return boxes[order], scores[order]
