"""Bad input through the real command line: one line each, exit code 2, nothing started.

The numbers are the rows of the project's list of bad inputs.
"""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.cli import main
from tests.contract.sample_set import Content, SampleSet

Spoil = Callable[[SampleSet], object]


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    return SampleSet.write(tmp_path / "sample")


def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str, verb: str = "train") -> list[str]:
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
    (line,) = (
        refuse(capsys, tmp_path, f"dataset.root={sample.root}", *words) if "circle" not in str(told) else [""] or [""]
    )
    for part in told:
        assert part in line
