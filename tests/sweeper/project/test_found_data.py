"""Images are found where the first of each file exist."""

from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.project.found_data import find_data
from tests.sweeper.project.coco_release import write_images, write_labels, write_release


def places(data: Path, images: Path | None = None) -> dict[str, str]:
    found = find_data(data, {}, images)
    assert found.root == data
    return {split: str(part.image_dir.relative_to(data)) for split, part in found.splits.items()}


def refused(data: Path | None, images: Path | None = None, **wanted: Path | None) -> str:
    with pytest.raises(UserError) as caught:
        find_data(data, wanted, images)  # type: ignore[arg-type]
    (line,) = caught.value.problems
    return line


def test_a_release_with_one_folder_of_images(tmp_path: Path) -> None:
    assert places(write_release(tmp_path)) == {"train": "images", "test": "images"}


@pytest.mark.parametrize("folder", [".", "images", "train", "images/train", "pictures/2017/train"])
def test_images_may_lie_in_many_places(tmp_path: Path, folder: str) -> None:
    write_images(tmp_path / folder, ["a.jpg", "b.jpg"])
    write_labels(tmp_path / "annotations" / "train.json", ["a.jpg", "b.jpg"])
    assert places(tmp_path) == {"train": folder}


def test_file_names_may_hold_folders(tmp_path: Path) -> None:
    write_images(tmp_path, ["images/a.jpg", "images/b.jpg"])
    write_labels(tmp_path / "train.json", ["images/a.jpg", "images/b.jpg"])
    assert places(tmp_path) == {"train": "."}


def test_the_folder_of_the_split_wins_over_one_with_the_same_names(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_images(tmp_path / "images" / split, ["1.jpg"])
        write_labels(tmp_path / f"{split}.json", ["1.jpg"])
    assert places(tmp_path) == {"train": "images/train", "val": "images/val"}


@pytest.mark.parametrize("folder", ["{}2017", "{}/images", "pictures/{}", "zip/images_{}"])
def test_splits_that_use_the_same_names_keep_their_images(tmp_path: Path, folder: str) -> None:
    for split in ("test", "train", "val"):
        write_images(tmp_path / folder.format(split), ["1.jpg"])
        write_labels(tmp_path / "annotations" / f"{split}.json", ["1.jpg"])
    assert places(tmp_path) == {split: folder.format(split) for split in ("train", "val", "test")}


def test_a_named_folder_of_images_is_the_only_one_looked_at(tmp_path: Path) -> None:
    write_release(tmp_path / "data")
    write_images(tmp_path / "large", ["000.jpg"])
    line = refused(tmp_path / "data", tmp_path / "large", test=None)
    assert line.startswith(f"image missing in {tmp_path}/large: 001.jpg")


def test_only_what_is_named_is_taken_beside_a_named_file(tmp_path: Path) -> None:
    write_release(tmp_path)
    assert list(find_data(None, {"train": tmp_path / "train.json"}, None).splits) == ["train"]


def test_the_root_is_above_labels_and_images(tmp_path: Path) -> None:
    write_images(tmp_path / "pictures", ["a.jpg"])
    train = write_labels(tmp_path / "labels" / "train.json", ["a.jpg"])
    found = find_data(None, {"train": train}, tmp_path / "pictures")
    assert found.root == tmp_path


def test_missing_images_are_told_with_the_first_of_them(tmp_path: Path) -> None:
    write_labels(tmp_path / "train.json", ["a.jpg"])
    assert "not found in" in refused(tmp_path)
    assert "the first is a.jpg; say images=FOLDER" in refused(tmp_path)


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg"])
def test_images_outside_their_folder_are_refused(tmp_path: Path, name: str) -> None:
    write_labels(tmp_path / "train.json", [name])
    assert refused(tmp_path).startswith("image outside its folder")


def test_folders_that_are_none_are_told(tmp_path: Path) -> None:
    train = write_labels(tmp_path / "train.json", ["a.jpg"])
    assert refused(tmp_path / "gone") == f"folder missing in data=: {tmp_path}/gone (no such folder); give the folder"
    assert "(a file)" in refused(train)
    assert refused(tmp_path, tmp_path / "gone").startswith("folder missing in images=")
