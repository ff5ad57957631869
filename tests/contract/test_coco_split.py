"""Folds: stratified, grouped, written once and always the same."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from runners.contract.coco import CocoFile, read_coco
from runners.contract.coco_split import FoldPlan, assign_folds, write_folds
from runners.contract.errors import UserError
from tests.contract.sample_set import SampleSet


def coco_of(images: list[dict[str, object]], boxes: list[tuple[int, int]]) -> CocoFile:
    annotations = [{"id": n, "image_id": image, "category_id": label} for n, (image, label) in enumerate(boxes)]
    labels = sorted({label for _, label in boxes})
    categories = [{"id": label, "name": str(label)} for label in labels]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return CocoFile(Path("train.json"), content, "digest")


def unbalanced(n_images: int = 200, seed: int = 0) -> CocoFile:
    """Three classes, about 100:10:1, several boxes an image, every tenth image empty."""
    draw = random.Random(seed)
    images: list[dict[str, object]] = [{"id": n, "file_name": f"{n}.jpg", "video": n // 8} for n in range(n_images)]
    boxes = [
        (n, draw.choices((1, 2, 3), (100, 10, 1))[0])
        for n in range(n_images)
        if n % 10
        for _ in range(draw.randint(1, 9))
    ]
    return coco_of(images, boxes)


def shares(coco: CocoFile, folds: dict[int, int]) -> dict[int, list[int]]:
    """Return boxes per fold for each class."""
    counts = Counter((box["category_id"], folds[box["image_id"]]) for box in coco.annotations)
    return {
        category["id"]: [counts[category["id"], fold] for fold in range(max(folds.values()) + 1)]
        for category in coco.categories
    }


@pytest.mark.parametrize("seed", range(5))
def test_every_fold_has_its_share_of_every_class_and_of_the_images(seed: int) -> None:
    coco = unbalanced(seed=seed)
    folds = assign_folds(coco, FoldPlan(5, seed=seed))
    assert folds.keys() == {image["id"] for image in coco.images}
    for label, boxes in shares(coco, folds).items():
        fair = sum(boxes) / 5
        # A fold may be off by what one image brings.
        assert max(boxes) - min(boxes) <= 1 + (9 if label == 1 else 2), (label, boxes, fair)
    images = Counter(folds.values())
    assert max(images.values()) - min(images.values()) <= 4


def test_the_rarest_class_is_spread_better_than_by_chance() -> None:
    coco = unbalanced()
    rare = shares(coco, assign_folds(coco, FoldPlan(5)))[3]
    draw = random.Random(1)
    spreads = []
    for _ in range(200):
        chance = shares(coco, {image["id"]: draw.randrange(5) for image in coco.images})[3]
        spreads.append(max(chance) - min(chance))
    assert max(rare) - min(rare) <= 1 < sorted(spreads)[len(spreads) // 2]


def test_real_sets_keep_every_class_in_every_fold(shared_data: Path) -> None:
    for name in ("bccd", "aquatrash"):
        coco = read_coco(shared_data / name / "train.json")
        for label, boxes in shares(coco, assign_folds(coco, FoldPlan(5))).items():
            assert min(boxes) > 0.8 * sum(boxes) / 5, (name, label, boxes)


def test_images_of_one_group_stay_together() -> None:
    coco = unbalanced()
    folds = assign_folds(coco, FoldPlan(5, group_by="video"))
    for image in coco.images:
        assert folds[image["id"]] == folds[image["id"] // 8 * 8]
    assert set(folds.values()) == set(range(5))


def test_the_split_does_not_depend_on_the_order_of_the_file() -> None:
    coco = unbalanced()
    shuffled = {key: list(records) for key, records in coco.content.items()}
    for records in shuffled.values():
        random.Random(3).shuffle(records)
    other = CocoFile(coco.path, shuffled, "other")
    assert assign_folds(other, FoldPlan(5)) == assign_folds(coco, FoldPlan(5))


def test_the_seed_makes_another_split() -> None:
    coco = unbalanced()
    assert assign_folds(coco, FoldPlan(5, seed=1)) != assign_folds(coco, FoldPlan(5, seed=0))


def test_a_group_key_that_images_lack_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"unknown image key in dataset.group_by: patient; .*keys: id, file_name, video"
    ):
        assign_folds(unbalanced(), FoldPlan(5, group_by="patient"))


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(UserError, match=r"too many folds in dataset.n_folds: 26, but .* 25 groups"):
        assign_folds(unbalanced(), FoldPlan(26, group_by="video"))


class TestWrittenFolds:
    def test_parts_are_disjoint_complete_and_keep_the_records(self, sample: SampleSet, tmp_path: Path) -> None:
        sample.edit("train", lambda coco: coco.update(info={"by": "プラ"}))
        coco = read_coco(sample.root / "train.json")
        held_out: list[int] = []
        for fold in range(4):
            train, val = (read_coco(path) for path in write_folds(coco, FoldPlan(4), fold, tmp_path))
            assert [*train.images, *val.images] != coco.images  # both sides hold something
            assert sorted(image["id"] for image in [*train.images, *val.images]) == [i["id"] for i in coco.images]
            assert len(train.annotations) + len(val.annotations) == len(coco.annotations)
            assert train.classes == val.classes == coco.classes
            assert train.content["info"] == {"by": "プラ"}
            assert {box["image_id"] for box in val.annotations} <= {image["id"] for image in val.images}
            held_out += [image["id"] for image in val.images]
        assert sorted(held_out) == [image["id"] for image in coco.images]

    def test_written_once_and_the_same_bytes_again(self, sample: SampleSet, tmp_path: Path) -> None:
        coco = read_coco(sample.root / "train.json")
        first = write_folds(coco, FoldPlan(4), 1, tmp_path / "a")
        content, written_at = [path.read_bytes() for path in first], [path.stat().st_mtime_ns for path in first]
        assert write_folds(coco, FoldPlan(4), 1, tmp_path / "a") == first
        assert [path.stat().st_mtime_ns for path in first] == written_at
        again = write_folds(coco, FoldPlan(4), 1, tmp_path / "b")
        assert [path.read_bytes() for path in again] == content
        assert not list(tmp_path.rglob("*.tmp"))

    def test_a_changed_source_or_plan_gets_files_of_its_own(self, sample: SampleSet, tmp_path: Path) -> None:
        coco = read_coco(sample.root / "train.json")
        sample.edit("train", lambda content: content["annotations"].pop())
        changed = read_coco(sample.root / "train.json")
        plans = [(coco, FoldPlan(4)), (changed, FoldPlan(4)), (coco, FoldPlan(4, seed=1)), (coco, FoldPlan(3))]
        assert len({write_folds(source, plan, 0, tmp_path)[0] for source, plan in plans}) == 4

    def test_the_plan_stands_beside(self, sample: SampleSet, tmp_path: Path) -> None:
        train_file, _ = write_folds(read_coco(sample.root / "train.json"), FoldPlan(4), 0, tmp_path)
        plan = json.loads((train_file.parents[1] / "plan.json").read_text())
        assert (plan["n_folds"], plan["group_by"], plan["seed"]) == (4, None, 0)

    def test_no_such_fold(self, sample: SampleSet, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"value out of range in fold: 4; .*0 to 3"):
            write_folds(read_coco(sample.root / "train.json"), FoldPlan(4), 4, tmp_path)
