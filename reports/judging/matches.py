"""What one run found, image by image: all that average precision needs, under any weights of the images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.judging.matching import IOU_THRESHOLDS, Objects, match

# COCO's size bins in square pixels of the original image: all, small, medium, large.
COCO_AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))

# COCO's own: detections beyond these, of one class in one image, do not count.
MAX_DETECTIONS = 100

_BITS = 1 << np.arange(len(IOU_THRESHOLDS), dtype=np.uint16)


@dataclass(frozen=True)
class Matches:
    """The matches of one run on one split; detections stand class after class, the highest score first.

    Attributes:
        image_ids: (N,) ascending.
        class_ids: (C,) the file's category ids, ascending.
        area_ranges: (A, 2) lowest and highest area of each size bin, square pixels.
        class_start: (C + 1,) where the detections of each class begin.
        image: (D,) index of each detection's image.
        score: (D,) 0-1.
        matched: (A, D) one bit for each of the ten thresholds: whether an object was found.
        ignored: (A, D) likewise: whether the detection counts for nothing.
        n_objects: (A, C, N) objects that count.
    """

    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    area_ranges: NDArray[np.float64]
    class_start: NDArray[np.int64]
    image: NDArray[np.int32]
    score: NDArray[np.float64]
    matched: NDArray[np.uint16]
    ignored: NDArray[np.uint16]
    n_objects: NDArray[np.uint16]

    @classmethod
    def load(cls, path: Path) -> "Matches":
        """Read the ``.npz`` file that `run_values` keeps of a run."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{name: stored[name] for name in stored.files})


def match_run(
    truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    area_ranges: Sequence[tuple[float, float]] = COCO_AREAS,
) -> Matches:
    """Match all detections of a run.

    Args:
        truth: content of a COCO annotation file; boxes xywh in original pixels.
        detections: COCO results: ``image_id``, ``category_id``, ``bbox`` (xywh in original pixels), ``score`` (0-1).
        area_ranges: the size bins, square pixels.
    """
    image_ids = np.array(sorted(image["id"] for image in truth["images"]), dtype=np.int64)
    class_ids = np.array(sorted(category["id"] for category in truth["categories"]), dtype=np.int64)
    ranges = np.array(area_ranges, dtype=np.float64)
    objects = _grouped(truth.get("annotations", []))
    found = _grouped(detections)
    n_objects = np.zeros((len(ranges), len(class_ids), len(image_ids)), np.uint16)
    per_class: list[tuple[NDArray[Any], ...]] = []
    index_of = {image_id: index for index, image_id in enumerate(image_ids.tolist())}
    looked_at: dict[int, set[int]] = {}
    for image_id, class_id in (*objects, *found):
        looked_at.setdefault(class_id, set()).add(image_id)
    for class_index, class_id in enumerate(class_ids.tolist()):
        parts = []
        for image_id in sorted(looked_at.get(class_id, ())):
            labelled = _objects(objects.get((image_id, class_id), []))
            boxes, scores = _boxes(found.get((image_id, class_id), []))
            matched, ignored, counts = match(boxes, labelled, ranges)
            n_objects[:, class_index, index_of[image_id]] = counts
            if len(boxes):
                image = np.full(len(boxes), index_of[image_id], np.int32)
                parts.append((image, scores, matched @ _BITS, ignored @ _BITS))
        per_class.append(_by_score(parts, len(ranges)))
    image, score, matched_bits, ignored_bits = (
        np.concatenate([of_class[number] for of_class in per_class], axis=-1) for number in range(4)
    )
    class_start = np.cumsum([0, *(len(of_class[0]) for of_class in per_class)])
    return Matches(image_ids, class_ids, ranges, class_start, image, score, matched_bits, ignored_bits, n_objects)


def _grouped(entries: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], list[Mapping[str, Any]]]:
    grouped: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for entry in entries:
        grouped.setdefault((entry["image_id"], entry["category_id"]), []).append(entry)
    return grouped


def _objects(annotations: Sequence[Mapping[str, Any]]) -> Objects:
    boxes = np.array([annotation["bbox"] for annotation in annotations], dtype=np.float64).reshape(-1, 4)
    areas = [annotation.get("area", box[2] * box[3]) for annotation, box in zip(annotations, boxes, strict=True)]
    crowds = [bool(annotation.get("iscrowd", 0)) for annotation in annotations]
    return Objects(boxes, np.array(areas, dtype=np.float64), np.array(crowds, dtype=bool))


def _boxes(detections: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return boxes and scores, the highest score first; equal scores keep their order."""
    scores = np.array([detection["score"] for detection in detections], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
    boxes = np.array([detection["bbox"] for detection in detections], dtype=np.float64).reshape(-1, 4)
    return boxes[order], scores[order]


def _by_score(parts: Sequence[tuple[NDArray[Any], ...]], n_ranges: int) -> tuple[NDArray[Any], ...]:
    """Join the images of one class in the order in which average precision goes through the detections."""
    if not parts:
        none = np.zeros((n_ranges, 0), np.uint16)
        return np.zeros(0, np.int32), np.zeros(0), none, none
    image, score, matched, ignored = (np.concatenate([part[number] for part in parts], axis=-1) for number in range(4))
    order = np.argsort(-score, kind="stable")
    return image[order], score[order], matched[:, order], ignored[:, order]


def is_set(bits: NDArray[np.uint16], threshold: int) -> NDArray[np.bool_]:
    """Return whether a threshold's bit is set."""
    chosen: NDArray[np.bool_] = (bits & _BITS[threshold]) != 0
    return chosen


def class_slices(matches: Matches) -> Iterator[slice]:
    """Yield where the detections of each class stand."""
    for start, end in zip(matches.class_start[:-1], matches.class_start[1:], strict=True):
        yield slice(int(start), int(end))
