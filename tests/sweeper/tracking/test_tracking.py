"""A sweep reaches a real SQLite store: once, in order, and again after an interruption without a point doubled."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.tracking.mlflow_store import MlflowStore, metric_name
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from sweeper.tracking.tracking_store import check_store, tracking_settings
from tests.sweeper.tracked_sweep import AP_50, make_sweep, points, run_of, runs_of, tracked_job, tracking, write_epoch

EPOCH_POINTS = [(1, 1001000), (2, 1002000), (3, 1003000)]


def _make_store_at_once(uri: str, barrier: Barrier, number: int) -> None:
    barrier.wait()
    store = MlflowStore(uri, "first", None)
    store.open_run(f"sweep/{number}", f"run {number}", {"detsweep.kind": "job"})


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store made once, for its migrations take seconds; by four processes at a barrier, as four sweeps would."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    makers = [context.Process(target=_make_store_at_once, args=(uri, barrier, number)) for number in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0, 0, 0, 0]
    return uri


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return make_sweep(tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again, and give up, in tenths of a second."""
    monkeypatch.setattr("sweeper.tracking.tracking.RETRY_S", 0.2)
    monkeypatch.setattr("sweeper.tracking.tracking.PATIENCE_S", 0.5)
    monkeypatch.setattr("sweeper.tracking.store_probe.PROBE_S", 0.3)


def ship_all(tracker: Tracker, sweep: SweepFolder, state: JobState = JobState.COMPLETED) -> None:
    """Tell all that the folders hold, as a resumed controller does."""
    tracker.open_sweep("test", {})
    tracker.tell_job(tracked_job(sweep), sweep.job("0001").all_attempts()[-1], state, None)


def test_four_sweeps_that_open_a_fresh_store_at_once_make_it_once(store_uri: str) -> None:
    assert {run.info.run_name for run in runs_of(MlflowClient(store_uri), "first")} == {f"run {n}" for n in range(4)}


def test_a_job_arrives_whole_and_only_once(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    # The second time is a controller that was killed and started again; meanwhile an axis was made longer.
    for backbones in ("resnet18", "resnet18,resnet34"):
        tracker = Tracker(tracking(store_uri, sweep, "whole"), sweep, pytest.fail)
        tracker.open_sweep("test", {"axis/backbone": backbones})
        tracker.start_job(tracked_job(sweep))
        if not attempt.metrics.exists():
            write_epoch(attempt, 1)
            tracker.ship(attempt)
            write_epoch(attempt, 2)
            AttemptResult(
                1, AttemptOutcome.COMPLETED, metrics={"best/val/bbox_mAP_50": 0.2}, best_epoch=2, finished_at=1010.0
            ).write(attempt)
        tracker.end_job(attempt, JobState.COMPLETED, None)
        tracker.tag_sweep({"detsweep.reused": "{}"})
        tracker.end_sweep("FINISHED", sweep.report)
        assert tracker.close(timeout_s=60) == 0
        assert len(tracker.run_ids) == 1
    client, run = run_of(store_uri, "whole")
    history = client.get_metric_history(run.info.run_id, AP_50)
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
    assert parent.data.tags["detsweep.reused"] == "{}"
    assert parent.data.tags["axis/backbone"] == "resnet18,resnet34"
    assert parent.info.status == "FINISHED"


@pytest.mark.parametrize("kept", [None, 0.0, 1, 0.5, -1], ids=["gone", "empty", "one byte", "half", "all but one byte"])
def test_a_torn_or_lost_record_of_what_was_shipped_doubles_and_loses_no_point(
    store_uri: str, sweep: SweepFolder, kept: float | None, request: pytest.FixtureRequest
) -> None:
    experiment = f"torn {request.node.callspec.id}"
    first = sweep.job("0001").take_attempt()
    for epoch in (1, 2):
        write_epoch(first, epoch)
    tracker = Tracker(tracking(store_uri, sweep, experiment), sweep, pytest.fail)
    ship_all(tracker, sweep, JobState.PAUSED)
    assert tracker.close(timeout_s=60) == 0
    shipped = sweep.job("0001").shipped
    whole = shipped.read_bytes()
    if kept is None:
        shipped.unlink()
    else:
        shipped.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    second = sweep.job("0001").take_attempt()
    for epoch in (2, 3):
        write_epoch(second, epoch)
    tracker = Tracker(tracking(store_uri, sweep, experiment), sweep, pytest.fail)
    ship_all(tracker, sweep)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, experiment)
    assert points(client, run) == EPOCH_POINTS


def test_a_store_that_has_nothing_yet_receives_everything(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    for experiment, epochs in (("old store", 1), ("new store", 2)):
        write_epoch(attempt, epochs)
        tracker = Tracker(tracking(store_uri, sweep, experiment), sweep, pytest.fail)
        ship_all(tracker, sweep)
        assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "new store")
    assert points(client, run) == EPOCH_POINTS[:2]


def test_a_job_that_was_told_to_its_end_is_not_told_again(
    store_uri: str, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    copied: list[str] = []
    log_files = MlflowStore.log_files
    monkeypatch.setattr(
        MlflowStore, "log_files", lambda store, run_id, files: [copied.append(run_id), log_files(store, run_id, files)]
    )
    for n_copies in (1, 1):
        tracker = Tracker(tracking(store_uri, sweep, "told"), sweep, pytest.fail)
        ship_all(tracker, sweep)
        assert tracker.close(timeout_s=60) == 0
        assert len(copied) == n_copies
        assert len(tracker.run_ids) == 1
    write_epoch(attempt, 2)  # something new: told again
    tracker = Tracker(tracking(store_uri, sweep, "told"), sweep, pytest.fail)
    ship_all(tracker, sweep)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "told")
    assert points(client, run) == EPOCH_POINTS[:2]
    assert run.info.status == "FINISHED"


