"""Which detection finds which object: COCO's greedy matching of one class in one image, all thresholds at once.

The rules are those of pycocotools' ``COCOeval.evaluateImg`` (Lin et al. 2014, github.com/cocodataset/cocoapi).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# COCO's thresholds, to the last bit: 0.5, 0.55 ... 0.95.
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# A threshold of one would let no pair through that differs in rounding.
_HIGHEST_IOU = 1 - 1e-10


@dataclass(frozen=True)
class Objects:
    """The ground truth of one class in one image.

    Attributes:
        boxes: (G, 4) xywh in pixels.
        areas: (G,) square pixels, by which objects fall into size bins.
        is_crowd: (G,) whether an entry stands for many objects; it matches any number of detections, and none counts.
    """

    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]


def box_iou(boxes: NDArray[np.float64], objects: Objects) -> NDArray[np.float64]:
    """Return (D, G) intersection over union, 0-1; over the detection's own area where the object is a crowd.

    Args:
        boxes: (D, 4) xywh in pixels.
        objects: what they are held against.
    """
    left_top = np.maximum(boxes[:, None, :2], objects.boxes[None, :, :2])
    right_bottom = np.minimum(
        boxes[:, None, :2] + boxes[:, None, 2:], objects.boxes[None, :, :2] + objects.boxes[None, :, 2:]
    )
    sides = np.clip(right_bottom - left_top, 0.0, None)
    intersection = sides[..., 0] * sides[..., 1]
    detected = (boxes[:, 2] * boxes[:, 3])[:, None]
    labelled = (objects.boxes[:, 2] * objects.boxes[:, 3])[None, :]
    union = np.where(objects.is_crowd[None, :], detected, detected + labelled - intersection)
    overlaps: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlaps


def match(
    boxes: NDArray[np.float64], objects: Objects, area_ranges: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Match detections with objects, for each range of areas and each of the ten thresholds.

    Args:
        boxes: (D, 4) xywh in pixels, the highest score first.
        objects: of the same class and image.
        area_ranges: (A, 2) lowest and highest area that counts, square pixels, both included.

    Returns:
        (A, D, 10) whether the detection found an object; (A, D, 10) whether it counts for nothing, because what it
        found, or its own area where it found nothing, is out of the range; (A,) objects that count.
    """
    n_ranges, n_boxes, n_thresholds = len(area_ranges), len(boxes), len(IOU_THRESHOLDS)
    is_ignored_object = objects.is_crowd[None, :] | _is_outside(objects.areas, area_ranges)
    matched = np.zeros((n_ranges, n_boxes, n_thresholds), bool)
    ignored = np.zeros((n_ranges, n_boxes, n_thresholds), bool)
    iou = box_iou(boxes, objects)
    is_free = np.ones((n_ranges, n_thresholds, len(objects.areas)), bool)
    lowest = np.minimum(IOU_THRESHOLDS, _HIGHEST_IOU)
    # What overlaps nothing by half cannot match, and most detections are of that kind.
    for number in np.flatnonzero((iou >= lowest[0]).any(axis=1)):
        reaches = (iou[number] >= lowest[:, None])[None] & (is_free | objects.is_crowd)
        counts = reaches & ~is_ignored_object[:, None, :]
        # An object that counts is taken before one that does not, whatever their overlaps.
        allowed = np.where(counts.any(axis=2, keepdims=True), counts, reaches)
        found = allowed.any(axis=2)
        best = _last_of_the_highest(np.where(allowed, iou[number], -1.0))
        ranges, thresholds = np.nonzero(found)
        chosen = best[ranges, thresholds]
        matched[ranges, number, thresholds] = True
        ignored[ranges, number, thresholds] = is_ignored_object[ranges, chosen]
        is_free[ranges, thresholds, chosen] = False
    outside = _is_outside(boxes[:, 2] * boxes[:, 3], area_ranges)
    ignored |= ~matched & outside[:, :, None]
    return matched, ignored, (~is_ignored_object).sum(axis=1)


def _is_outside(areas: NDArray[np.float64], area_ranges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (A, n): whether each area lies outside each range."""
    outside: NDArray[np.bool_] = (areas[None] < area_ranges[:, :1]) | (areas[None] > area_ranges[:, 1:])
    return outside


def _last_of_the_highest(overlaps: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (A, T) the index of the highest overlap; of equal ones the last, as pycocotools does."""
    last: NDArray[np.int64] = overlaps.shape[2] - 1 - overlaps[:, :, ::-1].argmax(axis=2)
    return last
