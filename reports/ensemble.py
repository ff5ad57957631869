"""An ensemble: stored detections of several runs on the same images, fused and scored beside each of them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reports.fusion import Boxes, fuse_weighted, suppress
from runners.contract.metrics import Split

Method = Literal["wbf", "nms"]
METHODS: tuple[Method, ...] = ("wbf", "nms")
_FUSE = {"wbf": fuse_weighted, "nms": suppress}
_BOX_DECIMALS = 3  # of a pixel, as in stored predictions

Detections = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """How detections are fused.

    Attributes:
        method: weighted boxes fusion, or non-maximum suppression; each class for itself.
        iou: 0-1, above which two boxes are of one object.
        weights: of the members.
        skip_score: boxes of a lower score are left out.
    """

    method: Method
    iou: float
    weights: Sequence[float]
    skip_score: float


def fuse_detections(
    members: Sequence[Detections], recipe: Recipe, advance: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """Return the fused detections of several runs, by image and falling score.

    Args:
        members: COCO results of each: ``image_id``, ``category_id``, ``bbox`` xywh in pixels, ``score`` 0-1.
        recipe: how.
        advance: called after each image with how many are done, and how many there are.
    """
    grouped: dict[Any, dict[Any, list[list[list[float]]]]] = defaultdict(
        lambda: defaultdict(lambda: [[] for _ in members])
    )
    for number, detections in enumerate(members):
        for found in detections:
            x, y, width, height = found["bbox"]
            grouped[found["image_id"]][found["category_id"]][number].append(
                [x, y, x + width, y + height, found["score"]]
            )
    fuse = _FUSE[recipe.method]
    fused: list[dict[str, Any]] = []
    for n_done, image_id in enumerate(sorted(grouped), start=1):
        of_image: list[dict[str, Any]] = []
        for category_id, of_class in sorted(grouped[image_id].items()):
            boxes = [_boxes(each) for each in of_class]
            of_image += _results(image_id, category_id, fuse(boxes, recipe.weights, recipe.iou, recipe.skip_score))
        fused += sorted(of_image, key=lambda entry: -entry["score"])
        advance(n_done, len(grouped))
    return fused


def score_all(
    split: Split, truth: Mapping[str, Any], members: Sequence[Detections], fused: Detections
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return the average precisions of each member and of the ensemble, under their full names, on the same images."""
    from runners.contract.scoring import score

    image_ids = [image["id"] for image in truth["images"]]
    return [score(split, truth, each, image_ids) for each in members], score(split, truth, fused, image_ids)


def _boxes(rows: Sequence[Sequence[float]]) -> Boxes:
    array = np.asarray(rows, dtype=np.float64).reshape(-1, 5)
    return Boxes(array[:, :4], array[:, 4])


def _results(image_id: Any, category_id: Any, boxes: Boxes) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image_id,
            "category_id": category_id,
            "bbox": [round(number, _BOX_DECIMALS) for number in (left, top, right - left, bottom - top)],
            "score": score,
        }
        for (left, top, right, bottom), score in zip(boxes.xyxy.tolist(), boxes.scores.tolist(), strict=True)
    ]
