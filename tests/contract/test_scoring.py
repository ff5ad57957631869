"""Average precision against pycocotools and against truths worked out by hand."""

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.contract.metrics import AP_NAMES
from runners.contract.scoring import score

Box = list[float]


def truth_of(*objects: tuple[int, int, Box], n_images: int = 2) -> dict[str, Any]:
    """Return an annotation file's content from (image, category, xywh)."""
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 400, "height": 400} for i in range(1, n_images + 1)],
        "categories": [{"id": 3, "name": "Paper pack"}, {"id": 7, "name": "유리"}],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, (image, category, box) in enumerate(objects, start=1)
        ],
    }


def found(image: int, category: int, box: Box, confidence: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": box, "score": confidence}


def test_perfect_detections_score_one_in_every_bin_that_has_objects() -> None:
    truth = truth_of((1, 3, [10, 10, 20, 20]), (2, 7, [50, 50, 60, 60]))
    detections = [found(1, 3, [10, 10, 20, 20], 0.9), found(2, 7, [50, 50, 60, 60], 0.8)]
    values = score("val", truth, detections, [1, 2])
    assert values == {
        "val/bbox_mAP": pytest.approx(1),
        "val/bbox_mAP_50": pytest.approx(1),
        "val/bbox_mAP_75": pytest.approx(1),
        "val/bbox_mAP_s": pytest.approx(1),
        "val/bbox_mAP_m": pytest.approx(1),
        "val/bbox_mAP_class/Paper pack": pytest.approx(1),
        "val/bbox_mAP_class/유리": pytest.approx(1),
    }  # no large object: no such value


def test_half_of_the_objects_found_is_about_half_the_precision() -> None:
    """Precision 1 up to recall 0.5 is 51 of the 101 recall points."""
    truth = truth_of((1, 3, [10, 10, 100, 100]), (2, 3, [10, 10, 100, 100]))
    values = score("test", truth, [found(1, 3, [10, 10, 100, 100], 0.9)], [1, 2])
    assert values["test/bbox_mAP"] == pytest.approx(51 / 101)
    assert "test/bbox_mAP_class/유리" not in values


def test_overlap_of_0_6_counts_at_50_and_not_at_75() -> None:
    truth = truth_of((1, 3, [0, 0, 100, 100]))
    values = score("val", truth, [found(1, 3, [0, 0, 100, 60], 0.9)], [1])
    assert values["val/bbox_mAP_50"] == pytest.approx(1)
    assert values["val/bbox_mAP_75"] == 0
    # Thresholds 0.50, 0.55 and 0.60 of ten are met.
    assert values["val/bbox_mAP"] == pytest.approx(0.3)


def test_nothing_found_scores_zero_and_not_nothing() -> None:
    values = score("val", truth_of((1, 3, [0, 0, 10, 10])), [], [1, 2])
    assert values["val/bbox_mAP"] == 0
    assert values["val/bbox_mAP_s"] == 0


def test_split_without_annotations_has_no_values() -> None:
    truth = truth_of()
    assert score("test", truth, [found(1, 3, [0, 0, 10, 10], 0.5)], [1, 2]) == {}
    del truth["annotations"]
    assert score("test", truth, [found(1, 3, [0, 0, 10, 10], 0.5)], [1, 2]) == {}


def test_only_the_images_that_were_looked_at_count() -> None:
    truth = truth_of((1, 3, [10, 10, 100, 100]), (2, 3, [10, 10, 100, 100]))
    values = score("train", truth, [found(1, 3, [10, 10, 100, 100], 0.9)], [1])
    assert values["train/bbox_mAP"] == pytest.approx(1)


def test_annotations_without_area_and_crowd_flag_are_completed() -> None:
    truth = truth_of((1, 3, [10, 10, 100, 100]))
    for annotation in truth["annotations"]:
        del annotation["area"], annotation["iscrowd"]
    assert score("val", truth, [found(1, 3, [10, 10, 100, 100], 0.9)], [1])["val/bbox_mAP_l"] == pytest.approx(1)


def test_annotations_numbered_from_zero_are_found_like_any_other() -> None:
    truth = truth_of((1, 3, [10, 10, 20, 20]))
    truth["annotations"][0]["id"] = 0
    assert score("val", truth, [found(1, 3, [10, 10, 20, 20], 0.9)], [1])["val/bbox_mAP"] == pytest.approx(1)


def jittered(truth: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return imperfect detections: most objects moved a little, some wrong classes, some out of thin air."""
    draw = random.Random(seed)
    category_ids = [category["id"] for category in truth["categories"]]
    detections = []
    for annotation in truth["annotations"]:
        for _ in range(draw.choice((0, 1, 1, 2))):
            x, y, width, height = annotation["bbox"]
            moved = [x + draw.gauss(0, 0.1 * width), y + draw.gauss(0, 0.1 * height), width, height]
            category = annotation["category_id"] if draw.random() < 0.9 else draw.choice(category_ids)
            detections.append(found(annotation["image_id"], category, moved, draw.random()))
    return detections


@pytest.mark.parametrize("name", ["bccd", "aquatrash"])
def test_values_equal_those_of_pycocotools_in_every_digit_that_matters(shared_data: Path, name: str) -> None:
    truth = json.loads((shared_data / name / "val.json").read_text(encoding="utf-8"))
    detections = jittered(truth, seed=4)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        evaluator = COCOeval(reference, reference.loadRes(detections), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    expected = {f"val/{ap}": value for ap, value in zip(AP_NAMES, evaluator.stats, strict=False) if value >= 0}
    values = score("val", truth, detections, [image["id"] for image in truth["images"]])
    assert {ap: value for ap, value in values.items() if "class" not in ap} == pytest.approx(expected, abs=1e-12)
    for index, category in enumerate(truth["categories"]):
        per_class = evaluator.eval["precision"][:, :, index, 0, -1]
        assert values[f"val/bbox_mAP_class/{category['name']}"] == pytest.approx(per_class[per_class > -1].mean())
