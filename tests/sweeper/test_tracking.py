"""A sweep reaches a real SQLite store: once, in order, and again after an interruption without a point doubled."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.mlflow_store import MlflowStore, metric_name
from sweeper.tracking import TrackedJob, Tracker, TrackingSettings


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store made once: its migrations take seconds."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowStore(uri, "first", folder / "artifacts")
    return uri


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    folder = SweepFolder(tmp_path / "20261123-000000_test_ab12")
    (folder.jobs / "0001").mkdir(parents=True)
    folder.job("0001").config.write_text("seed: 0\n", encoding="utf-8")
    return folder


def settings(uri: str | None, sweep: SweepFolder, experiment: str) -> TrackingSettings:
    return TrackingSettings(uri, experiment, sweep.path / "artifacts")


def job(sweep: SweepFolder) -> TrackedJob:
    dataset = ("Ünïcode", "f" * 64, "data")
    return TrackedJob(
        sweep.job("0001"), "faster-rcnn_resnet18", {"backbone": "resnet18"}, {"detsweep.folder": "x"}, dataset
    )


def write_epoch(attempt: AttemptFolder, epoch: int) -> None:
    values = {"val/bbox_mAP_50": 0.1 * epoch, "val/bbox_mAP_class/Paper (pack), 紙": 0.5}
    MetricRecord(at=1000.0 + epoch, attempt=1, step=epoch, values=values).append(attempt)


def run_of(uri: str, experiment: str, kind: str) -> tuple[MlflowClient, object]:
    client = MlflowClient(uri)
    found = client.search_runs(
        [client.get_experiment_by_name(experiment).experiment_id], f"tags.`detsweep.kind` = '{kind}'"
    )
    assert len(found) == 1
    return client, found[0]


def test_a_job_arrives_whole_and_only_once(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    for _ in range(2):  # the second time is a controller that was killed and started again
        tracker = Tracker(settings(store_uri, sweep, "whole"), sweep, pytest.fail)
        tracker.open_sweep("test", {"axis/backbone": "resnet18"}, {"detsweep.command": "detsweep train"})
        tracker.start_job(job(sweep))
        if not attempt.metrics.exists():
            write_epoch(attempt, 1)
            tracker.ship(attempt)
            write_epoch(attempt, 2)
            AttemptResult(
                1, AttemptOutcome.COMPLETED, metrics={"best/val/bbox_mAP_50": 0.2}, best_epoch=2, finished_at=1010.0
            ).write(attempt)
        tracker.end_job(attempt, JobState.COMPLETED, None)
        tracker.end_sweep("FINISHED", sweep.report)
        assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "whole", "job")
    history = client.get_metric_history(run.info.run_id, "val/bbox_mAP_50")
    assert [(point.step, point.value, point.timestamp) for point in history] == [(1, 0.1, 1001000), (2, 0.2, 1002000)]
    assert client.get_metric_history(run.info.run_id, "best/val/bbox_mAP_50")[0].step == 2
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "faster-rcnn_resnet18"
    assert run.data.params == {"backbone": "resnet18"}
    assert run.data.tags["detsweep.state"] == "COMPLETED"
    assert run.inputs.dataset_inputs[0].dataset.name == "Ünïcode"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"config.yaml", "result.json"}
    _, parent = run_of(store_uri, "whole", "sweep")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id


@pytest.fixture(scope="module")
def server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real tracking server on this machine, which keeps artifacts itself."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(sys.executable).with_name("mlflow"),
        "server",
        "-w",
        "1",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen([*command, *store], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        uri = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail((folder / "log.txt").read_text(encoding="utf-8"))
        yield uri
    finally:
        server.terminate()
        server.wait(30)


def test_a_server_keeps_runs_and_their_files(server_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    AttemptResult(1, AttemptOutcome.COMPLETED, finished_at=1010.0).write(attempt)
    tracker = Tracker(TrackingSettings(server_uri, "served", None), sweep, pytest.fail)
    tracker.open_sweep("test", {}, {})
    tracker.start_job(job(sweep))
    tracker.end_job(attempt, JobState.COMPLETED, None)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(server_uri, "served", "job")
    assert run.data.metrics["val/bbox_mAP_50"] == pytest.approx(0.1)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"config.yaml", "result.json"}


def test_an_offset_that_was_lost_doubles_no_point(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    for _ in range(2):
        tracker = Tracker(settings(store_uri, sweep, "lost offset"), sweep, pytest.fail)
        tracker.open_sweep("test", {}, {})
        tracker.start_job(job(sweep))
        tracker.ship(attempt)
        assert tracker.close(timeout_s=60) == 0
        sweep.shipped.unlink()
    client, run = run_of(store_uri, "lost offset", "job")
    assert len(client.get_metric_history(run.info.run_id, "val/bbox_mAP_50")) == 1


def test_a_failed_job_says_why(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    failure = Failure(FailureKind.DIVERGED, "loss is NaN at iteration 7")
    AttemptResult(1, AttemptOutcome.FAILED, failure=failure, finished_at=1.0).write(attempt)
    tracker = Tracker(settings(store_uri, sweep, "failed"), sweep, pytest.fail)
    tracker.open_sweep("test", {}, {})
    tracker.start_job(job(sweep))
    tracker.end_job(attempt, JobState.FAILED, failure.message)
    assert tracker.close(timeout_s=60) == 0
    _, run = run_of(store_uri, "failed", "job")
    assert (run.info.status, run.data.tags["detsweep.failure"]) == ("FAILED", "loss is NaN at iteration 7")


def test_a_store_that_is_away_is_told_once_and_nothing_is_lost(sweep: SweepFolder) -> None:
    told: list[str] = []
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    tracker = Tracker(settings("http://me:secret@127.0.0.1:9", sweep, "away"), sweep, told.append)
    tracker.open_sweep("test", {}, {})
    tracker.start_job(job(sweep))
    tracker.ship(attempt)
    assert tracker.close(timeout_s=15) == 4  # open, start, ship, and the end of the queue
    assert len(told) == 1
    assert "training goes on" in told[0]
    assert "secret" not in told[0]
    assert not sweep.shipped.exists()
    assert len(attempt.metrics.read_text(encoding="utf-8").splitlines()) == 1


def test_tracking_off_touches_nothing(sweep: SweepFolder) -> None:
    tracker = Tracker(settings(None, sweep, "off"), sweep, pytest.fail)
    tracker.open_sweep("test", {}, {})
    tracker.start_job(job(sweep))
    assert tracker.close(timeout_s=1) == 0
    assert not sweep.shipped.exists()


def test_an_epoch_that_a_later_attempt_trained_again_is_told_once(store_uri: str, sweep: SweepFolder) -> None:
    first, second = sweep.job("0001").take_attempt(), sweep.job("0001").take_attempt()
    for epoch in (1, 2):
        write_epoch(first, epoch)
    MetricRecord(at=1003.0, attempt=1, step=3, values={"train/loss": 0.5}).append(first)
    for epoch in (2, 3):  # the first attempt was lost before its second epoch was saved
        write_epoch(second, epoch)
    tracker = Tracker(settings(store_uri, sweep, "again"), sweep, pytest.fail)
    tracker.open_sweep("test", {}, {})
    tracker.start_job(job(sweep))
    tracker.ship(first)
    tracker.ship(second)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "again", "job")
    assert [p.step for p in client.get_metric_history(run.info.run_id, "val/bbox_mAP_50")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "kept"),
    [("val/bbox_mAP_50", "val/bbox_mAP_50"), ("class/a@b[c]", "class/a_b_c_"), ("class/塑料 bag", "class/塑料 bag")],
)
def test_metric_names_keep_what_the_store_takes(name: str, kept: str) -> None:
    assert metric_name(name) == kept


def test_shipped_offsets_are_bytes_of_whole_records(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    n_bytes = attempt.metrics.stat().st_size
    with attempt.metrics.open("a", encoding="utf-8") as file:
        file.write('{"at": 1')
    tracker = Tracker(settings(store_uri, sweep, "offsets"), sweep, pytest.fail)
    tracker.open_sweep("test", {}, {})
    tracker.start_job(job(sweep))
    tracker.ship(attempt)
    assert tracker.close(timeout_s=60) == 0
    shipped = json.loads(sweep.shipped.read_text(encoding="utf-8"))["0001/1"]
    assert shipped["offset"] == n_bytes
    assert shipped["steps"]["val/bbox_mAP_50"] == 1
