"""Soft non-maximum suppression as mmcv calls it, in NumPy (mmcv computes it on the CPU always).

Formula: Bodla et al., "Soft-NMS: Improving Object Detection With One Line of Code", 2017, equations 2 and 3.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NAIVE, LINEAR, GAUSSIAN = range(3)  # mmcv's numbers of the methods

_Floats = NDArray[np.float32]


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    *,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that overlap better ones, and drop those that become too low.

    Args:
        boxes: (N, 4) xyxy in pixels.
        scores: (N,), higher is better.
        dets: (N, 5), its first K rows are filled in: the boxes left, best first, with their new scores.
        iou_threshold: from this overlap on scores are lowered, 0-1; the Gaussian lowers all.
        sigma: of the Gaussian.
        min_score: boxes below it are dropped.
        method: mmcv's number: 0 sets overlapping boxes to 0, 1 lowers linearly, 2 by a Gaussian.
        offset: 1 counts a box's last pixel as part of it (width = x2 - x1 + 1), 0 does not.

    Returns:
        (K,) int64: which boxes are left, best first.
    """
    corners: _Floats = boxes.detach().float().numpy()
    left: _Floats = scores.detach().float().numpy().copy()
    areas = (corners[:, 2:] - corners[:, :2] + np.float32(offset)).prod(axis=1)
    order = np.arange(len(corners))
    n, done = len(corners), 0
    while done < n:
        best = done + int(left[order[done:n]].argmax())
        order[[done, best]] = order[[best, done]]
        chosen, others = order[done], order[done + 1 : n]
        done += 1
        low = np.maximum(corners[chosen, :2], corners[others, :2])
        high = np.minimum(corners[chosen, 2:], corners[others, 2:])
        inner = np.maximum(high - low + np.float32(offset), np.float32(0)).prod(axis=1)
        overlap = inner / (areas[chosen] + areas[others] - inner)
        left[others] *= _factors(overlap, iou_threshold, sigma, method)
        is_kept = left[others] >= min_score
        n = done + int(is_kept.sum())
        order[done:n] = _closed_up(others, is_kept)
    kept = order[:n]
    found = np.concatenate((corners[kept], left[kept, None]), axis=1)
    dets[:n].copy_(torch.from_numpy(found))
    return torch.from_numpy(kept.copy())


def _factors(overlap: _Floats, iou_threshold: float, sigma: float, method: int) -> _Floats:
    if method == GAUSSIAN:
        gaussian: _Floats = np.exp(-(overlap * overlap) / np.float32(sigma))
        return gaussian
    lowered = 1 - overlap if method == LINEAR else np.zeros_like(overlap)
    return np.where(overlap >= np.float32(iou_threshold), lowered, np.float32(1))


def _closed_up(others: NDArray[np.int64], is_kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the kept ones in mmcv's order, which decides between equal scores: from the end they move into gaps."""
    n_kept = int(is_kept.sum())
    closed: NDArray[np.int64] = others[:n_kept].copy()
    closed[~is_kept[:n_kept]] = others[n_kept:][is_kept[n_kept:]][::-1]
    return closed
