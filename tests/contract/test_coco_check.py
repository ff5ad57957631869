"""What the check of a data set finds, and what it lets pass."""

import math
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.contract.sample_set import Content, SampleSet, check_dataset


def first_box(coco: Content) -> Content:
    box: Content = coco["annotations"][0]
    return box


def rename_image(coco: Content, number: int, name: str) -> None:
    coco["images"][number]["file_name"] = name


def test_a_sound_set_has_nothing_to_tell(sample: SampleSet) -> None:
    assert check_dataset(sample.node) == ([], [])


@pytest.mark.parametrize("name", ["bccd", "aquatrash"])
def test_real_sets_are_sound(shared_data: Path, name: str) -> None:
    assert check_dataset({**SampleSet(shared_data / name).node}) == ([], [])


BROKEN_RECORDS: dict[str, tuple[Callable[[Content], object], str]] = {
    "no keys": (lambda coco: (coco.pop("images"), coco.pop("categories")), "no 'images' and 'categories'"),
    "annotations null": (lambda coco: coco.update(annotations=None), "'annotations' is null"),
    "image without width": (lambda coco: coco["images"][0].pop("width"), "1 of 8 images have no 'width'"),
    "images of text": (lambda coco: coco.update(images=["a"]), "'images' is a list of something else than objects"),
    "no image": (lambda coco: coco.update(images=[], annotations=[]), "empty split"),
    "no category": (lambda coco: coco.update(categories=[]), "no category"),
    "unknown image": (lambda coco: first_box(coco).update(image_id=999), "unknown image id .* 1 annotation .*999"),
    "unknown category": (lambda coco: first_box(coco).update(category_id=9), "unknown category id .* 1 annotation .*9"),
    "no category id": (lambda coco: first_box(coco).pop("category_id"), "unknown category id .* 1 annotation .*None"),
    "box null": (lambda coco: first_box(coco).update(bbox=None), "box is not four numbers"),
    "box of three": (lambda coco: first_box(coco).update(bbox=[1, 2, 3]), "box is not four numbers"),
    "box of text": (lambda coco: first_box(coco).update(bbox=["1", 2, 3, 4]), "box is not four numbers"),
    "box missing": (lambda coco: first_box(coco).pop("bbox"), "box is not four numbers"),
    "box NaN": (lambda coco: first_box(coco).update(bbox=[1, 2, math.nan, 4]), "NaN or infinity"),
    "box negative": (lambda coco: first_box(coco).update(bbox=[9, 9, -3, 4]), "zero or negative size"),
    "box zero": (lambda coco: first_box(coco).update(bbox=[9, 9, 3, 0]), "zero or negative size"),
    "box outside": (lambda coco: first_box(coco).update(bbox=[64, 9, 3, 4]), "box outside its image"),
    "area missing": (lambda coco: first_box(coco).pop("area"), "area missing"),
    "area zero": (lambda coco: first_box(coco).update(area=0), "area not above 0"),
    "area NaN": (lambda coco: first_box(coco).update(area=math.nan), "area not above 0"),
    "image id twice": (lambda coco: coco["images"][1].update(id=1), r"duplicate image ids .* 1 id \(1\)"),
    "image id of text": (lambda coco: coco["images"][1].update(id="1"), "image id broken .*'1'"),
    "box id twice": (
        lambda coco: coco["annotations"][1].update(id=first_box(coco)["id"]),
        r"duplicate annotation ids .* 1 id \(10\)",
    ),
    "box without id": (lambda coco: first_box(coco).pop("id"), "annotation without an id"),
    "category id twice": (lambda coco: coco["categories"][1].update(id=1), "duplicate category ids"),
    "category name twice": (lambda coco: coco["categories"][1].update(name="square"), "category name used twice"),
    "category unnamed": (lambda coco: coco["categories"][1].update(name=" "), "category without a name"),
    "size zero": (lambda coco: coco["images"][0].update(width=0), "image size broken"),
    "size of text": (lambda coco: coco["images"][0].update(width="64"), "image size broken"),
    "absolute name": (lambda coco: coco["images"][0].update(file_name="/etc/passwd"), "leaves the image folder"),
    "climbing name": (lambda coco: coco["images"][0].update(file_name="a/../../x.png"), "leaves the image folder"),
    "windows name": (lambda coco: coco["images"][0].update(file_name="C:\\x.png"), "leaves the image folder"),
    "missing image": (
        lambda coco: coco["images"][0].update(file_name="no.png"),
        r"image missing .* 1 of 8 images \(no",
    ),
    "another size": (
        lambda coco: coco["images"][0].update(width=65),
        r"image size differs .*train_00000.png: JSON 65x64, file 64x64",
    ),
    "all crowd": (
        lambda coco: [box.update(iscrowd=1) for box in coco["annotations"]],
        "no box to train on .* annotations, .* not marked 'ignore', 0 not a crowd",
    ),
    "no annotation": (lambda coco: coco.update(annotations=[]), "no box to train on"),
}


