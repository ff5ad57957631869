"""Average precision under weights: pycocotools' own at weight one, that of copied images at whole weights."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.image_weights import image_weights
from reports.judging.matches import match_run

N_CLASSES, N_IMAGES = 3, 40


def made_up(
    seed: int, *, n_images: int = N_IMAGES, with_ties: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an annotation file's content and detections: near objects, beside them, doubled, of other classes."""
    draw = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for image_id in range(1, n_images + 1):
        for _ in range(draw.integers(0, 6)):
            size = draw.choice([12.0, 50.0, 150.0], p=[0.3, 0.4, 0.3]) * draw.uniform(0.8, 1.2, 2)
            box = [*draw.uniform(0, 300, 2), *size]
            class_id = int(draw.integers(1, N_CLASSES + 1))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id,
                    "bbox": box,
                    "area": float(size.prod() * draw.uniform(0.7, 1.0)),
                    "iscrowd": int(draw.random() < 0.08),
                }
            )
            for _ in range(draw.integers(0, 4)):
                moved = [*(np.array(box[:2]) + draw.normal(0, 0.12, 2) * size), *(size * draw.uniform(0.8, 1.25, 2))]
                score = float(draw.integers(1, 8)) / 8 if with_ties else float(draw.random())
                other = int(draw.integers(1, N_CLASSES + 1)) if draw.random() < 0.15 else class_id
                detections.append({"image_id": image_id, "category_id": other, "bbox": moved, "score": score})
        for _ in range(draw.integers(0, 3)):
            box = [*draw.uniform(0, 300, 2), *draw.uniform(10, 120, 2)]
            class_id = int(draw.integers(1, N_CLASSES + 1))
            detections.append(
                {"image_id": image_id, "category_id": class_id, "bbox": box, "score": float(draw.random())}
            )
    content = {
        "images": [{"id": number, "width": 500, "height": 500} for number in range(1, n_images + 1)],
        "categories": [{"id": number, "name": str(number)} for number in range(1, N_CLASSES + 1)],
        "annotations": annotations,
    }
    plain = [{**found, "bbox": [float(number) for number in found["bbox"]]} for found in detections]
    return content, plain


def by_pycocotools(truth: dict[str, Any], detections: list[dict[str, Any]]) -> np.ndarray:
    """Return (A, C, 10) of pycocotools; NaN where it says -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = truth
        ground_truth.createIndex()
        evaluator = COCOeval(ground_truth, ground_truth.loadRes([dict(found) for found in detections]), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, :, :, -1]  # thresholds, recalls, classes, areas
    values = precision.mean(axis=1)
    return np.where(values < 0, np.nan, values).transpose(2, 1, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("with_ties", [False, True])
def test_at_weight_one_it_is_that_of_pycocotools(seed: int, with_ties: bool) -> None:
    truth, detections = made_up(seed, with_ties=with_ties)
    ours = average_precision(match_run(truth, detections), np.ones((1, N_IMAGES)))[0]
    assert ours == pytest.approx(by_pycocotools(truth, detections), abs=1e-12, nan_ok=True)


def copied(
    truth: dict[str, Any], detections: list[dict[str, Any]], counts: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a set in which each image stands as often as its count says."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image, count in zip(truth["images"], counts, strict=True):
        for _ in range(count):
            new_id = len(images) + 1
            images.append({**image, "id": new_id})
            of_image = [entry for entry in truth["annotations"] if entry["image_id"] == image["id"]]
            annotations += [{**entry, "image_id": new_id} for entry in of_image]
            found += [{**entry, "image_id": new_id} for entry in detections if entry["image_id"] == image["id"]]
    annotations = [{**entry, "id": number} for number, entry in enumerate(annotations, start=1)]
    return {**truth, "images": images, "annotations": annotations}, found


def test_under_whole_weights_it_is_that_of_a_set_with_copied_images() -> None:
    truth, detections = made_up(7)
    weights = image_weights("ab" * 32, N_IMAGES, n_replicates=6)
    ours = average_precision(match_run(truth, detections), weights)
    for counts, values in zip(weights, ours, strict=True):
        assert values == pytest.approx(by_pycocotools(*copied(truth, detections, counts)), abs=1e-12, nan_ok=True)


def test_the_mean_leaves_classes_without_an_object_out() -> None:
    truth, detections = made_up(3)
    truth["annotations"] = [entry for entry in truth["annotations"] if entry["category_id"] != 2]
    values = average_precision(match_run(truth, detections), np.ones((1, N_IMAGES)))
    theirs = by_pycocotools(truth, detections)
    assert mean_ap(values)[0] == pytest.approx(np.nanmean(theirs[0]), abs=1e-12)
    assert mean_ap(values, area=1, threshold=0)[0] == pytest.approx(np.nanmean(theirs[1, :, 0]), abs=1e-12)


def test_a_run_that_found_nothing_has_zero_and_a_set_without_objects_nothing() -> None:
    truth, _ = made_up(1)
    values = average_precision(match_run(truth, []), np.ones((1, N_IMAGES)))
    assert values[0, 0].tolist() == np.zeros((N_CLASSES, 10)).tolist()
    truth["annotations"] = []
    assert np.isnan(average_precision(match_run(truth, []), np.ones((1, N_IMAGES)))).all()
    assert np.isnan(mean_ap(average_precision(match_run(truth, []), np.ones((1, N_IMAGES)))))[0]


def test_more_than_a_hundred_detections_of_a_class_in_an_image_do_not_count() -> None:
    truth, detections = made_up(5, n_images=2)
    draw = np.random.default_rng(0)
    crowd = [
        {"image_id": 1, "category_id": 1, "bbox": [*draw.uniform(0, 300, 2).tolist(), 40.0, 40.0], "score": float(s)}
        for s in draw.random(150)
    ]
    ours = average_precision(match_run(truth, [*detections, *crowd]), np.ones((1, 2)))[0]
    assert ours == pytest.approx(by_pycocotools(truth, [*detections, *crowd]), abs=1e-12, nan_ok=True)


def test_weights_follow_from_the_set_and_draw_groups_whole() -> None:
    first = image_weights("ab" * 32, 10, n_replicates=200)
    assert np.array_equal(first, image_weights("ab" * 32, 10, n_replicates=200))
    assert not np.array_equal(first, image_weights("ac" * 32, 10, n_replicates=200))
    assert set(first.sum(axis=1)) == {10}
    grouped = image_weights("ab" * 32, 6, ["a", "a", "b", "b", "b", "c"], n_replicates=200)
    assert np.array_equal(grouped[:, 0], grouped[:, 1])
    assert np.array_equal(grouped[:, 2], grouped[:, 4])
    assert grouped[:, [0, 2, 5]].sum(axis=1).tolist() == [3] * 200
