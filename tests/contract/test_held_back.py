"""A part of an annotation file held back: as large as was asked for, stratified, grouped, always the same."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from runners.contract.coco import CocoFile, read_coco
from runners.contract.errors import UserError
from runners.contract.held_back import HoldBackPlan, choose_held_back, hold_back
from tests.contract.test_coco_split import coco_of, unbalanced


def ids(coco: CocoFile) -> set[int]:
    return {image["id"] for image in coco.images}


@pytest.mark.parametrize(
    ("share", "folds"),
    [(0.4, (2, 5)), (0.5, (1, 2)), (0.25, (1, 4)), (0.33, (1, 3)), (0.05, (1, 20)), (0.95, (19, 20))],
)
def test_the_share_is_one_of_whole_folds(share: float, folds: tuple[int, int]) -> None:
    assert HoldBackPlan(share).folds == folds


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5, 0.7])
def test_the_part_has_its_share_of_every_class_and_of_the_images(share: float) -> None:
    coco = unbalanced()
    held = choose_held_back(coco, HoldBackPlan(share))
    assert len(held) == pytest.approx(share * len(coco.images), abs=6)
    boxes = Counter((box["category_id"], box["image_id"] in held) for box in coco.annotations)
    for label in (1, 2, 3):
        total = boxes[label, True] + boxes[label, False]
        # Off by what an image brings to each of the folds that it is made of.
        assert boxes[label, True] == pytest.approx(share * total, abs=max(2.0, 0.05 * total)), label


def test_images_of_one_group_stay_on_one_side() -> None:
    coco = unbalanced(400)
    held = choose_held_back(coco, HoldBackPlan(0.4, group_by="video"))
    assert held
    by_video = {(image["video"], image["id"] in held) for image in coco.images}
    assert len(by_video) == len({image["video"] for image in coco.images})


def test_another_seed_holds_others_back_and_the_order_of_the_file_does_not_matter() -> None:
    coco = unbalanced()
    shuffled = {key: random.Random(3).sample(records, len(records)) for key, records in coco.content.items()}
    plan = HoldBackPlan(0.4)
    assert choose_held_back(CocoFile(coco.path, shuffled, "other"), plan) == choose_held_back(coco, plan)
    assert choose_held_back(coco, HoldBackPlan(0.4, seed=1)) != choose_held_back(coco, plan)


class TestWritten:
    def source(self, tmp_path: Path) -> CocoFile:
        path, content = tmp_path / "val.json", unbalanced(80).content
        images = [{**image, "width": 10, "height": 10} for image in content["images"]]
        path.write_text(json.dumps({**content, "images": images, "info": {"by": "プラ"}}), encoding="utf-8")
        return read_coco(path)

    def test_parts_are_disjoint_complete_and_keep_the_records(self, tmp_path: Path) -> None:
        coco = self.source(tmp_path)
        found = hold_back(coco, HoldBackPlan(0.4), tmp_path / "splits")
        kept, held = read_coco(found.kept_file), read_coco(found.held_file)
        assert ids(kept) | ids(held) == ids(coco)
        assert not ids(kept) & ids(held)
        assert len(kept.annotations) + len(held.annotations) == len(coco.annotations)
        assert kept.classes == held.classes == coco.classes
        assert held.content["info"] == {"by": "プラ"}

    def test_the_same_bytes_in_the_same_place_every_time(self, tmp_path: Path) -> None:
        coco = self.source(tmp_path)
        first = hold_back(coco, HoldBackPlan(0.4), tmp_path / "splits")
        again = hold_back(coco, HoldBackPlan(0.4), tmp_path / "elsewhere")
        assert first.held_file.read_bytes() == again.held_file.read_bytes()
        written = first.held_file.stat().st_mtime_ns
        assert hold_back(coco, HoldBackPlan(0.4), tmp_path / "splits") == first
        assert first.held_file.stat().st_mtime_ns == written

    def test_another_plan_has_files_of_its_own(self, tmp_path: Path) -> None:
        coco = self.source(tmp_path)
        plans = (HoldBackPlan(0.4), HoldBackPlan(0.5), HoldBackPlan(0.4, seed=1))
        assert len({hold_back(coco, plan, tmp_path).held_file for plan in plans}) == 3


def few(n_images: int, n_boxes: int = 40) -> CocoFile:
    images: list[dict[str, object]] = [{"id": n, "file_name": f"{n}.jpg", "video": n // 8} for n in range(n_images)]
    return coco_of(images, [(n % n_images, 1) for n in range(n_boxes)])


@pytest.mark.parametrize(
    ("coco", "plan", "told"),
    [
        (few(23), HoldBackPlan(0.5), r"0\.5 of 23 groups in train\.json; 12 are needed on either side"),
        (few(160), HoldBackPlan(0.5, "video"), r"0\.5 of 20 groups by 'video' in train\.json"),
        (few(40, 100), HoldBackPlan(0.25), r"leaves held back \d+ objects in 10 images; 20 in 12"),
        (few(40, 100), HoldBackPlan(0.8), r"leaves to the search \d+ objects in 8 images; 20 in 12"),
        (few(40, 30), HoldBackPlan(0.5), r"leaves to the search 15 objects in 15 images"),
        (few(160), HoldBackPlan(0.5, "patient"), r"unknown image key in dataset\.group_by: patient"),
    ],
)
def test_parts_too_small_to_choose_by_or_to_judge_on_are_refused(coco: CocoFile, plan: HoldBackPlan, told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        choose_held_back(coco, plan)
    assert len(refused.value.problems) == 1
