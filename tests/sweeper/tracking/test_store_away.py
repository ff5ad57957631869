"""A store that is away, locked, gone or wrong: what a sweep and its other jobs make of it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from sweeper.tracking.shipped import ShippedJob, count_unshipped
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from sweeper.tracking.tracking_store import check_store, tracking_settings
from tests.sweeper.tracked_sweep import (
    EPOCH_POINTS,
    make_sweep,
    points,
    run_of,
    runs_of,
    ship_all,
    tracked_job,
    tracking,
    write_epoch,
)


def test_a_store_that_is_away_is_told_once_and_soon_and_nothing_is_lost(sweep: SweepFolder, quick: None) -> None:
    told: list[tuple[float, str]] = []
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    began = time.monotonic()
    uri = "http://me:sec@ret@127.0.0.1:9"
    tracker = Tracker(tracking(uri, sweep, "away"), sweep, lambda line: told.append((time.monotonic(), line)))
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    for _ in range(1000):
        tracker.ship(attempt)
    tracker.end_job(attempt, JobState.COMPLETED, None)
    assert time.monotonic() - began < 1.0  # whoever controls the jobs does not wait
    assert tracker.close(timeout_s=30) == 2  # one line of metrics, and the end
    ((told_at, line),) = told
    assert told_at - began < 10
    assert line.startswith("tracking store http://***@127.0.0.1:9: Connection refused; training goes on, records wait")
    assert "ret@" not in line
    assert not sweep.job("0001").shipped.exists()


def test_a_database_that_another_process_locks_is_waited_for(
    store_uri: str, sweep: SweepFolder, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.tracking.tracking.PATIENCE_S", 30.0)
    told: list[str] = []
    attempt = sweep.job("0001").take_attempt()
    tracker = Tracker(tracking(store_uri, sweep, "locked"), sweep, told.append)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    write_epoch(attempt, 1)
    tracker.ship(attempt)
    # What MLflow has begun to write it waits with for minutes; what comes next is asked for first.
    job = sweep.job("0001")
    while not tracker.run_ids or count_unshipped(job, ShippedJob.read(job)):
        time.sleep(0.05)
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print(1); input()"
    command = [sys.executable, "-uc", hold, store_uri.removeprefix("sqlite:///")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for epoch in (2, 3):
            write_epoch(attempt, epoch)
            began = time.monotonic()
            tracker.ship(attempt)
            assert time.monotonic() - began < 0.1
        for _ in range(100):
            if told:
                break
            time.sleep(0.1)
        assert [line.split("; ")[0].rpartition(": ")[2] for line in told] == ["database is locked"]
        holder.communicate("\n")
    tracker.end_job(attempt, JobState.COMPLETED, None)
    assert tracker.close(timeout_s=60) == 0
    assert told[1:] == ["tracking store is back; 2 records shipped"]
    client, run = run_of(store_uri, "locked")
    assert points(client, run) == EPOCH_POINTS


def test_a_deleted_experiment_is_not_tried_again_and_sync_ships_the_rest(
    store_uri: str, sweep: SweepFolder, quick: None
) -> None:
    told: list[str] = []
    attempt = sweep.job("0001").take_attempt()
    tracker = Tracker(tracking(store_uri, sweep, "deleted"), sweep, told.append)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    while not tracker.run_ids:
        time.sleep(0.05)
    client = MlflowClient(store_uri)
    client.delete_experiment(tracker.experiment_id)
    write_epoch(attempt, 1)
    tracker.end_job(attempt, JobState.COMPLETED, None)
    assert tracker.close(timeout_s=30) == 2
    (line,) = told
    assert f"{store_uri}: experiment 'deleted' was deleted" in line
    assert f"detsweep sync {sweep.path}" in line
    again = Tracker(tracking(store_uri, sweep, "deleted"), sweep, told.append)
    ship_all(again, sweep)
    assert again.close(timeout_s=30) == 2
    assert "experiment 'deleted' is deleted; restore it, or name another with tracking.experiment=" in told[1]
    client.restore_experiment(tracker.experiment_id)
    synced = Tracker(tracking(store_uri, sweep, "deleted"), sweep, pytest.fail)
    ship_all(synced, sweep)
    assert synced.close(timeout_s=30) == 0
    client, run = run_of(store_uri, "deleted")
    assert points(client, run) == EPOCH_POINTS[:1]


def test_a_job_that_the_store_refuses_holds_up_no_other(store_uri: str, tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, "0001", "0002")
    told: list[str] = []
    tracker = Tracker(tracking(store_uri, sweep, "one refused"), sweep, told.append)
    tracker.open_sweep("test", {})
    attempts = [sweep.job(job_id).take_attempt() for job_id in ("0001", "0002")]
    for job_id in ("0001", "0002"):
        tracker.start_job(tracked_job(sweep, job_id))
    while len(tracker.run_ids) < 2:
        time.sleep(0.05)
    MlflowClient(store_uri).delete_run(tracker.run_ids[0])
    for attempt in attempts:
        write_epoch(attempt, 1)
        tracker.end_job(attempt, JobState.COMPLETED, None)
    tracker.end_sweep("FINISHED", sweep.report)
    assert tracker.close(timeout_s=30) == 2
    (line,) = told
    assert "job 0001 is no longer shipped" in line
    client, run = run_of(store_uri, "one refused")  # deleted runs are not found
    assert points(client, run) == EPOCH_POINTS[:1]
    assert run_of(store_uri, "one refused", "sweep")[1].info.status == "FINISHED"


def test_damaged_metrics_hold_up_no_other_job(store_uri: str, tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, "0001", "0002")
    told: list[str] = []
    for job_id in ("0001", "0002"):
        write_epoch(sweep.job(job_id).take_attempt(), 1)
    damaged = sweep.job("0001").all_attempts()[0].metrics
    damaged.write_bytes(b"\x00" + damaged.read_bytes())
    tracker = Tracker(tracking(store_uri, sweep, "damaged"), sweep, told.append)
    tracker.open_sweep("test", {})
    for job_id in ("0001", "0002"):
        tracker.start_job(tracked_job(sweep, job_id))
        tracker.end_job(sweep.job(job_id).all_attempts()[0], JobState.COMPLETED, None)
    assert tracker.close(timeout_s=30) == 2
    assert len(told) == 1
    client = MlflowClient(store_uri)
    assert [points(client, run) for run in runs_of(client, "damaged")] == [[], EPOCH_POINTS[:1]]


def test_tracking_off_touches_nothing(sweep: SweepFolder) -> None:
    tracker = Tracker(tracking(None, sweep, "off"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    assert tracker.close(timeout_s=1) == 0
    assert not sweep.job("0001").shipped.exists()


def test_a_store_that_is_required_and_cannot_be_opened_is_refused(tmp_path: Path, store_uri: str) -> None:
    def check(uri: str | None, required: bool) -> None:
        name = "off" if uri is None else "server"
        node = {"name": name, "uri": uri, "experiment": "required", "log_checkpoints": False, "required": required}
        check_store(tracking_settings(node, tmp_path))

    away = "http://me:secret@127.0.0.1:9"
    check(away, required=False)
    check(store_uri, required=True)
    with pytest.raises(UserError, match=r"tracking\.uri: http://\*\*\*@127\.0\.0\.1:9: Connection refused; see"):
        check(away, required=True)
    with pytest.raises(UserError, match=r"no tracking store in tracking\.required: true with tracking=off"):
        check(None, required=True)
    (tmp_path / "mlflow.db").write_text("no database " * 200, encoding="utf-8")
    with pytest.raises(UserError, match="file is not a database; restore the file"):
        check_store(TrackingSettings(f"sqlite:///{tmp_path / 'mlflow.db'}", "x", None, required=True))
