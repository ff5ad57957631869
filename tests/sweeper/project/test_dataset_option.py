"""A found data set becomes an option that says what it holds."""

from pathlib import Path

import pytest
import yaml

from runners.contract.errors import UserError
from sweeper.project.dataset_option import DatasetOption, checked_name, name_from
from sweeper.project.found_data import find_data
from sweeper.project.project import SHIPPED_CONF
from tests.sweeper.project.coco_release import write_images, write_labels, write_release


def option(data: Path, root: str = "data") -> DatasetOption:
    return DatasetOption("trash", find_data(data, {}, None), root)


def test_without_val_a_part_of_train_is_held_out(tmp_path: Path) -> None:
    made = option(write_release(tmp_path, n_train=10))
    node = yaml.safe_load(made.text())
    assert node["fold"] == 0
    assert node["dataset"]["val"] is None
    assert node["dataset"]["n_folds"] == 5
    assert node["dataset"]["train"] == {"ann_file": "train.json", "image_dir": "images/"}
    assert node["dataset"]["test"] == {"ann_file": "test.json", "image_dir": "images/"}
    assert (made.n_trained, made.batch_size, made.has_unlabelled_test) == (8, 8, True)
    assert made.summary == "2 classes; train 10 images; test 3 images, no boxes; val is one of 5 parts of train"


def test_with_val_nothing_is_held_out_and_a_split_that_is_not_there_is_null(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{n}.jpg" for n in range(40)])
    write_labels(tmp_path / "train.json", [f"{n}.jpg" for n in range(30)])
    write_labels(tmp_path / "val.json", ["30.jpg"])
    made = option(tmp_path)
    node = yaml.safe_load(made.text())
    assert "fold" not in node
    assert node["dataset"]["n_folds"] is None
    assert node["dataset"]["test"] is None
    assert node["dataset"]["val"] == {"ann_file": "val.json", "image_dir": ""}
    assert (made.n_trained, made.batch_size, made.has_unlabelled_test) == (30, 16, False)


def test_it_has_the_keys_of_a_shipped_option_and_begins_as_one(tmp_path: Path) -> None:
    text = option(write_release(tmp_path)).text()
    shipped = yaml.safe_load((SHIPPED_CONF / "dataset" / "recycle_trash.yaml").read_text())
    node = yaml.safe_load(text)
    assert list(node["dataset"]) == list(shipped["dataset"])
    assert node["dataset"]["classes"] == shipped["dataset"]["classes"]
    assert text.splitlines()[:2] == ["# @package _global_", "# detsweep train dataset=trash"]


@pytest.mark.parametrize("root", ["../with space", "data: old", "1e3", "ünïcode/データ", "#1", "~/data"])
def test_any_folder_reads_back_as_it_is(tmp_path: Path, root: str) -> None:
    assert yaml.safe_load(option(write_release(tmp_path), root).text())["dataset"]["root"] == root


def test_class_names_break_no_comment(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.jpg"])
    write_labels(tmp_path / "train.json", ["a.jpg"], classes=["can\nfold: 3", "cup"])
    assert yaml.safe_load(option(tmp_path).text())["fold"] == 0


@pytest.mark.parametrize("name", ["a/b", "..", "", "1024", "null", "a b", "-x", "x" * 61, "a\nb", "a=b", "_x"])
def test_names_that_cannot_be_chosen_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot stand behind dataset="):
        checked_name(name, SHIPPED_CONF)


def test_a_name_of_ours_is_taken() -> None:
    with pytest.raises(UserError, match="coco is a data set of detsweep's own"):
        checked_name("coco", SHIPPED_CONF)
    assert checked_name("müll-2.v1", SHIPPED_CONF) == "müll-2.v1"


def test_a_name_is_taken_from_the_first_folder_that_tells_something() -> None:
    assert name_from(Path("/x/aquatrash"), Path("/y/team")) == "aquatrash"
    assert name_from(Path("/x/data"), Path("/y/my team!")) == "my_team"
    assert name_from(Path("/x/2024"), Path("/")) is None
