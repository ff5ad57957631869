"""What reports read from a sweep's folder and from MLflow."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from reports.gathering import Sources, gather
from reports.read import Experiment, read_runs
from reports.records import Point, RunRecord, fold_points
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from tests.reports.sweep_writing import STARTED_AT, WrittenJob, write_sweep


def test_a_sweep_folder_tells_everything_about_its_jobs(tmp_path: Path) -> None:
    jobs = [
        WrittenJob(0.6, {"backbone": "resnet101"}),
        WrittenJob(state=JobState.FAILED, failure="loss is NaN at iteration 118", n_trained=3),
        WrittenJob(state=JobState.RUNNING, n_trained=5),
        WrittenJob(state=JobState.PLANNED),
    ]
    found = read_runs(write_sweep(tmp_path, jobs, labelled={"val": True, "test": False}))

    assert [run.state.value for run in found.runs] == ["COMPLETED", "FAILED", "RUNNING", "PLANNED"]
    completed, failed, running, planned = found.runs
    assert completed.title == "faster-rcnn_resnet101_fpn_sgd_512"
    assert completed.params["backbone"] == "resnet101"
    assert completed.params["lr"] == "0.02"
    assert [point.epoch for point in completed.curves["train/loss"]] == list(range(1, 13))
    assert completed.at_best("val/bbox_mAP_50") == max(p.value for p in completed.curves["val/bbox_mAP_50"])
    assert completed.at_best("train/loss") == completed.curves["train/loss"][11].value
    assert completed.labelled == {"val": True, "test": False}
    assert completed.notes == ("test split is not labelled",)
    assert completed.failure == ""
    assert failed.failure == "loss is NaN at iteration 118"
    assert running.best_epoch in range(1, 6)
    assert planned.metrics == {}
    assert found.sweeps[0].n_images == {"train": 205, "val": 87, "test": 72}
    assert found.sweeps[0].started_at == STARTED_AT


def test_the_store_and_the_folder_tell_the_same(tracked: tuple[SweepFolder, Experiment]) -> None:
    folder, experiment = tracked
    from_folder, from_store = read_runs(folder), read_runs(experiment)

    def comparable(run: RunRecord) -> RunRecord:
        # The sweep's varied keys are columns of their own in both; here they are groups, which are columns anyway.
        return dataclasses.replace(
            run, metrics=dict(sorted(run.metrics.items())), params=dict(sorted(run.params.items()))
        )

    assert [comparable(run) for run in from_store.runs] == [comparable(run) for run in from_folder.runs]
    assert from_store.title == "trash"
    assert from_store.sweeps[0].sweep_id == folder.sweep_id
    assert from_store.sweeps[0].command == ("detsweep", "train", "-m")


def test_an_unknown_experiment_is_refused_with_those_there_are(tracked: tuple[SweepFolder, Experiment]) -> None:
    _, experiment = tracked
    with pytest.raises(UserError, match=r"no experiment 'trahs'; it holds Default, .*trash"):
        read_runs(dataclasses.replace(experiment, name="trahs"))


def test_a_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    with pytest.raises(UserError, match="there is none"):
        read_runs(Experiment("detsweep", f"sqlite:///{store}"))
    assert not store.exists()


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(UserError) as told:
        read_runs(Experiment("detsweep", "nonsense://user:secret@host/db"))
    assert "host" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_server_that_is_down_is_told_soon(unused_port: int) -> None:
    with pytest.raises(UserError, match="is the address right, and the server up"):
        read_runs(Experiment("detsweep", f"http://127.0.0.1:{unused_port}"))


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file sweep\.yaml"):
        read_runs(SweepFolder(tmp_path))


def test_a_journal_damaged_in_the_middle_is_refused_and_a_torn_end_is_not(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, [WrittenJob()])
    with folder.journal.open("a") as file:
        file.write('{"at": 1790009999.0, "event": "end')
    assert read_runs(folder).runs[0].state is JobState.COMPLETED
    with folder.journal.open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"journal in .*: damaged"):
        read_runs(folder)


def test_jobs_of_several_data_sets_are_told_apart(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, [WrittenJob(), WrittenJob()])
    sweep = yaml.safe_load(folder.sweep.read_text())
    sweep["datasets"].append({**sweep["datasets"][0], "fingerprint": "other", "labelled": {"val": True}})
    sweep["jobs"][1]["fingerprint"] = "other"
    folder.sweep.write_text(yaml.safe_dump(sweep))
    assert [run.labelled for run in read_runs(folder).runs] == [{"val": True, "test": True}, {"val": True}]


def test_epochs_that_a_later_attempt_trained_again_replace_the_earlier_ones(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, [WrittenJob(state=JobState.RUNNING, n_trained=5)])
    second = folder.job("0001").take_attempt()
    for epoch, loss in ((3, 9.0), (4, 8.0)):
        MetricRecord(STARTED_AT + 9000 + epoch, 2, epoch, {"train/loss": loss}).append(second)
    curve = read_runs(folder).runs[0].curves["train/loss"]
    assert [point.epoch for point in curve] == [1, 2, 3, 4]
    assert [point.value for point in curve[2:]] == [9.0, 8.0]


def test_runs_on_some_data_are_gathered_from_the_store_and_from_folders_once(
    tracked: tuple[SweepFolder, Experiment], tmp_path: Path
) -> None:
    folder, experiment = tracked
    (fingerprint,) = {run.fingerprint for run in read_runs(folder).runs}
    for name in (None, experiment.name):
        away = gather(Sources(tmp_path, experiment.tracking_uri, name), {fingerprint})
        assert [(run.sweep_id, run.job_id) for run in away.runs] == [
            (folder.sweep_id, f"000{job}") for job in (1, 2, 3)
        ]
        assert away.versions[folder.sweep_id]["torch"] == "2.15.0"
    both = gather(Sources(folder.path.parent, experiment.tracking_uri), {fingerprint})
    assert both.runs == read_runs(folder).runs
    assert gather(Sources(folder.path.parent, experiment.tracking_uri), {"0" * 64}).runs == ()
    with pytest.raises(UserError, match="no experiment 'other'"):
        gather(Sources(tmp_path, experiment.tracking_uri, "other"), {fingerprint})


def test_fold_points_keeps_one_value_per_epoch() -> None:
    written = [Point(1, 0.1), Point(2, 0.2), Point(3, 0.3), Point(2, 0.25)]
    assert fold_points(written) == (Point(1, 0.1), Point(2, 0.25))


def test_damaged_metrics_are_refused_with_the_file(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, [WrittenJob()])
    attempt = folder.job("0001").newest_attempt()
    assert attempt is not None
    append_line(attempt.metrics, {"no": "record"})
    with pytest.raises(UserError, match=r"metrics\.jsonl: damaged"):
        read_runs(folder)