@pytest.mark.parametrize(("change", "told"), BROKEN_RECORDS.values(), ids=BROKEN_RECORDS)
def test_a_broken_file_is_told_in_one_line_with_its_path(
    sample: SampleSet, change: Callable[[Content], object], told: str
) -> None:
    sample.edit("train", change)
    problems, _ = check_dataset(sample.node)
    matching = [problem for problem in problems if re.search(told, problem)]
    assert len(matching) == 1, problems
    assert str(sample.root) in matching[0]
    assert "\n" not in matching[0]


def test_all_problems_of_all_splits_are_told_together(sample: SampleSet) -> None:
    sample.edit("train", lambda coco: first_box(coco).update(bbox=None))
    sample.edit("train", lambda coco: coco["annotations"][1].update(category_id=7))
    sample.edit("val", lambda coco: coco["images"][0].update(id=coco["images"][1]["id"]))
    (sample.root / "test.json").write_text("[1, 2]")
    told = "\n".join(check_dataset(sample.node).problems)
    for part in ("box is not four numbers", "unknown category id", "duplicate image ids", "JSON is not COCO"):
        assert part in told


def test_many_broken_records_are_counted_and_five_are_named(sample: SampleSet) -> None:
    sample.edit("train", lambda coco: [box.update(area=0) for box in coco["annotations"]])
    n_boxes = len(sample.read("train")["annotations"])
    (problem,) = check_dataset(sample.node).problems
    assert f"{n_boxes} annotations" in problem
    assert problem.count(",") >= 5
    assert "..." in problem


