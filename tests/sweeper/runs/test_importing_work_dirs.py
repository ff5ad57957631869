"""Work dirs of plain MMDetection: what is read of them, what is measured here, what is refused."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from reports.read import read_runs
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.remarks import RemarkKind
from runners.contract.states import JobState
from sweeper.cli import main
from sweeper.planning.shapes import write_shapes
from sweeper.runs.importing_work_dirs import NAME
from sweeper.runs.work_dirs import read_log, read_work_dir
from tests.sweeper.runs.work_dir_writing import train_plainly

LINES = [
    {"lr": 0.01, "loss": 2.0, "loss_rpn_cls": 0.5, "epoch": 1, "iter": 50, "step": 50},
    {"lr": 0.02, "loss": 1.0, "epoch": 1, "iter": 100, "step": 100},
    {"coco/bbox_mAP": 0.2, "coco/bbox_mAP_50": 0.4, "coco/bbox_mAP_s": -1.0, "time": 0.1, "step": 1},
    {"lr": 0.02, "loss": float("nan"), "epoch": 2, "iter": 150, "step": 150},
    {"lr": 0.002, "loss": 0.5, "epoch": 2, "iter": 200, "step": 200},
    {"coco/bbox_mAP": 0.3, "coco/bbox_mAP_50": 0.5, "step": 2},
]


def write_work_dir(path: Path, *, config: str = "default_scope = 'mmdet'\ntrain_dataloader = dict()\n") -> Path:
    log = path / "20260102_030405" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in LINES) + '{"loss": 0.1, "epo')
    os.utime(log, (1_800_000_000, 1_800_000_000))
    (path / "narrow.py").write_text(config)
    for number in (1, 2, 10):
        (path / f"epoch_{number}.pth").write_bytes(b"weights")
    return path


def test_the_log_gives_each_epoch_its_mean_loss_rate_and_val_ap(tmp_path: Path) -> None:
    records = read_log(read_work_dir(write_work_dir(tmp_path / "run")))
    assert [record.step for record in records] == [1, 2]
    assert [record.values for record in records] == [
        {"train/lr": 0.02, "train/loss": 1.5, "val/bbox_mAP": 0.2, "val/bbox_mAP_50": 0.4},
        {"train/lr": 0.002, "train/loss": 0.5, "val/bbox_mAP": 0.3, "val/bbox_mAP_50": 0.5},
    ]
    assert records[-1].at == pytest.approx(1_800_000_000, abs=1)
    assert records[0].at < records[1].at


def test_a_resumed_training_counts_as_it_went_the_last_time(tmp_path: Path) -> None:
    work_dir = write_work_dir(tmp_path / "run")
    later = work_dir / "20260103_030405" / "vis_data" / "20260103_030405.json"
    later.parent.mkdir(parents=True)
    later.write_text('{"loss": 0.25, "lr": 0.002, "epoch": 2, "step": 150}\n{"loss": 0.2, "epoch": 3, "step": 200}\n')
    records = {record.step: record.values for record in read_log(read_work_dir(work_dir))}
    assert {step: values["train/loss"] for step, values in records.items()} == {1: 1.5, 2: 0.25, 3: 0.2}
    by_iteration = work_dir / "20260102_030405" / "vis_data" / "scalars.json"
    by_iteration.write_text('{"loss": 0.25, "iter": 50, "step": 50}\n{"coco/bbox_mAP": 0.2, "step": 50}\n')
    shutil.rmtree(later.parent.parent)
    assert read_log(read_work_dir(work_dir)) == []


@pytest.mark.parametrize(
    ("left", "chosen"),
    [
        ((), "epoch_10.pth"),
        (("last_checkpoint",), "epoch_2.pth"),
        (("best_coco_bbox_mAP_epoch_1.pth", "last_checkpoint"), "best_coco_bbox_mAP_epoch_1.pth"),
    ],
)
def test_the_checkpoint_that_counts(tmp_path: Path, left: tuple[str, ...], chosen: str) -> None:
    work_dir = write_work_dir(tmp_path / "run")
    for name in left:
        (work_dir / name).write_text("/somewhere/else/epoch_2.pth")
    assert read_work_dir(work_dir).checkpoint.name == chosen


def test_what_lacks_something_is_told_for_all_work_dirs_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, old, two, other = (tmp_path / name for name in ("bare", "old", "two", "other"))
    for path in write_work_dir(bare).glob("*.p*"):
        path.unlink()
    write_work_dir(old, config="data = dict(train=1)\noptimizer_config = dict()\n")
    write_work_dir(two)
    (two / "another.py").touch()
    other.mkdir()
    paths = [str(path) for path in (bare, old, two, other)]
    assert main(["import", *paths, f"output_dir={tmp_path / 'runs'}"]) == 2
    said = capsys.readouterr().err.splitlines()
    for line, start in zip(
        said,
        [
            f"error: config of a work dir in {bare}: no .py file",
            f"error: no checkpoint in {bare}: no best_*.pth",
            f"error: work dir of mmdet 2.x in {old}: narrow.py has data, optimizer_config",
            f"error: config of a work dir in {two}: 2 (another.py, narrow.py)",
            f"error: nothing to import in {other}: neither a sweep's folder nor a work dir",
        ],
        strict=True,
    ):
        assert line.startswith(start)
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a team with one work dir of plain MMDetection in it, and its data."""
    folder = tmp_path_factory.mktemp("team")
    write_shapes(folder / "data", n_train=16, n_val=8, n_test=8, image_px=96, difficulty=0.0, n_classes=3, seed=0)
    train_plainly(folder / "old runs" / "frcnn narrow", folder / "data")
    return folder


