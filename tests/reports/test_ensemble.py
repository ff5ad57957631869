"""Fusion of boxes against results worked out by hand, and what must hold of any."""

import itertools
from typing import Any

import numpy as np
import pytest

from reports.ensemble import Recipe, fuse_detections, score_all
from reports.fusion import Boxes, fuse_weighted, overlap, suppress

EQUAL = (1.0, 1.0)


def boxes(*rows: tuple[float, float, float, float, float]) -> Boxes:
    """Return boxes from left, top, right, bottom and score."""
    array = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Boxes(array[:, :4], array[:, 4])


def drawn(seed: int, n_boxes: int = 12) -> Boxes:
    """Return boxes around five places, so that many of them overlap."""
    random = np.random.default_rng(seed)
    centres = np.array([[50, 50], [150, 60], [60, 160], [160, 160], [100, 100]])[random.integers(0, 5, n_boxes)]
    sides = random.uniform(15, 25, (n_boxes, 2))
    middle = centres + random.normal(0, 3, (n_boxes, 2))
    return Boxes(np.hstack([middle - sides, middle + sides]), random.uniform(0.1, 1, n_boxes))


def apart(seed: int) -> Boxes:
    """Return what a detector leaves after its own suppression: no two boxes of one object."""
    return suppress([drawn(seed)], [1.0], 0.5)


def rows(found: Boxes) -> list[list[float]]:
    return [[*box, score] for box, score in zip(found.xyxy.tolist(), found.scores.tolist(), strict=True)]


def test_overlap_is_what_is_shared_over_what_is_covered() -> None:
    box = np.array([0.0, 0.0, 10.0, 10.0])
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 7, 7], [3, 3, 3, 3]], dtype=np.float64)
    assert overlap(box, others).tolist() == [1.0, 50 / 150, 0.0, 0.25, 0.0]
    assert overlap(others[4], others[4:]).tolist() == [0.0]


def test_two_boxes_of_one_object_are_their_mean_weighted_by_score() -> None:
    found = fuse_weighted([boxes((0, 0, 10, 10, 0.9)), boxes((0, 0, 10, 12, 0.6))], EQUAL, 0.55)
    # (0.9 * 10 + 0.6 * 12) / 1.5 = 10.8; (0.9 + 0.6) / 2 = 0.75, seen by two of two.
    assert rows(found) == [pytest.approx([0, 0, 10, 10.8, 0.75])]


def test_what_one_of_several_detectors_sees_is_believed_less() -> None:
    found = fuse_weighted([boxes((0, 0, 10, 10, 0.9)), boxes((50, 50, 60, 60, 0.6))], EQUAL, 0.55)
    assert rows(found) == [pytest.approx([0, 0, 10, 10, 0.45]), pytest.approx([50, 50, 60, 60, 0.3])]


def test_more_boxes_than_detectors_are_believed_no_more_than_all_of_them() -> None:
    # Three boxes of one object by two detectors: the mean score, times min(3, 2) / 2.
    found = fuse_weighted([boxes((0, 0, 10, 10, 0.9), (0, 0, 10, 11, 0.6)), boxes((0, 0, 10, 10, 0.3))], EQUAL, 0.55)
    assert rows(found) == [pytest.approx([0, 0, 10, (9 + 6.6 + 3) / 1.8, 0.6])]


def test_a_box_is_compared_with_the_fused_box_and_joins_the_nearest() -> None:
    # The third shares 7.5 / 12.5 with the first and 8.5 / 11.5 with the second, which came later.
    first, second, third = (0, 0, 10, 10, 0.9), (0, 4, 10, 14, 0.8), (0, 2.5, 10, 12.5, 0.5)
    found = rows(fuse_weighted([boxes(first, second), boxes(third)], EQUAL, 0.55))
    assert found == [
        pytest.approx([0, (3.2 + 1.25) / 1.3, 10, (11.2 + 6.25) / 1.3, 0.65]),
        pytest.approx([0, 0, 10, 10, 0.45]),
    ]
    # The fourth shares 7.9 / 12.1 with the second, and 8.5 / 11.5 with what that is fused to by then.
    fourth = (0, 1.9, 10, 11.9, 0.1)
    assert len(rows(fuse_weighted([boxes(second), boxes(fourth)], EQUAL, 0.7))) == 2
    assert len(rows(fuse_weighted([boxes(second, fourth), boxes(third)], EQUAL, 0.7))) == 1


def test_weights_multiply_scores_and_what_they_are_compared_with() -> None:
    found = fuse_weighted([boxes((0, 0, 10, 10, 0.9)), boxes((0, 0, 10, 12, 0.6))], (2.0, 1.0), 0.55)
    # (1.8 * 10 + 0.6 * 12) / 2.4 = 10.5; (1.8 + 0.6) / 2 * 2 / 3 = 0.8: the mean score, weighted.
    assert rows(found) == [pytest.approx([0, 0, 10, 10.5, 0.8])]


