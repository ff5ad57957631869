"""MMDetection's published numbers, read from the installed package."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from reports.read import read_runs
from reports.zoo import backbone_title, detector_title, find_entry, read_zoo, schedule_title
from reports.zoo_table import zoo_table
from tests.reports.sweep_writing import WrittenJob, write_sweep

R50 = {"detector": "faster_rcnn", "backbone": "resnet50", "neck": "fpn", "n_epochs": "12", "width": "standard"}


# The numbers of mmdet's own README tables; they stand here, and only here, to check what is read.
@pytest.mark.parametrize(
    ("differing", "box_ap", "memory_gb"),
    [
        ({}, 37.4, 4.0),
        ({"n_epochs": "24"}, 38.4, 4.0),
        ({"backbone": "resnet101"}, 39.4, 6.0),
        ({"backbone": "resnet101", "n_epochs": "24"}, 39.8, 6.0),
        ({"backbone": "resnext101_32x4d"}, 41.2, 7.2),
        ({"backbone": "resnext101_32x4d", "n_epochs": "24"}, 41.2, 7.2),
        ({"neck": "pafpn"}, 37.5, 4.0),
        ({"box_loss": "l1"}, 37.4, 4.0),
        ({"box_loss": "giou"}, 37.6, None),
        ({"detector": "retinanet"}, 36.5, 3.8),
        ({"detector": "cascade_rcnn"}, 40.3, 4.4),
        ({"detector": "cascade_rcnn", "backbone": "resnext101_64x4d", "n_epochs": "20"}, 44.5, 10.7),
    ],
)
def test_the_published_model_of_the_same_architecture(
    differing: dict[str, str], box_ap: float, memory_gb: float | None
) -> None:
    entry = find_entry({**R50, **differing})
    assert entry is not None
    assert 100 * entry.box_ap == pytest.approx(box_ap)
    assert entry.memory_gb == memory_gb
    assert entry.n_epochs == int({**R50, **differing}["n_epochs"])


def test_a_config_of_the_zoo_is_told_by_its_name() -> None:
    read = {"detector": "rtmdet_tiny_8xb32-300e_coco", "n_epochs": "300"}
    entry = find_entry({**read, "detector_config": "rtmdet/rtmdet_tiny_8xb32-300e_coco"})
    assert entry is not None
    assert 100 * entry.box_ap == pytest.approx(40.9)
    assert find_entry({**read, "detector_config": "rtmdet/rtmdet_tiny_8xb32-300e_coco", "n_epochs": "4"}) is None
    assert find_entry({**read, "detector_config": "mine/rtmdet_tiny_8xb32-300e_coco.py"}) is None
    assert backbone_title({"detector_config": "mine/own.py"}) == "its own"


@pytest.mark.parametrize(
    "differing",
    [
        {"width": "narrow"},
        {"n_epochs": "4"},
        {"backbone": "swin_t"},
        {"backbone": "resnet18"},
        {"box_loss": "smooth_l1"},
        {"detector": "my_detector"},
    ],
)
def test_what_is_not_published_has_no_number(differing: dict[str, str]) -> None:
    assert find_entry({**R50, **differing}) is None


def test_the_whole_zoo_is_read_without_mmdet_being_imported() -> None:
    code = "import sys; from reports.zoo import read_zoo; print(len(read_zoo()), 'mmdet' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    n_entries, is_imported = shown.stdout.split()
    assert int(n_entries) > 400
    assert is_imported == "False"
    assert all(0 < entry.box_ap < 1 for entry in read_zoo().values())


def test_titles_are_the_zoos_own() -> None:
    assert backbone_title({**R50, "backbone": "resnext101_32x4d"}) == "X-101-32x4d-FPN"
    assert backbone_title({**R50, "backbone": "swin_t", "neck": "pafpn"}) == "Swin-T-PAFPN"
    assert backbone_title({**R50, "width": "narrow"}) == "R-50-FPN (narrow)"
    assert backbone_title({**R50, "backbone": "my_net"}) == "my-net-FPN"
    assert detector_title({"detector": "cascade_rcnn"}) == "Cascade R-CNN"
    assert [schedule_title({"n_epochs": number}) for number in ("12", "24", "20", "4")] == ["1x", "2x", "20e", "4e"]


def test_ours_and_theirs_stand_beside_each_other_with_what_differs(tmp_path: Path) -> None:
    jobs = [
        WrittenJob(0.6),
        WrittenJob(0.7, {"backbone": "resnet101", "image_size": "coco"}),
        WrittenJob(0.5, {"width": "narrow"}),
    ]
    table = zoo_table(read_runs(write_sweep(tmp_path, jobs)).runs)
    shown = {row.cells[-1].text: [cell.text for cell in row.cells[:-1]] for row in table.rows}
    assert shown["faster-rcnn_resnet50_fpn_sgd_512"][5:] == ["4.0", "37.4", "image size 512px"]
    assert shown["faster-rcnn_resnet101_fpn_sgd_coco"][5:] == ["6.0", "39.4", "none"]
    narrow = shown["faster-rcnn_resnet50_fpn_sgd_512_narrow"]
    assert narrow[1] == "R-50-FPN (narrow)"
    assert narrow[5:] == ["–", "–", "–"]


def test_a_report_outlives_a_missing_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = read_runs(write_sweep(tmp_path, [WrittenJob(0.6)])).runs
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: None)
        read_zoo.cache_clear()
        table = zoo_table(runs)
    assert [cell.text for cell in table.rows[0].cells[5:8]] == ["–", "–", "–"]
    assert any("could not be read: package mmdet" in note for note in table.notes)
    # The failure was not remembered.
    assert zoo_table(runs).rows[0].cells[6].text == "37.4"
