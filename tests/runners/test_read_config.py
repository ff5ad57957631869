"""Configs of both kinds become plain data, in a process that imports neither PyTorch nor MMDetection."""

import subprocess
import sys
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.tuple_json import load_with_tuples
from runners.read_config import main, read_config
from tests.contract.test_mm_sources import FASTER, ZOO, write

NEWER = """
from mmengine.config import read_base
with read_base():
    from .newer_base import *
from torch.nn import GroupNorm
from torch.optim import SGD
from mmcv.ops import RoIAlign, nms
from mmdet.models.detectors import FasterRCNN
model = dict(
    type=FasterRCNN,
    layer=dict(type=RoIAlign, output_size=(7, 7)),
    norm_cfg=dict(type=GroupNorm),
    nms=dict(type=nms),
)
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.01))
"""


def problems_of(path: Path, *trusted: Path) -> list[str]:
    with pytest.raises(UserError) as refused:
        read_config(path, trusted)
    return list(refused.value.problems)


def test_a_config_and_its_bases(tmp_path: Path) -> None:
    """What mmengine understands is understood: bases, what replaces them, variables of a base, ``mmdet::``."""
    own = write(
        tmp_path / "own.py",
        f"_base_ = 'mmdet::{FASTER}'\n"
        "name = '{{ fileBasenameNoExtension }}'\n"
        "model = dict(backbone=dict(depth=101), neck=dict(_delete_=True, type='PAFPN'), rpn_head=dict(name=name))\n"
        "train_dataloader = dict(dataset=dict(backend_args={{_base_.backend_args}}, scale=(1, 2)))\n",
    )
    config = read_config(own, [tmp_path, ZOO])
    assert config["model"]["backbone"]["depth"] == 101
    assert config["model"]["backbone"]["type"] == "ResNet"
    assert config["model"]["neck"] == {"type": "PAFPN"}
    assert config["model"]["rpn_head"]["name"] == "own"
    assert config["model"]["backbone"]["out_indices"] == (0, 1, 2, 3)
    assert config["train_dataloader"]["dataset"]["scale"] == (1, 2)
    assert config["train_dataloader"]["dataset"]["pipeline"][0] == {"type": "LoadImageFromFile", "backend_args": None}
    assert "default_hooks" not in config
    assert "_scope_" not in str(config)


def test_a_config_of_the_newer_kind_names_what_is_registered(tmp_path: Path) -> None:
    write(tmp_path / "newer_base.py", "train_cfg = dict(max_epochs=12)\n")
    config = read_config(write(tmp_path / "newer.py", NEWER), [tmp_path])
    assert config["model"] == {
        "type": "FasterRCNN",
        "layer": {"type": "RoIAlign", "output_size": (7, 7)},
        "norm_cfg": {"type": "GN"},
        "nms": {"type": "nms"},
    }
    assert config["optim_wrapper"]["optimizer"]["type"] == "SGD"
    assert config["train_cfg"] == {"max_epochs": 12}


def test_what_a_config_of_2x_is_told_by(tmp_path: Path) -> None:
    own = write(
        tmp_path / "old.py", "data = dict(samples_per_gpu=2)\nlr_config = dict(policy='step')\ntotal_epochs = 12\n"
    )
    assert read_config(own, [tmp_path]) == {"data": True, "lr_config": True, "total_epochs": True}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 1\nmodel = dict(type=nothing)\n", "NameError: name 'nothing' is not defined at line 2 of {path}"),
        ("model = dict(a={1, 2})\n", "no plain data in {path}: model.a is set"),
        ("model = dict(a=[dict(b=lambda x: x)])\n", "no plain data in {path}: model.a.0.b is function"),
        ("model = {1: 2}\n", "no plain data in {path}: key 1 at model is int"),
        ("custom_imports = dict(imports=['canary_module'])\n", None),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, text: str, told: str | None) -> None:
    path = write(tmp_path / "own.py", text)
    write(tmp_path / "canary_module.py", "raise SystemExit('imported')\n")
    if told is None:
        assert read_config(path, [tmp_path]) == {"custom_imports": {"imports": ["canary_module"]}}
        return
    (problem,) = problems_of(path, tmp_path)
    assert told.format(path=path) in problem
    assert "\n" not in problem


def test_the_process_answers_in_json_and_imports_little(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = write(tmp_path / "own.py", "print('hello')\nmodel = dict(type='X', a=(1, 2))\n")
    assert main([str(own), "--trusted", str(tmp_path)]) == 0
    assert load_with_tuples(capsys.readouterr().out) == {"config": {"model": {"type": "X", "a": (1, 2)}}}
    assert main([str(own), "--trusted", str(tmp_path / "other")]) == 0
    assert "outside the trusted folders" in load_with_tuples(capsys.readouterr().out)["problems"][0]
    code = (
        f"import sys; from runners.read_config import main; main([{str(own)!r}, '--trusted', {str(tmp_path)!r}]); "
        "sys.exit(bool({'torch', 'mmdet', 'mmcv'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True, capture_output=True)