def test_boxes_of_too_low_a_score_are_left_out_before_weighting() -> None:
    members = [boxes((0, 0, 10, 10, 0.9), (50, 50, 60, 60, 0.05)), boxes((0, 0, 10, 10, 0.05))]
    assert rows(fuse_weighted(members, (1.0, 9.0), 0.55, 0.1)) == [pytest.approx([0, 0, 10, 10, 0.09])]
    assert rows(suppress(members, (1.0, 9.0), 0.55, 0.1)) == [pytest.approx([0, 0, 10, 10, 0.1])]
    assert rows(fuse_weighted([boxes(), boxes()], EQUAL, 0.55)) == []
    assert rows(fuse_weighted([boxes((0, 0, 10, 10, 0.0))], [1.0], 0.55)) == []


def test_suppression_keeps_the_highest_of_each_object_and_its_score() -> None:
    members = [boxes((0, 0, 10, 10, 0.6), (50, 0, 60, 10, 0.4)), boxes((0, 0, 10, 11, 0.9))]
    assert rows(suppress(members, EQUAL, 0.5)) == [[0, 0, 10, 11, 0.9], [50, 0, 60, 10, 0.4]]
    # A weight decides which of two is believed; the largest leaves scores as they are.
    assert rows(suppress(members, (4.0, 2.0), 0.5)) == [[0, 0, 10, 10, 0.6], [50, 0, 60, 10, 0.4]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fuse", [fuse_weighted, suppress])
def test_one_detector_gives_itself_and_two_equal_ones_the_same(fuse: Any, seed: int) -> None:
    alone = apart(seed)
    for members in ([alone], [alone, alone], [alone] * 3):
        found = fuse(members, [1.0] * len(members), 0.55)
        assert np.allclose(found.xyxy, alone.xyxy)
        assert np.allclose(found.scores, alone.scores)


@pytest.mark.parametrize("fuse", [fuse_weighted, suppress])
def test_the_order_of_detectors_does_not_matter(fuse: Any) -> None:
    members, weights = [drawn(seed) for seed in (1, 2, 3)], (1.0, 2.0, 0.5)
    wanted = rows(fuse(members, weights, 0.55))
    for order in itertools.permutations(range(3)):
        assert rows(fuse([members[i] for i in order], [weights[i] for i in order], 0.55)) == wanted


@pytest.mark.parametrize("seed", range(5))
def test_fused_boxes_lie_within_what_they_are_made_of(seed: int) -> None:
    members = [drawn(10 * seed + number) for number in range(3)]
    found = fuse_weighted(members, (1.0, 1.0, 1.0), 0.55)
    scores = np.concatenate([member.scores for member in members])
    corners = np.vstack([member.xyxy for member in members])
    assert len(found.scores) < len(scores)
    assert found.scores.max() <= scores.max()
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert (found.xyxy >= corners.min(axis=0)).all()
    assert (found.xyxy <= corners.max(axis=0)).all()


def test_classes_and_images_are_fused_each_for_itself() -> None:
    def result(image: int, category: int, score: float) -> dict[str, Any]:
        return {"image_id": image, "category_id": category, "bbox": [1.0, 2.0, 10.0, 20.0], "score": score}

    one, other = [result(1, 3, 0.8), result(1, 7, 0.4)], [result(1, 3, 0.6), result(2, 3, 0.9)]
    seen: list[tuple[int, int]] = []
    recipe = Recipe("wbf", 0.55, EQUAL, 0.0)
    found = fuse_detections([one, other], recipe, lambda number, n_images: seen.append((number, n_images)))
    told = [(entry["image_id"], entry["category_id"], round(entry["score"], 6)) for entry in found]
    assert told == [(1, 3, 0.7), (1, 7, 0.2), (2, 3, 0.45)]
    assert all(entry["bbox"] == [1.0, 2.0, 10.0, 20.0] for entry in found)
    assert seen == [(1, 2), (2, 2)]


def test_members_and_ensemble_are_scored_on_the_same_images() -> None:
    truth = {
        "images": [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in (1, 2)],
        "categories": [{"id": 3, "name": "bag"}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 3, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0}
            for number in (1, 2)
        ],
    }
    halves = [[{"image_id": n, "category_id": 3, "bbox": [10.0, 10.0, 20.0, 20.0], "score": 0.9}] for n in (1, 2)]
    fused = fuse_detections(halves, Recipe("wbf", 0.55, EQUAL, 0.0), lambda *_: None)
    members, ensemble = score_all("val", truth, halves, fused)
    # Each finds one object of two; together they find both.
    assert [round(member["val/bbox_mAP_50"], 2) for member in members] == [0.5, 0.5]
    assert ensemble["val/bbox_mAP_50"] == pytest.approx(1.0)
