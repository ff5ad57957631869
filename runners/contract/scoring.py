"""COCO average precision of one split, at full precision."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from runners.contract.metrics import AP_NAMES, Split, class_metric, metric

Detection = Mapping[str, Any]

# Axes of the evaluator's precision array: IoU threshold, recall, class, size bin, detections per image.
_ALL_SIZES = 0
_MOST_DETECTIONS = -1


def score(
    split: Split, truth: Mapping[str, Any], detections: Sequence[Detection], image_ids: Sequence[int]
) -> dict[str, float]:
    """Return the average precisions of a split, 0-1, higher is better, under their full names.

    What has no ground truth has no value: a size bin without objects, a class without objects, or all of them.

    Args:
        split: train, val or test.
        truth: the annotation file's content; boxes xywh in original pixels.
        detections: COCO results: ``image_id``, ``category_id``, ``bbox`` (xywh in original pixels), ``score`` (0-1).
        image_ids: the images that were looked at; the others do not count.
    """
    looked_at = set(image_ids)
    annotations = [annotation for annotation in truth.get("annotations", []) if annotation["image_id"] in looked_at]
    if not annotations:
        return {}
    evaluator = _evaluate(truth, annotations, detections, looked_at)
    values = dict(zip((metric(split, name) for name in AP_NAMES), evaluator.stats[: len(AP_NAMES)], strict=True))
    precision = evaluator.eval["precision"]
    name_of = {category["id"]: category["name"] for category in truth["categories"]}
    for index, category_id in enumerate(evaluator.params.catIds):
        per_class = precision[:, :, index, _ALL_SIZES, _MOST_DETECTIONS]
        per_class = per_class[per_class > -1]
        if per_class.size:
            values[class_metric(split, name_of[category_id])] = np.mean(per_class)
    # The evaluator says -1 where nothing could be measured.
    return {name: float(value) for name, value in values.items() if value >= 0}


def _evaluate(
    truth: Mapping[str, Any], annotations: list[Any], detections: Sequence[Detection], image_ids: set[int]
) -> COCOeval_faster:
    content = {
        "images": [image for image in truth["images"] if image["id"] in image_ids],
        "categories": truth["categories"],
        # Numbered anew: the evaluator takes the number of what a detection matched for "nothing" where that is 0.
        "annotations": [{**_complete(annotation), "id": number} for number, annotation in enumerate(annotations, 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # both print progress
        ground_truth = COCO(content)
        # loadRes refuses an empty list; one detection of score zero on no object changes no precision.
        found = ground_truth.loadRes([dict(detection) for detection in detections] or [_nothing_found(content)])
        evaluator = COCOeval_faster(ground_truth, found, "bbox", print_function=lambda *_: None)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def _complete(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what COCO lets a detection file leave out."""
    _, _, width, height = annotation["bbox"]
    return {"iscrowd": 0, "area": width * height, **annotation}


def _nothing_found(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "image_id": content["images"][0]["id"],
        "category_id": content["categories"][0]["id"],
        "bbox": [0.0, 0.0, 0.0, 0.0],
        "score": 0.0,
    }
