"""Checkpoints of others taken into jobs: weights, classes and epoch, and nothing that a file would have run."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from runners.checkpoints import load_checkpoint
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.import_jobs import take_in
from tests.runners.conftest import JobMaker

CLASSES = ("square", "circle", "triangle")


def saved(path: Path, classes: tuple[str, ...] = CLASSES, **more: object) -> Path:
    meta = {"epoch": 7, "iter": 70, "cfg": "raise RuntimeError", "dataset_meta": {"classes": classes}}
    torch.save({"state_dict": {"module.a.weight": torch.ones(2)}, "meta": meta, **more}, path)
    return path


@pytest.fixture
def job(make_job: JobMaker) -> JobFolder:
    return make_job()


def told(job: JobFolder, checkpoint: Path) -> dict[str, object]:
    return {"job": str(job.path), "checkpoint": str(checkpoint), "n_train_images": 16}


def test_weights_classes_and_epoch_are_kept_and_nothing_else(job: JobFolder, tmp_path: Path) -> None:
    answer = take_in(told(job, saved(tmp_path / "epoch_7.pth", optimizer={"state": {1: torch.zeros(9)}})))
    kept = job.checkpoints / "a1_best.pth"
    assert answer == {"epoch": 7, "classes": list(CLASSES), "sha256": sha256_of(kept)}
    content = load_checkpoint(kept, "cpu")
    assert content.keys() == {"state_dict", "meta"}
    assert list(content["state_dict"]) == ["a.weight"]
    assert content["meta"] == {"attempt": 1, "epoch": 7, "dataset_meta": {"classes": list(CLASSES)}}
    assert Config.fromfile(job.mmdet_config).test_dataloader.dataset.type == "CocoDataset"


class Canary:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self._path}'",)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(job: JobFolder, tmp_path: Path, form: str) -> None:
    canary, path = tmp_path / "canary", tmp_path / "epoch_1.pth"
    if form == "torch":
        saved(path, message_hub=Canary(canary))
    else:
        path.write_bytes(pickle.dumps({"state_dict": {}, "meta": Canary(canary)}))
    with pytest.raises(UserError, match=r"unsafe checkpoint|no torch file"):
        take_in(told(job, path))
    assert not canary.exists()
    assert not list(job.path.rglob("*.pth"))


def test_other_classes_are_refused_and_another_order_is_not(job: JobFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trained on cat, dog, the data has"):
        take_in(told(job, saved(tmp_path / "cats.pth", ("cat", "dog"))))
    assert not list(job.path.rglob("*.pth"))
    answer = take_in(told(job, saved(tmp_path / "other.pth", tuple(reversed(CLASSES)))))
    assert answer["classes"] == list(reversed(CLASSES))
