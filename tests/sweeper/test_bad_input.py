"""Bad input through the real command line: one line each, exit code 2, nothing started.

The numbers are the rows of the project's list of bad inputs.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.cli import main
from tests.contract.sample_set import Content, SampleSet

Spoil = Callable[[SampleSet], object]


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    return SampleSet.write(tmp_path / "sample")


def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str, verb: str = "plan") -> list[str]:
    """Run a command line that has to be refused; return its lines."""
    output_dir = tmp_path / "out"
    assert main([verb, f"output_dir={output_dir}", "gpus=none", "batch_size=2", "tracking=off", *words]) == 2
    written = capsys.readouterr()
    lines = written.err.splitlines()
    assert lines
    assert all(line.startswith("error: ") for line in lines), written.err
    # Nothing of a sweep is left behind; generated data and folds may be.
    left = [path.name for path in output_dir.iterdir()] if output_dir.exists() else []
    assert set(left) <= {"data", "splits"}
    return lines


COMMAND_LINES: dict[str, tuple[list[str], list[str]]] = {
    "1 detector": (
        ["detector=fast_rcnn"],
        ["unknown detector", "did you mean 'faster_rcnn'?", "choices: cascade_rcnn"],
    ),
    "1 backbone": (["backbone=resnet50,resnet5"], ["unknown backbone", "choices: resnet101, resnet18"]),
    "1 neck": (["neck=fnp"], ["unknown neck", "did you mean 'fpn'?", "choices: fpn, pafpn"]),
    "3 no value": (["backbone="], ["axis 'backbone' has none"]),
    "3 empty value in an axis": (["optimizer.lr=0.1,,0.2"], ["stops at the ^ in optimizer.lr=0.1,^,0.2"]),
    "4 too many jobs": (
        ["seed=range(1000)", "optimizer.lr=0.1,0.2", "job_limit=500"],
        ["2000 jobs", "limit 500", "job_limit"],
    ),
    "5 misspelt key": (["optimizr.lr=0.1"], ["no setting 'optimizr.lr'", "did you mean 'optimizer.lr'?"]),
    "5 misspelt axis": (["optimizr.lr=0.1,0.2"], ["no setting 'optimizr.lr'", "did you mean 'optimizer.lr'?"]),
    "6 text for a number": (["optimizer.lr=abc"], ["wrong type", "optimizer.lr=abc", "number above 0"]),
    "6 text in an axis": (["optimizer.lr=0.1,abc"], ["wrong type", "optimizer.lr=abc"]),
    "6 lr 0": (["optimizer.lr=0"], ["optimizer.lr: 0; a finite number above 0"]),
    "6 lr below 0": (["optimizer.lr=-1"], ["optimizer.lr: -1"]),
    "6 lr NaN": (["optimizer.lr=nan"], ["optimizer.lr: nan"]),
    "6 lr inf": (["optimizer.lr=inf"], ["optimizer.lr: inf"]),
    "7 size 0": (["image_size.scale=[0,0]"], ["image_size.scale: [0, 0]", "from 32 to 4096"]),
    "7 size huge": (["image_size.scale=[99999,512]"], ["image_size.scale: [99999, 512]"]),
    "7 size as a number": (["image_size=512"], ["unknown image_size", "did you mean '512px'?"]),
    "8 batch 0": (["batch_size=0"], ["batch_size: 0; a whole number from 1"]),
    "8 epochs below 0": (["n_epochs=-3"], ["n_epochs: -3"]),
    "8 batch over images": (["batch_size=9"], ["batch_size: 9; the training split has 8 images"]),
    "9 missing": (["dataset.root=???"], ["missing value in dataset.root"]),
    "9 circle": (["seed=${fold}", "fold=${seed}"], ["broken interpolation in seed: ${fold}", "leads back to itself"]),
    "9 nowhere": (["seed=${sed}"], ["broken interpolation in seed", "did you mean 'seed'?"]),
    "10 bracket": (["seed=[1,2"], ["seed=[1,2^ (column 10)", "quotes"]),
    "10 quote": (["name='x"], ["name=^'x", "quotes"]),
    "two recipes": (["recipe=swin_neck,swin_sizes"], ["two recipes"]),
    "seed below 0": (["seed=-1"], ["seed: -1; a whole number from 0"]),
    "fold without folds": (["fold=0"], ["fold without a split in fold: 0"]),
    "fold too high": (
        ["dataset.n_folds=2", "dataset.val=null", "fold=0,2"],
        ["fold: 2; dataset.n_folds=2 makes 0 to 1"],
    ),
    "no val": (["dataset.val=null"], ["no validation split"]),
    "24 number of classes": (
        ["model.roi_head.bbox_head.num_classes=80"],
        ["model.roi_head.bbox_head.num_classes: 80", "data set has 2"],
    ),
    "23 classes": (["dataset.classes=[square,circel]"], ["['square', 'circel']", "['square', 'circle']"]),
    "17 root": (["dataset.root=/no/such/folder"], ["data root missing in dataset.root: /no/such/folder"]),
    "17 annotation file": (["dataset.val.ann_file=no.json"], ["annotation file missing in dataset.val.ann_file"]),
    "17 a folder": (["dataset.val.ann_file=images"], ["dataset.val.ann_file", "a folder"]),
}


@pytest.mark.parametrize(("words", "told"), COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_wrong_command_line(
    sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: list[str]
) -> None:
    lines = refuse(capsys, tmp_path, f"dataset.root={sample.root}", *words)
    assert len(lines) == (2 if "${fold}" in words[0] else 1), lines  # both ends of a circle are told
    for part in told:
        assert part in lines[0]


def spoil_boxes(coco: Content) -> None:
    broken = [None, [1, 2, 3], [1, 2, math.nan, 4], [1, 2, -3, 4], [1, 2, 0, 4], [99, 2, 3, 4]]
    for number, (box, bbox) in enumerate(zip(coco["annotations"], broken, strict=False)):
        box["bbox"] = bbox
        box["id"] = 900 + number


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_annotations(data: SampleSet) -> None:
    cut(data.root / "train.json")


def lose_six_images(data: SampleSet) -> None:
    for number in range(6):
        data.image(number=number).unlink()


def break_three_images(data: SampleSet) -> None:
    cut(data.image())
    data.image("val").write_bytes(b"")
    data.image("test").write_text("x")


def spoil_every_split(data: SampleSet) -> None:
    data.edit("train", lambda coco: coco["annotations"][0].update(category_id=9))
    (data.root / "val.json").unlink()
    data.image("test").unlink()


DATA_SETS: dict[str, tuple[Spoil, list[list[str]]]] = {
    "18 truncated": (cut_annotations, [["broken JSON", "train.json", "line", "column"]]),
    "18 no JSON": (
        lambda data: (data.root / "val.json").write_text("<html>"),
        [["broken JSON", "val.json", "line 1, column 1"]],
    ),
    "19 a list": (
        lambda data: (data.root / "train.json").write_text("[]"),
        [["JSON is not COCO", "a list at the top"]],
    ),
    "19 keys": (lambda data: data.edit("train", lambda coco: coco.pop("categories")), [["no 'categories'"]]),
    "20 image id": (
        lambda data: data.edit("train", lambda coco: coco["annotations"][0].update(image_id=77)),
        [["unknown image id", "1 annotation (ids 10)", "77"]],
    ),
    "20 category id": (
        lambda data: data.edit("val", lambda coco: coco["annotations"][0].update(category_id=77)),
        [["unknown category id", "val.json", "1 annotation", "77"]],
    ),
    "21 boxes": (
        lambda data: data.edit("train", spoil_boxes),
        [
            ["box is not four numbers", "2 annotations (ids 900, 901)"],
            ["box holds NaN or infinity", "ids 902"],
            ["box of zero or negative size", "2 annotations (ids 903, 904)"],
            ["box outside its image", "ids 905"],
        ],
    ),
    "21 area": (
        lambda data: data.edit("train", lambda coco: coco["annotations"][0].pop("area")),
        [["area missing", "1 annotation (ids 10)"]],
    ),
    "22 image ids": (
        lambda data: data.edit("train", lambda coco: coco["images"][1].update(id=1)),
        [["duplicate image ids", "1 id (1)"]],
    ),
    "22 annotation ids": (
        lambda data: data.edit("test", lambda coco: [box.update(id=5) for box in coco["annotations"]]),
        [["duplicate annotation ids", "1 id (5)"]],
    ),
    "23 another spelling": (
        lambda data: data.edit("val", lambda coco: coco["categories"][0].update(name="Square")),
        [["class list differs", "['Square', 'circle']", "['square', 'circle']"]],
    ),
    "25 order": (
        lambda data: data.edit("val", lambda coco: coco["categories"].reverse()),
        [["class order differs", "val has ['circle', 'square'], train has ['square', 'circle']"]],
    ),
    "26 no image": (
        lambda data: data.edit("val", lambda coco: coco.update(images=[], annotations=[])),
        [["empty split", "val.json"]],
    ),
    "26 nothing left": (
        lambda data: data.edit("train", lambda coco: [box.update(ignore=1) for box in coco["annotations"]]),
        [["no box to train on", "annotations, 0 not marked 'ignore'"]],
    ),
    "27 missing images": (
        lose_six_images,
        [["image missing", "6 of 8 images", "train_00004.png, ..."]],
    ),
    "28 broken images": (
        break_three_images,
        [["train_00000.png: damaged"], ["val_00000.png: 0 bytes"], ["test_00000.png: not an image"]],
    ),
    "29 another size": (
        lambda data: data.edit("train", lambda coco: coco["images"][2].update(height=65)),
        [["image size differs", "train_00002.png: JSON 64x65, file 64x64"]],
    ),
    "30 absolute": (
        lambda data: data.edit("train", lambda coco: coco["images"][0].update(file_name="/etc/hosts")),
        [["leaves the image folder", "/etc/hosts"]],
    ),
    "30 upwards": (
        lambda data: data.edit("train", lambda coco: coco["images"][0].update(file_name="../../secret.png")),
        [["leaves the image folder", "../../secret.png"]],
    ),
    "all at once": (
        spoil_every_split,
        [["annotation file missing in dataset.val.ann_file"], ["unknown category id"], ["image missing"]],
    ),
}


@pytest.mark.parametrize(("spoil", "told"), DATA_SETS.values(), ids=DATA_SETS)
def test_a_spoiled_data_set(
    sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil, told: list[list[str]]
) -> None:
    spoil(sample)
    lines = refuse(capsys, tmp_path, f"dataset.root={sample.root}")
    assert len(lines) == len(told), lines
    for parts in told:
        assert any(all(part in line for part in parts) for line in lines), (parts, lines)


def test_problems_of_groups_keys_and_grammar_come_together(
    sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["backbone=resnet50,resnet5", "optimizr.lr=1", "neck=fnp", "seed=[1"]
    told = "\n".join(refuse(capsys, tmp_path, f"dataset.root={sample.root}", *words))
    for part in ("resnet5;", "'optimizr.lr'", "fnp;", "seed=[1^"):
        assert part in told


def test_problems_of_all_jobs_come_together(
    sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["seed=-1,0", "n_epochs=1.5", "batch_size=0"]
    told = "\n".join(refuse(capsys, tmp_path, f"dataset.root={sample.root}", *words))
    for part in ("seed: -1", "n_epochs: 1.5", "batch_size: 0"):
        assert part in told


def test_more_than_twenty_problems_are_counted(
    sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"no_setting_{number}=1" for number in range(23)]
    lines = refuse(capsys, tmp_path, f"dataset.root={sample.root}", *words)
    assert len(lines) == 21
    assert lines[-1] == "error: ... and 3 more problems"


@pytest.mark.parametrize("verb", ["train", "check"])
def test_verbs_that_train_refuse_before_they_start(
    sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    sample.image().unlink()
    (line,) = refuse(capsys, tmp_path, f"dataset.root={sample.root}", verb=verb)
    assert "image missing" in line


class TestAccepted:
    """What looks odd and is right."""

    def plan(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str) -> str:
        code = main(["plan", f"output_dir={tmp_path / 'out'}", "batch_size=2", *words])
        written = capsys.readouterr()
        assert code == 0, written.err
        return written.out

    def test_class_names_in_any_script_and_with_any_punctuation(
        self, sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def rename(coco: Content) -> None:
            coco["categories"][0]["name"] = "プラスチック, {x} [red]: 'it\"s' = $5/kg?"
            coco["categories"][1]["name"] = "- \\🙂"

        def rename_to_what_omegaconf_reads(coco: Content) -> None:
            coco["categories"][0]["name"] = "${x"
            coco["categories"][1]["name"] = "???"

        for change in (rename, rename_to_what_omegaconf_reads):
            sample.edit_all(change)
            assert "1 job" in self.plan(capsys, tmp_path, f"dataset.root={sample.root}")

    def test_the_same_image_in_train_and_val_is_a_note(
        self, sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Row 31."""
        sample.edit("val", lambda coco: coco["images"][0].update(file_name="train_00000.png"))
        shown = self.plan(capsys, tmp_path, f"dataset.root={sample.root}")
        assert "note: 1 image of val also in train" in shown

    def test_duplicate_values_of_an_axis_are_trained_once(
        self, sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Row 3."""
        shown = self.plan(capsys, tmp_path, f"dataset.root={sample.root}", "seed=1,1,2")
        assert "2 jobs" in shown
        assert "more than once" in shown

    def test_the_study_set_as_it_comes(
        self, sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def name_from_the_root(coco: Content) -> None:
            for image in coco["images"]:
                image["file_name"] = f"images/{image['file_name']}"

        (sample.root / "val.json").unlink()
        sample.edit("test", lambda coco: coco.pop("annotations"))
        sample.edit("train", name_from_the_root)
        sample.edit("test", name_from_the_root)
        words = ["dataset=recycle_trash", f"dataset.root={sample.root}", "fold=0,1,2,3,4"]
        shown = self.plan(capsys, tmp_path, *words)
        assert "5 jobs" in shown
        assert "test split is not labelled" in shown