def test_a_failed_job_says_why_until_it_is_tried_again(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    failure = Failure(FailureKind.DIVERGED, "loss is NaN at iteration 7")
    AttemptResult(1, AttemptOutcome.FAILED, failure=failure, finished_at=1.0).write(attempt)
    tracker = Tracker(tracking(store_uri, sweep, "failed"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    tracker.end_job(attempt, JobState.FAILED, failure.message)
    assert tracker.close(timeout_s=60) == 0
    _, run = run_of(store_uri, "failed")
    assert (run.info.status, run.data.tags["detsweep.failure"]) == ("FAILED", "loss is NaN at iteration 7")
    tracker = Tracker(tracking(store_uri, sweep, "failed"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    assert tracker.close(timeout_s=60) == 0
    _, run = run_of(store_uri, "failed")
    assert (run.info.status, run.data.tags["detsweep.failure"]) == ("RUNNING", "")


def test_an_attempt_that_is_not_the_last_tells_no_result(store_uri: str, sweep: SweepFolder) -> None:
    """Its best epoch so far, told under the name of the final one, would stand there twice."""
    tracker = Tracker(tracking(store_uri, sweep, "results"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    for number, (outcome, state) in enumerate(
        [(AttemptOutcome.INTERRUPTED, JobState.PAUSED), (AttemptOutcome.COMPLETED, JobState.COMPLETED)], start=1
    ):
        attempt = sweep.job("0001").take_attempt()
        tracker.start_job(tracked_job(sweep))
        best = {"best/val/bbox_mAP_50": 0.1}
        AttemptResult(number, outcome, metrics=best, best_epoch=1, finished_at=1000.0 * number).write(attempt)
        tracker.end_job(attempt, state, None)
        time.sleep(0.3)  # let the first be told before it is overtaken
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "results")
    assert points(client, run, "best/val/bbox_mAP_50") == [(1, 2000000)]


def test_what_a_process_of_another_attempt_wrote_is_not_told(store_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    MetricRecord(at=1002.0, attempt=7, step=2, values={AP_50: 0.9}).append(attempt)
    result = AttemptResult(7, AttemptOutcome.COMPLETED, metrics={"best/val/bbox_mAP_50": 0.9}, finished_at=1.0)
    result.write(attempt)
    tracker = Tracker(tracking(store_uri, sweep, "foreign"), sweep, pytest.fail)
    ship_all(tracker, sweep)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "foreign")
    assert points(client, run) == EPOCH_POINTS[:1]
    assert "best/val/bbox_mAP_50" not in run.data.metrics


def test_a_job_that_ran_out_of_memory_is_marked(store_uri: str, sweep: SweepFolder) -> None:
    first, second = sweep.job("0001").take_attempt(), sweep.job("0001").take_attempt()
    AttemptSpec(1, "cuda", 1, 0, batch_per_step=8, accumulation=2).write(first)
    AttemptResult(1, AttemptOutcome.FAILED, failure=Failure(FailureKind.OOM, "CUDA out of memory")).write(first)
    AttemptSpec(2, "cuda", 1, 0, batch_per_step=4, accumulation=4).write(second)
    AttemptResult(2, AttemptOutcome.COMPLETED, finished_at=1.0).write(second)
    tracker = Tracker(tracking(store_uri, sweep, "marked"), sweep, pytest.fail)
    ship_all(tracker, sweep)
    assert tracker.close(timeout_s=60) == 0
    _, run = run_of(store_uri, "marked")
    assert run.data.tags["detsweep.remarks"] == "out of memory: 4 x 4 images per step instead of 8 x 2 images per step"


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
    while not tracker.run_ids:
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


def test_an_epoch_that_a_later_attempt_trained_again_is_told_once(store_uri: str, sweep: SweepFolder) -> None:
    first, second = sweep.job("0001").take_attempt(), sweep.job("0001").take_attempt()
    for epoch in (1, 2):
        write_epoch(first, epoch)
    MetricRecord(at=1003.0, attempt=1, step=3, values={"train/loss": 0.5}).append(first)
    for epoch in (2, 3):  # the first attempt was lost before its second epoch was saved
        write_epoch(second, epoch)
    tracker = Tracker(tracking(store_uri, sweep, "again"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    tracker.ship(second)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "again")
    assert points(client, run) == EPOCH_POINTS


@pytest.mark.parametrize(
    ("name", "kept"),
    [("val/bbox_mAP_50", "val/bbox_mAP_50"), ("class/a@b[c]", "class/a_b_c_"), ("class/塑料 bag", "class/塑料 bag")],
)
def test_metric_names_keep_what_the_store_takes(name: str, kept: str) -> None:
    assert metric_name(name) == kept


def test_shipped_offsets_are_bytes_of_whole_records_in_a_file_that_the_umask_governs(
    store_uri: str, sweep: SweepFolder
) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    n_bytes = attempt.metrics.stat().st_size
    with attempt.metrics.open("a", encoding="utf-8") as file:
        file.write('{"at": 1')
    umask = os.umask(0o007)
    try:
        tracker = Tracker(tracking(store_uri, sweep, "offsets"), sweep, pytest.fail)
        tracker.open_sweep("test", {})
        tracker.start_job(tracked_job(sweep))
        tracker.ship(attempt)
        assert tracker.close(timeout_s=60) == 0
    finally:
        os.umask(umask)
    path = sweep.job("0001").shipped
    shipped = json.loads(path.read_text(encoding="utf-8"))["attempts"]["1"]
    assert shipped["offset"] == n_bytes
    assert shipped["steps"][AP_50] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


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
