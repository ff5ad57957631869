"""Pretrained weights arrive in the model through MMDetection's own loading, and nothing else in a checkpoint does."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

from runners.contract.errors import UserError
from runners.contract.records import AttemptSpec
from runners.mm_config import build_mm_config
from runners.pretrained import read_weights_only
from sweeper.planning.weights import cache_folder, needed_weights
from tests.composition import compose

SPEC = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)
NARROW = ("dataset=shapes", "dataset.root=shapes", "width=narrow", "image_size=96px")


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = cache_folder()
    folder.mkdir(parents=True)
    assert Path(torch.hub.get_dir()) / "checkpoints" == folder
    return folder


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50", "resnet101", "resnext101_32x4d"])
def test_imagenet_weights_reach_the_backbone(backbone: str) -> None:
    config = compose(*NARROW, f"backbone={backbone}")
    (weights,) = needed_weights(config)
    state = {"conv1.weight": torch.randn(64, 3, 7, 7)}
    torch.save(state, weights.path)
    model = _model(config)
    model.init_weights()
    assert torch.equal(model.backbone.conv1.weight, state["conv1.weight"])


def test_imagenet_weights_of_swins_authors_reach_the_backbone() -> None:
    config = compose(*NARROW, "backbone=swin_t")
    (weights,) = needed_weights(config)
    # The authors' names: layers for stages, proj for projection.
    state = {"layers.0.blocks.0.norm1.weight": torch.randn(96), "patch_embed.proj.weight": torch.randn(96, 3, 4, 4)}
    torch.save({"model": state}, weights.path)
    model = _model(config)
    model.init_weights()
    assert torch.equal(model.backbone.stages[0].blocks[0].norm1.weight, state["layers.0.blocks.0.norm1.weight"])
    assert torch.equal(model.backbone.patch_embed.projection.weight, state["patch_embed.proj.weight"])


def test_coco_weights_reach_all_but_heads_of_other_classes(capsys: pytest.CaptureFixture[str]) -> None:
    config = compose(*NARROW, "weights=coco")
    (weights,) = needed_weights(config)
    of_coco = compose(*NARROW, "weights=none", f"dataset.classes=[{','.join(f'c{n}' for n in range(80))}]")
    state = _model(of_coco).state_dict()
    torch.save({"meta": {}, "state_dict": state}, weights.path)

    model, log = _loaded(config, capsys)
    loaded = model.state_dict()
    other = [name for name in state if state[name].shape != loaded[name].shape]
    assert other == [
        f"roi_head.bbox_head.{part}.{kind}" for part in ("fc_cls", "fc_reg") for kind in ("weight", "bias")
    ]
    for name in state:
        assert name in other or torch.equal(state[name], loaded[name]), name
    for name in other:
        assert f"size mismatch for {name}" in log


def test_a_detectors_file_goes_into_the_whole_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = _model(compose(*NARROW, "backbone=resnet18", "weights=none")).state_dict()
    path = tmp_path / "detector.pth"
    # What mmengine keeps beside the weights, which plain PyTorch refuses to read.
    torch.save({"state_dict": state, "message_hub": {"loss": HistoryBuffer([1.0], [1])}}, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path)
    model, log = _loaded(compose(*NARROW, "backbone=resnet18", "weights=file", f"weights.path={path}"), capsys)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert f"{path} holds a detector" in log


def test_a_backbones_file_goes_into_the_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = _model(compose(*NARROW, "backbone=resnet18", "weights=none")).backbone.state_dict()
    path = tmp_path / "resnet18.pth"
    torch.save(state, path)
    config = compose(*NARROW, "backbone=resnet18", "weights=file", f"weights.path={path}")
    model, log = _loaded(config, capsys)
    assert all(torch.equal(value, state[name]) for name, value in model.backbone.state_dict().items())
    assert f"{path} holds a backbone" in log


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("place", ["state_dict", "message_hub"])
def test_a_file_that_would_run_code_is_refused(place: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "hostile.pth"
    state: dict[str, Any] = {"backbone.conv1.weight": torch.zeros(1)}
    torch.save({"state_dict": state, place: {**state, "log": _Canary(canary)}}, path)
    with pytest.raises(UserError, match=r"unreadable file in weights\.path"):
        _mm_config(compose(*NARROW, "weights=file", f"weights.path={path}"))
    read_weights_only()
    with pytest.raises(UserError, match="unsafe checkpoint in weights"):
        CheckpointLoader.load_checkpoint(str(path))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"<html>not found</html>", "unreadable"), (b"PK\x03\x04cut", "unreadable"), (None, "no weights")],
)
def test_a_file_without_weights_is_refused(content: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if content is None:
        torch.save({"epoch": 3}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told):
        _mm_config(compose(*NARROW, "weights=file", f"weights.path={path}"))


def _mm_config(config: dict[str, Any]) -> Any:
    return build_mm_config(config, SPEC, Path("work"), 16)


def _model(config: dict[str, Any]) -> Any:
    register_all_modules()
    return MODELS.build(_mm_config(config).model)


def _loaded(config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """Do what training does before its first step; return the model and what the attempt's log would hold."""
    mm_cfg = _mm_config(config)
    runner = Runner(model=mm_cfg.model, work_dir=str(cache_folder()), load_from=mm_cfg.load_from, default_scope="mmdet")
    runner._init_model_weights()
    runner.load_or_resume()
    captured = capsys.readouterr()
    return runner.model, captured.out + captured.err
