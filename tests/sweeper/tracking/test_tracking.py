"""A sweep reaches a real SQLite store: once, in order, and again after an interruption without a point doubled."""

import json
import os
import stat
import time

import pytest
from mlflow import MlflowClient

from reports.mlflow_runs import sweep_record
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.looks import look_tags
from sweeper.stored.journal import Journal
from sweeper.tracking.mlflow_store import MlflowStore, metric_name
from sweeper.tracking.tracking import Tracker
from tests.sweeper.tracked_sweep import (
    AP_50,
    EPOCH_POINTS,
    points,
    run_of,
    runs_of,
    ship_all,
    tracked_job,
    tracking,
    write_epoch,
)


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


def test_what_looks_came_to_is_read_back_from_the_sweeps_own_run(store_uri: str, sweep: SweepFolder) -> None:
    tracker = Tracker(tracking(store_uri, sweep, "looks"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    looks = [
        {"n_seeds": 3, "words": {AP_50: "undecided"}, "is_final": False},
        {"n_seeds": 5, "words": {AP_50: "better"}},
    ]
    for look in looks:
        with Journal(sweep.journal) as journal:
            assert len(look_tags(sweep)) == (look is looks[1])
            journal.append("requested", name="1.0-aa.json", op="add", jobs=[], look=look)
        tracker.tag_sweep(look_tags(sweep))
    assert tracker.close(timeout_s=60) == 0
    _, parent = run_of(store_uri, "looks", "sweep")
    assert list(sweep_record(parent).looks) == looks


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


def test_a_trial_that_is_given_up_where_it_rests_tells_what_it_has_reached(store_uri: str, sweep: SweepFolder) -> None:
    """Its one attempt was broken off to rest, and no other follows."""
    tracker = Tracker(tracking(store_uri, sweep, "given up"), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    attempt = sweep.job("0001").take_attempt()
    tracker.start_job(tracked_job(sweep))
    best = {"best/val/bbox_mAP_50": 0.1}
    AttemptResult(1, AttemptOutcome.INTERRUPTED, metrics=best, best_epoch=1, finished_at=1000.0).write(attempt)
    for state in (JobState.PAUSED, JobState.PRUNED):
        tracker.end_job(attempt, state, None)
        time.sleep(0.3)  # let it be told that it rests before it is given up
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(store_uri, "given up")
    assert points(client, run, "best/val/bbox_mAP_50") == [(1, 1000000)]


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