@pytest.mark.train
def test_a_work_dir_becomes_a_marked_run_that_was_measured_here(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    work_dir = project / "old runs" / "frcnn narrow"
    words = ["dataset.root=data", "tracking=off", "gpus=none"]
    assert main(["import", str(work_dir), *words]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    (path,) = (project / "outputs").glob("*/sweep.yaml")
    sweep = SweepFolder(path.parent)
    (run,) = read_runs(sweep).runs
    assert (run.title, run.state) == ("frcnn narrow", JobState.COMPLETED)
    assert [remark.kind for remark in run.remarks] == [RemarkKind.IMPORTED]
    assert "frcnn narrow ◊" in shown
    assert [point.epoch for point in run.curves["train/loss"]] == [1, 2]
    best = next(work_dir.glob("best_*.pth"))
    epoch = int(best.stem.rpartition("_")[2])
    assert run.best_epoch == epoch
    logged = next(point.value for point in run.curves["val/bbox_mAP"] if point.epoch == epoch)
    # MMDetection rounds what it logs to three digits.
    assert run.metrics["best/val/bbox_mAP"] == pytest.approx(logged, abs=6e-4)
    assert any(note.startswith(f"val mAP of epoch {epoch}") for note in run.notes)
    assert len(json.loads((sweep.job("0001").predictions / "a1_val_best.json").read_text())) > 20
    assert sweep.job("0001").mmdet_config.is_file()
    assert main(["verify", str(sweep.path)]) == 0
    assert main(["export", f"{sweep.path}/1", str(project / "out")]) == 0
    capsys.readouterr()
    assert main(["import", str(work_dir), *words]) == 0
    assert f"is here already, as {sweep.sweep_id}/1" in capsys.readouterr().out
    assert len(list((project / "outputs").glob("*/sweep.yaml"))) == 1
    assert yaml.safe_load(sweep.sweep.read_text())["jobs"][0]["title"] == "frcnn narrow"


def test_what_is_wrong_with_any_checkpoint_is_told_of_all_and_nothing_is_made(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work_dirs = [project / "one", project / "two"]
    for path in work_dirs:
        shutil.copytree(project / "old runs" / "frcnn narrow", path)
    run = subprocess.run

    def refuse(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        if "runners.import_jobs" not in command:
            return run(command, **how)
        jobs = [json.loads(line)["job"] for line in how["input"].splitlines()]
        assert all(Path(job, "config.yaml").is_file() for job in jobs)
        told = [json.dumps({"problem": f"checkpoint {number} is no good"}) for number in (1, 2)]
        return subprocess.CompletedProcess(command, 0, "\n".join(told), "")

    monkeypatch.setattr("sweeper.runs.importing_work_dirs.subprocess.run", refuse)
    monkeypatch.chdir(project)
    words = [*map(str, work_dirs), "dataset.root=data", "tracking=off", "output_dir=other"]
    assert main(["import", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["error: checkpoint 1 is no good", "error: checkpoint 2 is no good"]
    assert not [path for path in (project / "other").iterdir() if NAME in path.name]
    capsys.readouterr()


def test_a_config_outside_the_trusted_folders_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = write_work_dir(tmp_path / "theirs", config="from pathlib import Path\nPath('canary').touch()\n")
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.chdir(mine)
    write_shapes(mine / "data", n_train=4, n_val=2, n_test=2, image_px=32, n_classes=3, seed=0, difficulty=0.0)
    assert main(["import", str(elsewhere), "dataset.root=data", "tracking=off"]) == 2
    assert "trusted" in capsys.readouterr().err
    assert not list(tmp_path.rglob("canary"))


def test_a_file_that_is_nothing_of_this_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to import"):
        read_work_dir(tmp_path)
