"""``detsweep evaluate`` and ``detsweep predict`` on a job that was really trained."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

import sweeper.runs.evaluation
from runners.contract.evaluations import EvaluationResult, EvaluationSpec
from runners.contract.folder import EvaluationFolder, JobFolder
from runners.contract.yamlfile import load_yaml
from runners.evaluate_job import evaluate_job
from sweeper.cli import main
from sweeper.runs.evaluation_process import Advance, HeldDevice
from tests.runners.conftest import Trained
from tests.runners.warm_server import PATIENCE_S

pytestmark = pytest.mark.train


@pytest.fixture
def job(trained: Trained, tmp_path: Path) -> JobFolder:
    """A copy of the trained job, to evaluate in."""
    shutil.copytree(trained[0].path, tmp_path / "0001")
    return JobFolder(tmp_path / "0001")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Evaluate in this process, which has imported everything; a process of its own is tested once, below."""

    def run(
        folder: EvaluationFolder, spec: EvaluationSpec, held: HeldDevice, n_workers: int | None, advance: Advance
    ) -> EvaluationResult:
        filled = dataclasses.replace(spec, device=held.device.kind)
        filled.write(folder)
        result = evaluate_job(folder, filled, advance)
        result.write(folder)
        return result

    monkeypatch.setattr(sweeper.runs.evaluation, "run_evaluation", run)
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)  # a command sets it for all that it makes


def detsweep(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("detsweep")), *words]


def test_a_run_is_evaluated_in_a_process_of_its_own_and_not_twice(job: JobFolder, tmp_path: Path) -> None:
    words = detsweep("evaluate", str(job.path), "gpus=none", "log=false", f"output_dir={tmp_path}")
    shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    folder = job.evaluation("val")
    stored = json.loads((job.predictions / "a1_val_best.json").read_text())
    assert json.loads(folder.detections.read_text()) == stored
    spec = EvaluationSpec.read(folder)
    assert (spec.device, spec.checkpoint) == ("cpu", "../../checkpoints/a1_best.pth")
    assert "as trained" in shown.stdout
    assert "AP circle" in shown.stdout
    assert str(folder.path) in shown.stdout
    before = folder.metrics.stat().st_mtime_ns
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert "evaluated before, shown as stored (again=true measures again)" in again.stdout
    assert folder.metrics.stat().st_mtime_ns == before


