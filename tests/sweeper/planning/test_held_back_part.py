"""`dataset.hold_back`: val is split before a search, and what it does not see becomes the labelled test split."""

import json
from pathlib import Path
from typing import Any

import pytest

from runners.contract.coco import read_coco
from runners.contract.errors import UserError
from sweeper.planning.dataset import PreparedDataset, prepare_dataset
from sweeper.planning.shapes import write_shapes
from tests.contract.sample_set import SampleSet


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_shapes(folder, n_train=4, n_val=40, n_test=4, image_px=64, n_classes=2)
    return folder


def prepare(root: Path, tmp_path: Path, fold: int | None = None, **changes: Any) -> PreparedDataset:
    node = {**SampleSet(root).node, "test": None, "hold_back": 0.4, "split_seed": 0, **changes}
    return prepare_dataset(node, tmp_path / "out", fold)


def names(prepared: PreparedDataset, split: str) -> set[str]:
    return {image["file_name"] for image in read_coco(Path(prepared.node[split]["ann_file"])).images}


def test_the_part_that_is_held_back_is_the_labelled_test_split(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root, tmp_path)
    assert prepared.n_images["train"] == 4
    assert prepared.n_images["val"] + prepared.n_images["test"] == 40
    assert prepared.n_images["test"] == pytest.approx(16, abs=2)
    assert prepared.labelled == {"train": True, "val": True, "test": True}
    assert not names(prepared, "val") & names(prepared, "test")
    assert Path(prepared.node["test"]["ann_file"]).is_relative_to(tmp_path / "out" / "splits")
    assert prepared.node["test"]["image_dir"] == prepared.node["val"]["image_dir"] == "images/"
    assert prepared.warnings == []


def test_another_share_or_seed_is_another_data_set(root: Path, tmp_path: Path) -> None:
    whole = prepare(root, tmp_path, hold_back=None)
    plans: list[dict[str, Any]] = [{}, {"hold_back": 0.5}, {"split_seed": 1}]
    prepared = [prepare(root, tmp_path, **changes) for changes in plans]
    assert len({whole.fingerprint, *(one.fingerprint for one in prepared)}) == 4
    assert names(prepared[0], "test") != names(prepared[2], "test")
    assert prepare(root, tmp_path / "elsewhere").fingerprint == prepared[0].fingerprint


def test_what_was_stored_of_it_prepares_the_same_set_again(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root, tmp_path)
    assert prepared.source["val"]["ann_file"] == "val.json"
    again = prepare_dataset(prepared.source, tmp_path / "out", None)
    assert again == prepared


def test_test_images_without_labels_are_not_looked_at_and_that_is_said(root: Path, tmp_path: Path) -> None:
    content = {**SampleSet(root).read("test"), "annotations": []}
    (tmp_path / "unlabelled.json").write_text(json.dumps(content), encoding="utf-8")
    test = {"ann_file": str(tmp_path / "unlabelled.json"), "image_dir": "images/"}
    prepared = prepare(root, tmp_path, test=test)
    assert prepared.labelled["test"]
    assert prepared.warnings == [
        f"{tmp_path / 'unlabelled.json'} is not looked at: it has no labels, and test is the part of val held back"
    ]
    # One that is named and not there is none.
    named = prepare(root, tmp_path, test={"ann_file": "none.json", "image_dir": "images/"})
    assert named.fingerprint == prepared.fingerprint


@pytest.mark.parametrize(
    ("fold", "changes", "told"),
    [
        (
            None,
            {"test": {"ann_file": "test.json", "image_dir": "images/"}},
            "labelled test split beside a part of val in dataset.hold_back: 0.4",
        ),
        (0, {"n_folds": 2, "val": None}, "folds beside a part of val in dataset.hold_back: 0.4, but dataset.n_folds=2"),
        (None, {"hold_back": 0.1}, "too few images in dataset.hold_back: 0.1"),
        (None, {"group_by": "video"}, "unknown image key in dataset.group_by: video"),
        (None, {"val": None}, "no validation split in dataset.val: null"),
    ],
)
def test_what_does_not_fit_is_one_line(
    root: Path, tmp_path: Path, fold: int | None, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as refused:
        prepare(root, tmp_path, fold, **changes)
    (problem,) = refused.value.problems
    assert problem.startswith(told)


def test_what_is_wrong_with_val_is_told_as_ever(root: Path, tmp_path: Path) -> None:
    (tmp_path / "val.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"broken JSON in .*val\.json") as refused:
        prepare(root, tmp_path, val={"ann_file": str(tmp_path / "val.json"), "image_dir": "images/"})
    assert len(refused.value.problems) == 1
