"""Precision by size: COCO's bins as pycocotools has them, and bins of equal counts from the data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.diagnosis.sizes import COCO_BINS, SizeBin, match_sizes, quantile_bins, size_table
from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.matches import match_run
from tests.reports.judging.test_average_precision import N_IMAGES, by_pycocotools, made_up


def test_cocos_bins_are_those_of_pycocotools() -> None:
    truth, detections = made_up(3)
    theirs = by_pycocotools(truth, detections)
    table = size_table(match_sizes(truth, detections, COCO_BINS), COCO_BINS)
    assert [row.size.name for row in table] == ["small", "medium", "large"]
    assert [row.ap for row in table] == pytest.approx([np.nanmean(theirs[area]) for area in (1, 2, 3)], abs=1e-12)
    assert [row.ap50 for row in table] == pytest.approx(
        [np.nanmean(theirs[area, :, 0]) for area in (1, 2, 3)], abs=1e-12
    )


@pytest.mark.parametrize("n_bins", [1, 2, 4, 7])
def test_own_bins_hold_equally_many_objects_each_in_one(n_bins: int) -> None:
    truth, detections = made_up(3)
    bins = quantile_bins(truth, n_bins)
    table = size_table(match_sizes(truth, detections, bins), bins)
    counts = [row.n_objects for row in table]
    assert len(counts) == n_bins
    assert sum(counts) == sum(not entry["iscrowd"] for entry in truth["annotations"])
    assert max(counts) - min(counts) <= 1
    assert [row.size.high for row in table[:-1]] == [row.size.low for row in table[1:]]


def test_one_bin_is_the_whole() -> None:
    truth, detections = made_up(6)
    (row,) = size_table(match_sizes(truth, detections, quantile_bins(truth, 1)), quantile_bins(truth, 1))
    whole = average_precision(match_run(truth, detections), np.ones((1, N_IMAGES)))
    assert row.ap == pytest.approx(float(mean_ap(whole)[0]), abs=1e-12)
    assert row.size.sides == "any"


def squares(*sides: float) -> dict[str, Any]:
    return {
        "images": [{"id": number} for number in range(len(sides))],
        "categories": [{"id": 1, "name": "square"}],
        "annotations": [
            {"image_id": number, "category_id": 1, "bbox": [0, 0, side, side]} for number, side in enumerate(sides)
        ],
    }


def test_objects_of_one_size_stay_together() -> None:
    bins = quantile_bins(squares(*[10.0] * 30, *[20.0] * 5, *[40.0] * 5), 4)
    assert [row.n_objects for row in size_table(match_sizes(squares(10, 20, 40), [], bins), bins)] == [1, 2]
    assert len(quantile_bins(squares(*[10.0] * 9), 4)) == 1
    assert quantile_bins(squares(), 4) == ()
    assert [(size.low, size.high) for size in quantile_bins(squares(10, 20), 4)] == [(0, 250), (250, 1e10)]


def test_too_few_objects_are_said() -> None:
    truth = squares(*[10.0] * 3, *[50.0] * 30, *[200.0] * 60)
    found = [
        {"image_id": entry["image_id"], "category_id": 1, "bbox": entry["bbox"], "score": 0.5}
        for entry in truth["annotations"][:50]
    ]
    small, medium, large = size_table(match_sizes(truth, found, COCO_BINS), COCO_BINS)
    assert small.is_too_few
    assert small.remark == "too few to judge: 3 objects in 3 images; 20 in 12 are needed"
    assert (medium.is_too_few, medium.remark) == (False, "few: 30 objects")
    assert (large.is_too_few, large.remark) == (False, "")
    assert (small.ap50, medium.ap50) == (pytest.approx(1.0), pytest.approx(1.0))
    assert large.ap50 == pytest.approx(29 / 101)  # 17 of 60 reach the recalls up to 0.28


def test_a_bin_without_objects_has_no_value() -> None:
    (row,) = size_table(match_sizes(squares(10), [], COCO_BINS[2:]), COCO_BINS[2:])
    assert (row.ap, row.ap50, row.remark) == (None, None, "no objects")


def test_images_of_one_group_count_once() -> None:
    bins = [SizeBin("all", 0, 1e10)]
    truth = squares(*[50.0] * 24)
    matches = match_sizes(truth, [], bins)
    (row,) = size_table(matches, bins, ["a"] * 20 + ["b"] * 4)
    assert (row.n_objects, row.n_groups, row.is_too_few) == (24, 2, True)
    assert not size_table(matches, bins)[0].is_too_few


def test_sides_are_said_in_pixels() -> None:
    assert [size.sides for size in COCO_BINS] == ["under 32", "32 to 96", "over 96"]


def test_bccd_has_too_few_small_cells_in_cocos_bins_and_enough_in_its_own(shared_data: Path) -> None:
    truth = json.loads((shared_data / "bccd" / "val.json").read_text())
    bins = (*COCO_BINS, *quantile_bins(truth))
    rows = {row.size.name: row for row in size_table(match_sizes(truth, [], bins), bins)}
    assert (rows["small"].n_objects, rows["small"].is_too_few) == (3, True)
    assert not any(rows[f"{number} of 4"].is_too_few for number in range(1, 5))
