"""What is counted of a data set and what is suspected, one spoiled thing at a time."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.data_set.examination import Examination, choose_sample, examine
from reports.data_set.numbers import count_split
from reports.data_set.tables import data_tables
from runners.contract.coco import read_coco
from runners.contract.coco_check import read_dataset
from tests.contract.sample_set import Content, SampleSet


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    """A small sound set without suspects: rare classes aside, which eight images cannot help."""
    return SampleSet.write(tmp_path / "sample")


def examined(sample: SampleSet, scale: tuple[int, int] = (512, 512)) -> Examination:
    contents, findings = read_dataset(sample.node)
    assert findings.problems == []
    return examine("sample", contents, scale)


def suspects(sample: SampleSet, scale: tuple[int, int] = (512, 512)) -> dict[str, list[str]]:
    return {
        kind.name: [suspect.text for suspect in kind.suspects]
        for kind in examined(sample, scale).suspects
        if kind.name != "classes"
    }


def first_box(content: Content) -> dict[str, Any]:
    box: dict[str, Any] = content["annotations"][0]
    return box


def put(content: Content, bbox: list[float]) -> None:
    first_box(content).update(bbox=bbox, area=bbox[2] * bbox[3])


def double(content: Content, **changes: Any) -> None:
    content["annotations"].append({**first_box(content), "id": 9999, **changes})


def test_a_sound_set_has_no_suspects(sample: SampleSet) -> None:
    assert suspects(sample) == {}


SPOILED: dict[str, tuple[Callable[[Content], object], str]] = {
    "beyond": (lambda content: put(content, [50, 10, 30, 20]), "30 x 20 px"),
    "tiny": (lambda content: put(content, [10, 10, 3, 20]), "3 x 20 px"),
    "huge": (lambda content: put(content, [0, 0, 64, 63]), "64 x 63 px"),
    "doubled": (double, "and"),
    "two-classes": (lambda content: double(content, category_id=3 - first_box(content)["category_id"]), "and"),
    "without-box": (
        lambda content: content.update(
            annotations=[box for box in content["annotations"] if box["image_id"] != content["images"][0]["id"]]
        ),
        "train_00000.png",
    ),
    "ids": (lambda content: first_box(content).update(id=0), "annotation id 0"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_each_thing_that_looks_wrong_is_found_and_nothing_else(sample: SampleSet, kind: str) -> None:
    spoil, told = SPOILED[kind]
    sample.edit("train", spoil)
    found = suspects(sample)
    assert list(found) == [kind]
    assert len(found[kind]) == 1
    assert told in found[kind][0]
    assert found[kind][0].startswith("train: ")


def test_a_box_is_tiny_by_the_size_that_is_trained_on(sample: SampleSet) -> None:
    sample.edit("train", lambda content: put(content, [10, 10, 6, 20]))
    assert "tiny" not in suspects(sample, (64, 64))
    assert "tiny" in suspects(sample, (32, 32))


def test_an_image_in_two_splits_and_one_twice_in_a_split_are_told_apart(sample: SampleSet) -> None:
    shutil.copy(sample.image("train", 1), sample.image("val", 0))
    shutil.copy(sample.image("train", 2), sample.image("train", 3))
    found = suspects(sample)
    assert found["across"] == ["train: train_00001.png = val: val_00000.png (the same file)"]
    assert found["within"] == ["train: train_00002.png = train: train_00003.png (the same file)"]


def test_of_many_that_are_the_same_each_split_is_named(sample: SampleSet) -> None:
    for number in range(1, 8):
        shutil.copy(sample.image("train", 0), sample.image("train", number))
    shutil.copy(sample.image("train", 0), sample.image("test", 3))
    (text,) = suspects(sample)["across"]
    assert text.startswith("train: train_00000.png = test: test_00003.png = train: train_00001.png = ")
    assert text.endswith(" and 5 more (the same file)")


def test_a_class_without_boxes_is_rare_in_each_split(sample: SampleSet) -> None:
    sample.edit_all(lambda content: content["categories"].append({"id": 3, "name": "никогда"}))
    (kind,) = examined(sample).suspects
    told = [suspect.text for suspect in kind.suspects]
    for split in ("train", "val", "test"):
        assert f"{split}: никогда has no boxes" in told


def test_boxes_are_counted_by_class_and_size_and_crowds_are_not(sample: SampleSet) -> None:
    def change(content: Content) -> None:
        name_of = {category["id"]: category["name"] for category in content["categories"]}
        for number, box in enumerate(content["annotations"]):
            box["area"] = (100, 32**2, 96**2)[number % 3]
        first_box(content)["iscrowd"] = 1
        content["name_of"] = name_of

    sample.edit("train", change)
    coco = read_coco(sample.root / "train.json")
    numbers = count_split(coco)
    assert numbers.n_left_out == 1
    assert numbers.n_boxes == len(coco.annotations) - 1
    assert sum(numbers.boxes_of(name) for name in coco.classes) == numbers.n_boxes
    by_size = {size: sum(numbers.boxes.get((name, size), 0) for name in coco.classes) for size in ("small", "large")}
    n = len(coco.annotations)
    assert by_size == {"small": (n + 2) // 3 - 1, "large": n // 3}
    assert numbers.median_size == (64, 64)


def test_the_tables_hold_the_numbers(sample: SampleSet) -> None:
    sample.edit("test", lambda content: content.update(annotations=[]))
    splits, classes, rare = data_tables(examined(sample))
    assert [[cell.text for cell in row.cells[:2]] for row in splits.rows] == [
        ["train", "8"],
        ["val", "4"],
        ["test", "4"],
    ]
    assert splits.rows[2].cells[2].text == "not labelled"
    assert [column.title for column in classes.columns][:3] == ["class", "train boxes", "val boxes"]
    assert rare.rows[0].cells[0].text == "Rare or absent class"


def test_a_sample_is_the_same_every_time_and_shows_every_class(sample: SampleSet) -> None:
    coco = read_coco(sample.root / "train.json")
    chosen = choose_sample("train", coco, 3)
    assert [seen.image["id"] for seen in chosen] == [seen.image["id"] for seen in choose_sample("train", coco, 3)]
    ids = {seen.image["id"] for seen in chosen}
    assert len(ids) == 3
    assert {box["category_id"] for box in coco.annotations if box["image_id"] in ids} == {1, 2}
    assert len(choose_sample("train", coco, 50)) == 8
