"""What a Python config consists of is known, and where it lies, before any of it is executed."""

import importlib.util
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.mm_sources import find_sources, is_repeatable, parse_config

_MMDET = importlib.util.find_spec("mmdet")
assert _MMDET is not None
assert _MMDET.origin is not None
ZOO = Path(_MMDET.origin).parent / ".mim" / "configs"
FASTER = "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, *trusted: Path) -> str:
    with pytest.raises(UserError) as refused:
        find_sources(path, trusted)
    (problem,) = refused.value.problems
    return problem


def test_all_bases_are_found_each_once(tmp_path: Path) -> None:
    write(tmp_path / "base.py", "a = 1\n")
    write(tmp_path / "middle.py", "_base_ = ['base.py']\n")
    own = write(tmp_path / "own.py", f"_base_ = ('middle.py', './base.py', 'mmdet::{FASTER}')\n")
    found = find_sources(own, [tmp_path, ZOO])
    assert [path.name for path in found[:4]] == ["own.py", "middle.py", "base.py", "faster-rcnn_r50_fpn_1x_coco.py"]
    assert ZOO / "_base_/datasets/coco_detection.py" in found
    assert len(set(found)) == len(found)


def test_bases_of_the_newer_kind_are_found(tmp_path: Path) -> None:
    write(tmp_path / "bases" / "runtime.py", "a = 1\n")
    text = "from mmengine.config import read_base\nwith read_base():\n    from ..bases.runtime import *\n"
    own = write(tmp_path / "nets" / "own.py", text)
    assert find_sources(own, [tmp_path]) == [own, tmp_path / "bases" / "runtime.py"]


@pytest.mark.parametrize("is_base", [False, True])
@pytest.mark.parametrize("is_link", [False, True])
def test_what_lies_elsewhere_is_refused_and_not_executed(tmp_path: Path, is_base: bool, is_link: bool) -> None:
    canary = tmp_path / "canary"
    foreign = write(tmp_path / "foreign" / "evil.py", f"open({str(canary)!r}, 'w')\n")
    inside = tmp_path / "project" / "linked.py"
    inside.parent.mkdir()
    inside.symlink_to(foreign)
    named = inside if is_link else foreign
    asked = write(tmp_path / "project" / "own.py", f"_base_ = {str(named)!r}\n") if is_base else named
    told = refusal(asked, tmp_path / "project")
    assert told.startswith(
        f"config outside the trusted folders in {asked if is_base else 'detector.config'}: {foreign};"
    )
    assert str(foreign.parent) in told
    assert "trusted_folders in detsweep.yaml" in told
    assert not canary.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = (1,\nb = 2\n", "broken Python in {path}: '(' was never closed at line 1, column 5"),
        ("import os\n_base_ = os.environ['BASE']\n", "base not plain in {path}: _base_ at line 2"),
        ("_base_ = '{{ fileDirname }}/x.py'\n", "base not plain in {path}: _base_ at line 1"),
        ("_base_ = './none.py'\n", "config missing in {path}: {folder}/none.py (no such file)"),
        ("_base_ = 'mmpose::a/b.py'\n", "base missing in {path}: _base_ names mmpose::a/b.py; package mmpose is not"),
        ("with read_base():\n    from . import x\n", "base not plain in {path}: line 2"),
    ],
)
def test_what_cannot_be_told_without_executing_it(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path / "own.py", text)
    assert refusal(path, tmp_path).startswith(told.format(path=path, folder=tmp_path))


def test_what_is_no_config(tmp_path: Path) -> None:
    assert "(no such file)" in refusal(tmp_path / "none.py", tmp_path)
    assert "(a folder)" in refusal(tmp_path, tmp_path)
    assert "a .py file" in refusal(write(tmp_path / "a.yaml", "a: 1\n"), tmp_path)


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("a = 1\n", True),
        ("from mmdet.models import FasterRCNN\na = FasterRCNN\n", True),
        ("import time\na = time.time()\n", False),
        ("a = '{{$HOME:x}}'\n", False),
        ("a = open('a.txt').read()\n", False),
    ],
)
def test_what_asks_the_world_is_read_each_time(tmp_path: Path, text: str, is_kept: bool) -> None:
    assert is_repeatable(parse_config(write(tmp_path / "a.py", text)), text) is is_kept
