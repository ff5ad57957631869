"""An evaluation reaches the run that it belongs to, once, and waits in its folder where the store is away."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from reports.read import Experiment
from runners.contract.evaluations import EvaluationResult
from runners.contract.folder import EvaluationFolder, JobFolder, SweepFolder
from runners.contract.jsonfile import read_json
from sweeper.runs.evaluation import Evaluated
from sweeper.runs.evaluation_log import log_evaluation, ship_waiting
from sweeper.runs.subject import Subject
from sweeper.tracking.run_log import LoggedRun
from sweeper.tracking.shipper import TrackingSettings

AP_50 = 0.7421
CLASS_AP = "val/bbox_mAP_class/Paper (pack)"


@pytest.fixture
def store(tracked: tuple[SweepFolder, Experiment], tmp_path: Path) -> tuple[SweepFolder, TrackingSettings]:
    """A sweep and its store, both copied: what is added to them is seen by nobody else."""
    sweep, experiment = tracked
    shutil.copytree(sweep.path, tmp_path / sweep.sweep_id)
    shutil.copy(experiment.tracking_uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    settings = TrackingSettings(f"sqlite:///{tmp_path / 'mlflow.db'}", experiment.name, tmp_path / "artifacts")
    return SweepFolder(tmp_path / sweep.sweep_id), settings


def evaluated(job: JobFolder, name: str = "val_flip") -> Evaluated:
    folder = EvaluationFolder(job.evaluations / name)
    folder.path.mkdir(parents=True)
    folder.detections.write_text("[]")
    result = EvaluationResult({"val/bbox_mAP_50": AP_50, CLASS_AP: 0.5}, 8, 0, finished_at=1_790_000_500.0)
    result.write(folder)
    return Evaluated(folder, result, is_new=True)


def subject(sweep: SweepFolder, settings: TrackingSettings, *, has_own_run: bool = False) -> Subject:
    logged = LoggedRun(settings, f"{sweep.sweep_id}/0002")
    config = {
        "choices": {"detector": "faster_rcnn"},
        "dataset": {"name": "coco", "root": "data"},
        "optimizer": {"lr": 0.02},
        "lr_effective": 0.02,
    }
    weights = Path("/elsewhere/epoch_12.pth")
    return Subject(sweep.job("0002"), "epoch_12", config, weights, "0" * 64, logged, has_own_run=has_own_run)


def test_numbers_and_files_reach_the_run_once(store: tuple[SweepFolder, TrackingSettings]) -> None:
    sweep, settings = store
    done = evaluated(sweep.job("0002"))
    for _ in range(2):
        assert log_evaluation(subject(sweep, settings), done, [done.folder.metrics, done.folder.detections]) == ""
    client = MlflowClient(settings.uri)
    told = read_json(done.folder.logged)["evaluations"]
    run = client.get_run(told["run_id"])
    assert run.data.tags["detsweep.job"] == f"{sweep.sweep_id}/0002"
    assert run.data.metrics["eval/val_flip/bbox_mAP_50"] == AP_50
    assert run.data.metrics["eval/val_flip/bbox_mAP_class/Paper _pack_"] == 0.5
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(told["run_id"], "eval/val_flip/bbox_mAP_50")) == 1
    listed = [entry.path for entry in client.list_artifacts(told["run_id"], "evaluations/val_flip")]
    assert listed == ["evaluations/val_flip/detections.json", "evaluations/val_flip/metrics.json"]


def test_what_a_store_that_was_away_has_missed_is_shipped_by_sync(
    store: tuple[SweepFolder, TrackingSettings], unused_port: int
) -> None:
    sweep, settings = store
    away = TrackingSettings(f"http://user:secret@127.0.0.1:{unused_port}", "trash", None)
    done = evaluated(sweep.job("0002"))
    said = log_evaluation(subject(sweep, away), done, [done.folder.detections])
    assert "everything is kept in" in said
    assert "secret" not in said + done.folder.logged.read_text()
    lines: list[str] = []
    assert ship_waiting(sweep, settings, lines.append) == 0
    run_id = read_json(done.folder.logged)["evaluations"]["run_id"]
    assert MlflowClient(settings.uri).get_run(run_id).data.metrics["eval/val_flip/bbox_mAP_50"] == AP_50
    assert ship_waiting(sweep, settings, lines.append) == 0  # nothing waits any more
    assert lines == []
    # Handed over to somebody with another store, which is away as well.
    assert ship_waiting(sweep, away, lines.append) == 1
    assert str(done.folder.path) in lines[0]


def test_what_was_not_to_be_logged_is_not_shipped(store: tuple[SweepFolder, TrackingSettings]) -> None:
    sweep, settings = store
    done = evaluated(sweep.job("0002"))
    assert ship_waiting(sweep, settings, lambda line: None) == 0
    assert not done.folder.logged.exists()


def test_a_checkpoint_of_others_has_a_run_of_its_own(store: tuple[SweepFolder, TrackingSettings]) -> None:
    sweep, settings = store
    foreign = subject(sweep, settings, has_own_run=True)
    foreign = Subject(**{**vars(foreign), "logged": LoggedRun(settings, "evaluations/epoch_12-ab12cd34")})
    done = evaluated(sweep.job("0002"))
    assert log_evaluation(foreign, done, []) == ""
    run = MlflowClient(settings.uri).get_run(read_json(done.folder.logged)["evaluations"]["run_id"])
    assert run.data.tags["detsweep.kind"] == "evaluation"
    assert run.data.tags["detsweep.checkpoint"] == "/elsewhere/epoch_12.pth"
    assert run.data.tags["detsweep.remarks"] == "imported: epoch_12.pth, not trained here"
    assert (run.info.run_name, run.info.status) == ("epoch_12", "FINISHED")
