"""Annotation files are told apart by their names, and taken for what they hold."""

from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.project.label_files import find_label_files, split_of
from tests.sweeper.project.coco_release import write_labels

NAMES = ["a.jpg", "b.jpg"]


def found(folder: Path, **wanted: Path | None) -> dict[str, str]:
    files = find_label_files(folder, wanted)  # type: ignore[arg-type]
    return {split: str(coco.path.relative_to(folder)) for split, coco in files.items()}


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train.json", "train"),
        ("annotations/instances_train2017.json", "train"),
        ("annotations/instances_val2017.json", "val"),
        ("valid/_annotations.coco.json", "val"),
        ("test/_annotations.coco.json", "test"),
        ("Training-Set.json", "train"),
        ("dev.json", "val"),
        ("annotations.json", None),
        ("latest.json", None),
        ("train/val.json", "val"),
        ("trainval.json", None),
        ("train_test.json", None),
    ],
)
def test_a_split_is_a_word_of_the_name_or_of_the_folder(path: str, split: str | None) -> None:
    assert split_of(Path("/data") / path, Path("/data")) == split


def test_the_folders_own_name_says_nothing() -> None:
    assert split_of(Path("/home/train/labels.json"), Path("/home/train")) is None


def test_the_usual_layouts_are_found(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        write_labels(tmp_path / "roboflow" / name / "_annotations.coco.json", NAMES)
        write_labels(tmp_path / "coco" / "annotations" / f"instances_{name.removesuffix('id')}2017.json", NAMES)
    assert found(tmp_path / "roboflow") == {
        "train": "train/_annotations.coco.json",
        "val": "valid/_annotations.coco.json",
        "test": "test/_annotations.coco.json",
    }
    assert list(found(tmp_path / "coco")) == ["train", "val", "test"]


def test_one_labelled_file_of_any_name_is_train(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.json", NAMES)
    write_labels(tmp_path / "more.json", NAMES, has_boxes=False)
    (tmp_path / "package.json").write_text("{}")
    assert found(tmp_path) == {"train": "labels.json"}


def test_files_that_are_no_detection_data_are_passed_over_where_one_is(tmp_path: Path) -> None:
    write_labels(tmp_path / "instances_train.json", NAMES)
    (tmp_path / "captions_train.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / ".hidden").mkdir()
    write_labels(tmp_path / ".hidden" / "train.json", NAMES)
    assert found(tmp_path) == {"train": "instances_train.json"}


def test_a_named_file_is_taken_and_null_leaves_a_split_out(tmp_path: Path) -> None:
    write_labels(tmp_path / "train.json", NAMES)
    other = write_labels(tmp_path / "other.json", NAMES)
    write_labels(tmp_path / "val.json", NAMES)
    assert found(tmp_path, train=other, val=None) == {"train": "other.json"}


def refused(folder: Path, **wanted: Path | None) -> str:
    with pytest.raises(UserError) as caught:
        find_label_files(folder, wanted)  # type: ignore[arg-type]
    (line,) = caught.value.problems
    return line


def test_two_files_that_fit_are_named(tmp_path: Path) -> None:
    write_labels(tmp_path / "train.json", NAMES)
    write_labels(tmp_path / "old" / "train.json", NAMES)
    assert refused(tmp_path) == (
        f"several annotation files for train in {tmp_path}: train.json, old/train.json; name it with train=FILE"
    )


def test_a_broken_val_is_not_silently_left_out(tmp_path: Path) -> None:
    write_labels(tmp_path / "train.json", NAMES)
    (tmp_path / "val.json").write_text('{"images": [')
    assert refused(tmp_path).startswith(f"broken JSON in {tmp_path}/val.json")
    assert "leave it out with val=null" in refused(tmp_path)
    assert found(tmp_path, val=None) == {"train": "train.json"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2]", "JSON is not COCO"),
        ("hello", "broken JSON"),
        ('{"images": [], "categories": []}', "nothing to detect"),
    ],
)
def test_no_coco_file_is_told_with_its_name(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "train.json").write_text(text)
    assert told in refused(tmp_path)
    assert str(tmp_path / "train.json") in refused(tmp_path)


def test_nothing_to_read_is_told_with_what_to_say(tmp_path: Path) -> None:
    assert "no annotation file in" in refused(tmp_path)
    assert "no such file" in refused(tmp_path, train=tmp_path / "gone.json")
    assert "a folder" in refused(tmp_path, train=tmp_path)


def test_train_and_val_want_boxes_and_test_does_not(tmp_path: Path) -> None:
    write_labels(tmp_path / "train.json", NAMES, has_boxes=False)
    assert refused(tmp_path).startswith(f"no boxes in {tmp_path}/train.json: train is not labelled")
    write_labels(tmp_path / "train.json", NAMES)
    write_labels(tmp_path / "val.json", NAMES, has_boxes=False)
    assert "leave it out with val=null" in refused(tmp_path)
    write_labels(tmp_path / "val.json", NAMES)
    write_labels(tmp_path / "test.json", NAMES, has_boxes=False)
    assert list(found(tmp_path)) == ["train", "val", "test"]
