"""From the `dataset` node to files that can be trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runners.contract.coco import read_coco
from runners.contract.coco_check import SplitContents, read_dataset
from runners.contract.errors import UserError
from runners.contract.findings import Findings
from sweeper.planning.dataset import prepare_dataset
from tests.contract.sample_set import SampleSet

SHAPES = {"n_train": 6, "n_val": 2, "n_test": 2, "image_px": 64, "n_classes": 2}


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    return SampleSet.write(tmp_path / "sample")


def test_a_plain_folder(sample: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prepared = prepare_dataset({**sample.node, "root": "sample", "classes": None}, Path("out"))
    assert prepared.node == {**sample.node, "classes": ["square", "circle"]}  # the root became absolute
    assert prepared.n_images == {"train": 8, "val": 4, "test": 4}
    assert prepared.labelled == {"train": True, "val": True, "test": True}
    assert prepared.warnings == []
    assert not (tmp_path / "out").exists()


def test_generated_data_has_its_own_place_and_is_written_once(tmp_path: Path) -> None:
    node = {**SampleSet(tmp_path).node, "root": None, "shapes": SHAPES}
    first = prepare_dataset(node, tmp_path / "out")
    root = Path(first.node["root"])
    assert root.parent == tmp_path / "out" / "data"
    written = (root / "train.json").stat().st_mtime_ns
    assert prepare_dataset(node, tmp_path / "out") == first
    assert (root / "train.json").stat().st_mtime_ns == written


def test_generated_data_may_be_given_a_place(tmp_path: Path) -> None:
    prepared = prepare_dataset({**SampleSet(tmp_path / "mine").node, "shapes": SHAPES}, tmp_path / "out")
    assert prepared.node["root"] == str(tmp_path / "mine")
    assert prepared.n_images["train"] == 6


class TestFolds:
    def prepare(self, sample: SampleSet, tmp_path: Path, fold: int | None, **changes: object) -> dict[str, object]:
        node = {**sample.node, "val": None, "n_folds": 4, **changes}
        prepared = prepare_dataset(node, tmp_path / "out", fold)
        return {**prepared.node, "fingerprint": prepared.fingerprint, "n_images": prepared.n_images}

    def test_train_and_val_are_the_folds(self, sample: SampleSet, tmp_path: Path) -> None:
        node = self.prepare(sample, tmp_path, 1)
        train, val = node["train"], node["val"]
        assert isinstance(train, dict)
        assert isinstance(val, dict)
        assert Path(val["ann_file"]).is_relative_to(tmp_path / "out" / "splits")
        assert val["image_dir"] == train["image_dir"] == "images/"
        n_images = {"train": 6, "val": 2, "test": 4}
        assert node["n_images"] == n_images
        assert len(read_coco(Path(train["ann_file"])).images) == 6

    def test_all_folds_share_the_fingerprint_of_the_whole_set(self, sample: SampleSet, tmp_path: Path) -> None:
        assert len({self.prepare(sample, tmp_path, fold)["fingerprint"] for fold in range(4)}) == 1

    def test_sixty_jobs_check_the_data_once(
        self, sample: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []

        def count_and_read(node: Mapping[str, Any]) -> tuple[SplitContents, Findings]:
            calls.append(node)
            return read_dataset(node)

        monkeypatch.setattr("sweeper.planning.dataset.read_dataset", count_and_read)
        for job in range(60):
            self.prepare(sample, tmp_path, job % 4)
        assert len(calls) == 1

    def test_an_edited_file_is_checked_again(self, sample: SampleSet, tmp_path: Path) -> None:
        self.prepare(sample, tmp_path, 0)
        sample.edit("train", lambda coco: coco["annotations"][0].update(bbox=None))
        with pytest.raises(UserError, match="box is not four numbers"):
            self.prepare(sample, tmp_path, 0)

    def test_a_val_file_that_is_named_but_not_there_is_no_second_val(self, sample: SampleSet, tmp_path: Path) -> None:
        (sample.root / "val.json").unlink()
        node = self.prepare(sample, tmp_path, 0, val={"ann_file": "val.json", "image_dir": "images/"})
        assert node["n_images"] == {"train": 6, "val": 2, "test": 4}

    @pytest.mark.parametrize(
        ("fold", "changes", "told"),
        [
            (None, {}, "missing value in fold: null; dataset.n_folds=4 wants one of 0 to 3"),
            (4, {}, "value out of range in fold: 4; dataset.n_folds=4 makes 0 to 3"),
            (0, {"n_folds": None}, "fold without a split in fold: 0"),
            (None, {"n_folds": None}, "no validation split in dataset.val: null"),
            (0, {"n_folds": 1}, "value out of range in dataset.n_folds: 1"),
            (0, {"n_folds": 9}, "too many folds in dataset.n_folds: 9"),
            (0, {"group_by": "video"}, "unknown image key in dataset.group_by: video"),
            (0, {"val": {"ann_file": "val.json", "image_dir": ""}}, "two validation splits in dataset.n_folds"),
        ],
    )
    def test_what_does_not_fit(
        self, sample: SampleSet, tmp_path: Path, fold: int | None, changes: dict[str, object], told: str
    ) -> None:
        with pytest.raises(UserError) as refused:
            self.prepare(sample, tmp_path, fold, **changes)
        assert refused.value.problems[0].startswith(told)

    def test_a_fold_without_a_box_is_refused(self, sample: SampleSet, tmp_path: Path) -> None:
        def label_one_image(coco: dict[str, list[dict[str, int]]]) -> None:
            coco["annotations"] = [box for box in coco["annotations"] if box["image_id"] == 1]

        sample.edit("train", label_one_image)
        results = []
        for fold in range(4):
            try:
                self.prepare(sample, tmp_path, fold)
                results.append("trained")
            except UserError as refused:
                results.append(str(refused))
        # The labelled image is val in one fold, where nothing is left to train on, and train in the others.
        assert sum("no box to train on" in result for result in results) == 1
        assert sum("the best checkpoint is chosen on it" in result for result in results) == 3


def test_the_study_set_without_val_and_with_an_unlabelled_test(sample: SampleSet, tmp_path: Path) -> None:
    sample.edit("test", lambda coco: coco.pop("annotations"))
    prepared = prepare_dataset({**sample.node, "val": None, "n_folds": 4}, tmp_path / "out", 0)
    assert prepared.labelled == {"train": True, "val": True, "test": False}
    assert prepared.warnings == [
        f"test split is not labelled ({sample.root / 'test.json'}): it is predicted, not scored"
    ]


class TestBrokenImages:
    def spoil(self, sample: SampleSet) -> None:
        sample.image(number=1).write_bytes(b"")
        sample.image(number=5).write_text("<html>")
        sample.image("val", 2).write_bytes(sample.image("val", 2).read_bytes()[:500])

    def test_are_refused_unless_asked_for(self, sample: SampleSet, tmp_path: Path) -> None:
        self.spoil(sample)
        with pytest.raises(UserError, match=r"2 of 8 images .*dataset\.skip_broken_images=true"):
            prepare_dataset(sample.node, tmp_path / "out")

    def test_are_left_out_and_counted(self, sample: SampleSet, tmp_path: Path) -> None:
        self.spoil(sample)
        whole = read_coco(sample.root / "train.json")
        prepared = prepare_dataset({**sample.node, "skip_broken_images": True}, tmp_path / "out")
        assert prepared.n_images == {"train": 6, "val": 3, "test": 4}
        assert prepared.warnings[0].startswith(
            "train is used without 2 of 8 images (train_00001.png: 0 bytes, train_0000"
        )
        assert prepared.warnings[1].startswith("val is used without 1 of 4 images (val_00002.png: damaged")
        kept = read_coco(Path(prepared.node["train"]["ann_file"]))
        assert [image["id"] for image in kept.images] == [1, 3, 4, 5, 7, 8]
        assert kept.annotations == [box for box in whole.annotations if box["image_id"] not in (2, 6)]
        assert prepared.node["test"] == sample.node["test"]

    def test_folds_are_made_of_what_is_left(self, sample: SampleSet, tmp_path: Path) -> None:
        self.spoil(sample)
        node = {**sample.node, "val": None, "n_folds": 3, "skip_broken_images": True}
        assert prepare_dataset(node, tmp_path / "out", 0).n_images == {"train": 4, "val": 2, "test": 4}

    def test_a_missing_image_is_never_left_out(self, sample: SampleSet, tmp_path: Path) -> None:
        sample.image().unlink()
        with pytest.raises(UserError, match="image missing"):
            prepare_dataset({**sample.node, "skip_broken_images": True}, tmp_path / "out")


def test_all_problems_at_once(sample: SampleSet, tmp_path: Path) -> None:
    sample.image().unlink()
    sample.edit("val", lambda coco: coco["categories"].reverse())
    with pytest.raises(UserError) as refused:
        prepare_dataset({**sample.node, "classes": ["square"]}, tmp_path, fold=2)
    starts = [problem.partition(":")[0] for problem in refused.value.problems]
    assert starts == [
        "fold without a split in fold",
        f"image missing in {sample.root / 'images'} (dataset.train.image_dir)",
        f"class order differs between splits in {sample.root / 'val.json'}",
        "class list differs from the data in dataset.classes",
    ]


def test_no_root(tmp_path: Path) -> None:
    for root in (None, "", "???"):
        with pytest.raises(UserError, match=r"missing value in dataset.root: .*; give dataset.root="):
            prepare_dataset({**SampleSet(tmp_path).node, "root": root}, tmp_path)