class TestSplitsAgainstEachOther:
    def test_class_order(self, sample: SampleSet) -> None:
        sample.edit("val", lambda coco: coco["categories"].reverse())
        (problem,) = check_dataset(sample.node).problems
        assert problem.startswith("class order differs between splits")
        assert "val has ['circle', 'square'], train has ['square', 'circle']" in problem

    def test_class_list(self, sample: SampleSet) -> None:
        sample.edit("test", lambda coco: coco["categories"][1].update(name="Circle"))
        (problem,) = check_dataset(sample.node).problems
        assert problem.startswith("class list differs between splits")
        assert "'Circle'" in problem

    def test_other_category_ids_of_the_same_classes_are_fine(self, sample: SampleSet) -> None:
        def renumber(coco: Content) -> None:
            for record in coco["categories"]:
                record["id"] += 10
            for box in coco["annotations"]:
                box["category_id"] += 10

        sample.edit("val", renumber)
        assert check_dataset(sample.node) == ([], [])

    def test_classes_of_the_config_have_to_be_the_files(self, sample: SampleSet) -> None:
        (problem,) = check_dataset({**sample.node, "classes": ["square", "circel"]}).problems
        assert "['square', 'circel']" in problem
        assert "['square', 'circle']" in problem
        assert check_dataset({**sample.node, "classes": ["square", "circle"]}).problems == []

    def test_one_image_in_two_splits_is_a_warning(self, sample: SampleSet) -> None:
        sample.edit("val", lambda coco: coco["images"][0].update(file_name="train_00003.png"))
        problems, (warning,) = check_dataset(sample.node)
        assert problems == []
        assert warning.startswith("1 image of val also in train (train_00003.png)")

    def test_a_copy_under_the_same_name_is_seen_and_another_image_is_not(self, sample: SampleSet) -> None:
        node = dict(sample.node)
        for split in ("train", "val", "test"):
            node[split] = {"ann_file": f"{split}.json", "image_dir": split}
            (sample.root / split).mkdir()
            for image in sample.read(split)["images"]:
                shutil.move(sample.root / "images" / image["file_name"], sample.root / split)
        for split in ("train", "val"):
            for number, name in enumerate(("copy.png", "other.png")):
                (sample.root / split / f"{split}_{number:05d}.png").rename(sample.root / split / name)
                sample.edit(split, partial(rename_image, number=number, name=name))
        shutil.copy(sample.root / "train" / "copy.png", sample.root / "val" / "copy.png")
        assert check_dataset(node) == ([], ["1 image of val also in train (copy.png): val scores will be too good"])

    def test_val_without_boxes_is_refused_and_test_is_only_predicted(self, sample: SampleSet) -> None:
        sample.edit("test", lambda coco: coco.pop("annotations"))
        assert check_dataset(sample.node).problems == []
        assert "predicted, not scored" in check_dataset(sample.node).warnings[0]
        sample.edit("val", lambda coco: coco.update(annotations=[]))
        (problem,) = check_dataset(sample.node).problems
        assert "4 images, 0 annotations" in problem


class TestWarnings:
    def test_a_box_across_the_border_and_a_thin_one(self, sample: SampleSet) -> None:
        sample.edit("train", lambda coco: first_box(coco).update(bbox=[-5, 9, 30, 30]))
        sample.edit("train", lambda coco: coco["annotations"][1].update(bbox=[5, 9, 0.5, 30]))
        problems, warnings = check_dataset(sample.node)
        assert problems == []
        assert any("reaches beyond the image" in warning for warning in warnings)
        assert any("thinner than 1 px" in warning for warning in warnings)

    def test_images_that_are_not_trained_on_are_counted(self, sample: SampleSet) -> None:
        def unlabel_two(coco: Content) -> None:
            coco["annotations"] = [box for box in coco["annotations"] if box["image_id"] > 2]

        sample.edit("train", unlabel_two)
        problems, (warning,) = check_dataset(sample.node)
        assert problems == []
        assert warning.startswith("2 of 8 training images")


class TestFolders:
    @pytest.mark.parametrize("kind", ["missing", "a file"])
    def test_root(self, sample: SampleSet, kind: str) -> None:
        root = sample.root / ("no" if kind == "missing" else "train.json")
        (problem,) = check_dataset({**sample.node, "root": str(root)}).problems
        assert problem.startswith(f"data root missing in dataset.root: {root}")

    def test_annotation_file_missing_or_a_folder(self, sample: SampleSet) -> None:
        (sample.root / "val.json").unlink()
        (sample.root / "test.json").unlink()
        (sample.root / "test.json").mkdir()
        missing, folder = check_dataset(sample.node).problems
        assert missing.startswith(f"annotation file missing in dataset.val.ann_file: {sample.root / 'val.json'}")
        assert "dataset.test.ann_file" in folder
        assert "a folder" in folder

    def test_image_folder(self, sample: SampleSet) -> None:
        node = {**sample.node, "train": {"ann_file": "train.json", "image_dir": "pictures"}}
        (problem,) = check_dataset(node).problems
        assert problem.startswith(f"image folder missing in dataset.train.image_dir: {sample.root / 'pictures'}")
