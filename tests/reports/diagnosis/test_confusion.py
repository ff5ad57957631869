"""Confused classes: which objects, by which detection, and how two arms differ."""

from typing import Any

import numpy as np
import pytest

from reports.diagnosis.confusion import Confusion, compare_confusions, confusion
from reports.diagnosis.error_types import find_errors
from reports.judging.image_weights import image_weights

NAMES = ("Paper", "Paper pack", "Metal")


def labelled(*objects: tuple[int, int, float]) -> dict[str, Any]:
    """Return an annotation file's content with objects of image, class and left edge, each 10 x 10 pixels."""
    return {
        "images": [{"id": number} for number in sorted({image_id for image_id, _, _ in objects}, reverse=True)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES)],
        "annotations": [
            {"image_id": image_id, "category_id": class_id, "bbox": [x, 0, 10, 10]} for image_id, class_id, x in objects
        ],
    }


def found(image_id: int, class_id: int, x: float, score: float) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": class_id, "bbox": [x, 0, 10, 10], "score": score}


def confused(truth: dict[str, Any], detections: list[dict[str, Any]], **settings: float) -> Confusion:
    return confusion(truth, detections, find_errors(truth, detections), **settings)


TRUTH = labelled((1, 1, 0), (1, 1, 100), (2, 1, 0), (2, 0, 100), (3, 2, 0))
DETECTIONS = [
    found(1, 0, 1, 0.9),  # a Paper pack called Paper
    found(1, 2, 0, 0.8),  # the same, called Metal with less confidence
    found(1, 1, 100, 0.95),  # a Paper pack found
    found(1, 0, 101, 0.6),  # and called Paper as well
    found(2, 0, 0, 0.2),  # called Paper, below the score
    found(2, 0, 100, 0.7),  # a Paper found
    found(3, 0, 4, 0.7),  # near a Metal: overlaps too little to be it
]


def test_each_object_has_the_best_name_that_is_not_its_own() -> None:
    result = confused(TRUTH, DETECTIONS)
    assert [pair.words for pair in result.pairs] == [
        "Paper pack called Paper, 2 times of 3 (in 1 with the highest score)"
    ]
    first, second = result.pairs[0].objects
    assert (first.image_id, first.score, first.found_score, first.is_misnamed) == (1, 0.9, None, True)
    assert (first.object_box, first.detection_box) == ((0, 0, 10, 10), (1, 0, 10, 10))
    assert first.iou == pytest.approx(9 / 11)
    assert (second.score, second.found_score, second.is_misnamed) == (0.6, 0.95, False)
    assert result.counts.tolist() == [[1, 0, 0], [2, 1, 0], [0, 0, 0]]
    assert result.class_names == NAMES


def test_the_score_decides_which_detections_are_seen() -> None:
    more, fewer = confused(TRUTH, DETECTIONS, min_score=0.1), confused(TRUTH, DETECTIONS, min_score=0.85)
    assert [pair.words for pair in more.pairs] == [
        "Paper pack called Paper, 3 times of 3 (in 2 with the highest score)"
    ]
    assert [pair.words for pair in fewer.pairs] == ["Paper pack called Paper, once of 3"]


@pytest.mark.parametrize("min_score", [0.15, 0.3, 0.5, 0.8])
def test_a_threshold_afterwards_is_one_before(min_score: float) -> None:
    draw = np.random.default_rng(5)
    truth = labelled(*((int(draw.integers(1, 9)), int(draw.integers(3)), float(draw.integers(80))) for _ in range(60)))
    detections = [
        found(int(draw.integers(1, 9)), int(draw.integers(3)), float(draw.integers(80)), draw.random())
        for _ in range(200)
    ]
    kept = [entry for entry in detections if entry["score"] >= min_score]
    after, before = confused(truth, detections, min_score=min_score), confused(truth, kept, min_score=min_score)
    assert after.counts.tolist() == before.counts.tolist()
    assert after.pairs == before.pairs
    assert after.counts.sum() > 10


def test_a_detection_on_a_crowd_of_its_class_confuses_nothing() -> None:
    truth = labelled((1, 1, 0))
    assert len(confused(truth, [found(1, 0, 0, 0.9)]).pairs) == 1
    truth["annotations"].append({"image_id": 1, "category_id": 0, "bbox": [0, 0, 50, 50], "iscrowd": 1})
    assert confused(truth, [found(1, 0, 0, 0.9)]).pairs == ()


def test_a_stricter_overlap_confuses_less() -> None:
    findings = find_errors(TRUTH, DETECTIONS, found_iou=0.9)
    assert [len(pair.objects) for pair in confusion(TRUTH, DETECTIONS, findings).pairs] == [1]


def test_two_arms_differ_pair_by_pair() -> None:
    base = [confused(TRUTH, DETECTIONS), confused(TRUTH, DETECTIONS, min_score=0.1)]
    better = [confused(TRUTH, DETECTIONS[2:3]), confused(TRUTH, [*DETECTIONS[2:3], found(3, 0, 0, 0.9)])]
    paper_pack, metal = compare_confusions(better, base)
    assert (paper_pack.treatment, paper_pack.baseline, paper_pack.difference) == ((0, 0), (2, 3), -2.5)
    assert paper_pack.words("swin_t", "resnet50") == (
        "Paper pack called Paper: 0.0 times with swin_t, 2.5 with resnet50"
    )
    assert (metal.true_class, metal.called, metal.difference) == ("Metal", "Paper", 0.5)
    assert paper_pack.effect is None
    # Two that all runs of the one arm confuse and none of the other, then one that half of them do.
    assert [(one.image_id, one.object, one.score) for one in paper_pack.changed] == [
        (1, 0, 0.9),
        (1, 1, 0.6),
        (2, 2, 0.2),
    ]


def test_what_both_arms_confuse_alike_is_not_shown_as_changed() -> None:
    run = confused(TRUTH, DETECTIONS)
    (pair,) = compare_confusions([run] * 3, [run])
    assert (pair.difference, pair.changed) == (0.0, ())


def test_the_difference_has_an_interval_that_images_and_seeds_widen() -> None:
    draw = np.random.default_rng(1)
    truth = labelled(
        *((image_id, int(draw.integers(3)), 100.0 * place) for image_id in range(50) for place in range(4))
    )

    def run(share: float) -> Confusion:
        detections = [
            found(
                entry["image_id"],
                (entry["category_id"] + int(draw.random() < share)) % 3,
                entry["bbox"][0],
                draw.uniform(0.5, 1),
            )
            for entry in truth["annotations"]
        ]
        return confused(truth, detections)

    arms = [run(0.1) for _ in range(3)], [run(0.4) for _ in range(3)]
    weights = image_weights("ab" * 32, 50, n_replicates=300).astype(float)
    for pair in compare_confusions(*arms, weights):
        assert pair.effect is not None
        assert pair.effect.difference == pytest.approx(pair.difference)
        low, high = pair.effect.interval(0.05)
        assert low < pair.difference < high < 0
        # About 65 objects of which 10 % and 40 % are confused: the deviation of such a difference is some objects.
        assert 1 < pair.effect.deviation < 12