def test_ctrl_c_leaves_no_process_and_nothing_that_looks_done(job: JobFolder, tmp_path: Path) -> None:
    words = detsweep("evaluate", str(job.path), "gpus=none", "log=false", f"output_dir={tmp_path}")
    told = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    process = psutil.Process(told.pid)
    deadline = time.monotonic() + PATIENCE_S
    while not (children := process.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(told.pid, signal.SIGINT)
    _, said = told.communicate(timeout=PATIENCE_S)
    assert (told.returncode, said.strip()) == (130, "interrupted")
    assert children
    assert not any(child.is_running() for child in children)
    assert not job.evaluation("val").metrics.exists()
    assert job.all_evaluations() == []


def test_other_data_and_settings_are_evaluated_under_a_name_of_their_own(
    job: JobFolder, shapes: Path, here: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "other-site"
    (site / "images").mkdir(parents=True)
    truth = json.loads((shapes / "test.json").read_text())
    truth["categories"].reverse()
    (site / "test.json").write_text(json.dumps(truth))
    for image in truth["images"]:
        shutil.copy(shapes / "images" / image["file_name"], site / "images")
    # Nothing to train on, or to choose by, is there.
    words = ["evaluate", str(job.path), "split=test", "dataset=coco", f"dataset.root={site}", "gpus=none", "log=false"]
    assert main(words) == 0
    folder = job.evaluation("test_other-site")
    told = EvaluationResult.read(folder)
    assert told is not None
    assert told.metrics["test/bbox_mAP"] == pytest.approx(stored(job)["test/bbox_mAP"])
    out = capsys.readouterr().out
    assert "own test" in out
    rows = list(csv.reader((folder.submission / "submission.csv").open()))
    assert len(rows) == 9

    assert main([*words[:2], "model.test_cfg.rcnn.score_thr=0.9", "name=strict", "gpus=none", "log=false"]) == 0
    strict = EvaluationResult.read(job.evaluation("strict"))
    assert strict is not None
    assert strict.n_detections < len(json.loads((job.predictions / "a1_val_best.json").read_text()))

    truth["categories"][0]["name"] = "Dreieck"
    (site / "test.json").write_text(json.dumps(truth))
    assert main(words) == 2
    assert "classes differ in" in capsys.readouterr().err
    assert main([*words[:3], f"dataset.root={site}", "gpus=none"]) == 2
    assert "classes differ in" in capsys.readouterr().err
    assert main([*words[:2], "optimizer.lr=0.1"]) == 2
    assert "the training is over; an evaluation changes dataset, fold, model, pipeline.test" in capsys.readouterr().err
    assert main([*words[:2], "model.test_cfg.rcnn.scor_thr=0.9"]) == 2
    assert "did you mean 'model.test_cfg.rcnn.score_thr'?" in capsys.readouterr().err
    assert main([*words[:2], "tta=flipp"]) == 2
    assert "did you mean 'flip'?" in capsys.readouterr().err


def test_images_are_predicted_drawn_and_listed_and_bad_ones_named(
    job: JobFolder, shapes: Path, here: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    (new / "deep").mkdir(parents=True)
    names = sorted(image["file_name"] for image in json.loads((shapes / "test.json").read_text())["images"])
    for name in names[:2]:
        shutil.copy(shapes / "images" / name, new / "deep")
    (new / "broken.jpg").write_bytes(b"none")
    words = ["predict", str(job.path), str(new), str(new / "deep" / "*"), "gpus=none", "log=false"]
    out = tmp_path / "found"
    assert main([*words, "score=0", f"out={out}"]) == 1
    assert "left out: image" in capsys.readouterr().out
    listed = json.loads((out / "images.json").read_text())
    assert [Path(image["file_name"]).name for image in listed["images"]] == names[:2]
    found = json.loads((out / "detections.json").read_text())
    assert {entry["image_id"] for entry in found} <= {image["id"] for image in listed["images"]}
    assert {entry["category_id"] for entry in found} <= {entry["id"] for entry in listed["categories"]}
    assert sorted(path.name for path in (out / "pictures").iterdir()) == [
        f"{Path(name).stem}.jpg" for name in names[:2]
    ]
    rows = list(csv.reader((out / "submission" / "submission.csv").open()))
    assert [row[1] for row in rows] == ["image_id", *names[:2]]
    assert len(rows[1][0].split()) == 6 * sum(entry["image_id"] == listed["images"][0]["id"] for entry in found)

    assert main([*words, "pictures=false"]) == 1
    assert "predicted before, taken as stored" in capsys.readouterr().out
    assert main([*words[:2], str(tmp_path / "nothing"), "*.nope"]) == 2
    told = capsys.readouterr().err
    assert "no such file or folder" in told
    assert "no image in *.nope: no file is called so" in told
    assert main([*words[:2], str(new / "broken.jpg"), "gpus=none"]) == 2
    assert "none of 1 can be used" in capsys.readouterr().err


def test_a_checkpoint_of_others_is_composed_checked_and_evaluated(
    job: JobFolder, shapes: Path, here: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(job.checkpoints / "a1_best.pth", weights_only=True)["state_dict"]
    torch.save({"state_dict": state}, tmp_path / "epoch_2.pth")
    groups = ["backbone=resnet18", "width=narrow", "image_size=96px", f"dataset.root={shapes}"]
    words = ["evaluate", "epoch_2.pth", *groups, "gpus=none", "log=false", "output_dir=out"]
    assert main(words) == 0
    (folder,) = (tmp_path / "out" / "evaluations").iterdir()
    told = EvaluationResult.read(JobFolder(folder).evaluation("val"))
    assert told is not None
    assert told.metrics["val/bbox_mAP"] == stored(job)["val/bbox_mAP"]
    assert folder.name.startswith("epoch_2-")
    assert load_yaml((folder / "config.yaml").read_text())["title"].startswith("epoch_2 (faster-rcnn_resnet18")
    assert oct((folder / "config.yaml").stat().st_mode & 0o777) == "0o600"
    capsys.readouterr()
    assert main(["evaluate", "epoch_3.pth", *groups]) == 2
    assert "checkpoint missing in epoch_3.pth: no such file" in capsys.readouterr().err
    assert main(["evaluate", "epoch_2.pth", "backbone=resnet18,resnet34", *groups[1:]]) == 2
    assert "axis in backbone: a checkpoint has one config" in capsys.readouterr().err


def stored(job: JobFolder) -> dict[str, float]:
    values: dict[str, float] = json.loads((job.attempts / "1" / "result.json").read_text())["metrics"]
    return {name.removeprefix("best/"): value for name, value in values.items()}
