"""A reused job shows the numbers of the run that answers it, and no report counts that run twice."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from reports.mlflow_runs import find_finished
from reports.read import Experiment, read_runs
from reports.section import split_sections
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.remarks import RemarkKind
from runners.contract.states import JobState
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from tests.reports.sweep_writing import STARTED_AT, WrittenJob, write_sweep

AP_50 = "best/val/bbox_mAP_50"


def write_reusing(output_dir: Path, event: Mapping[str, str], tracking: Mapping[str, str | None]) -> SweepFolder:
    """Write a sweep of two jobs, of which an earlier run answers the second."""
    jobs = [WrittenJob(0.4), WrittenJob(state=JobState.PLANNED)]
    sweep = write_sweep(output_dir, jobs, sweep_id="20261104-101500-more-aaaa", name="more")
    reused = {"event": "reused", "job": "0002", "state": "REUSED", "title": "as it was called", **event}
    append_line(sweep.journal, {"at": STARTED_AT + 1, **reused})
    stored = yaml.safe_load(sweep.sweep.read_text())
    stored["settings"]["tracking"] = dict(tracking)
    sweep.sweep.write_text(yaml.safe_dump(stored))
    return sweep


@pytest.fixture
def run_id(tracked: tuple[SweepFolder, Experiment]) -> str:
    experiment = tracked[1]
    return find_finished(experiment.tracking_uri, ["identity of 0001"])["identity of 0001"].run_id


def test_the_numbers_come_from_the_folder_that_has_them(tmp_path: Path) -> None:
    earlier = write_sweep(tmp_path, [WrittenJob(0.62)])
    folder = str(earlier.job("0001").path)
    sweep = write_reusing(tmp_path, {"run_id": "", "folder": folder}, {"name": "off", "uri": None})
    own, reused = read_runs(sweep).runs
    answer = read_runs(earlier).runs[0]
    assert (reused.state, reused.has_result) == (JobState.REUSED, True)
    assert (reused.metrics, reused.curves) == (answer.metrics, answer.curves)
    assert [(remark.kind, remark.detail) for remark in reused.remarks] == [
        (RemarkKind.REUSED, f"{earlier.sweep_id}/0001")
    ]
    assert reused.folder == earlier.job("0001").path
    assert own.remarks == ()
    study = split_sections(read_runs(sweep))[0].tables[0]
    assert study.rows[0].cells[0].text.endswith(" §")
    assert study.rows[0].remarks == f"reused: {earlier.sweep_id}/0001"


def test_the_numbers_come_from_the_store_where_the_folder_is_elsewhere(
    tracked: tuple[SweepFolder, Experiment], tmp_path: Path, run_id: str
) -> None:
    folder, experiment = tracked
    event = {"run_id": run_id, "folder": "/on/another/machine/20261103/jobs/0001"}
    sweep = write_reusing(tmp_path, event, {"name": "server", "uri": experiment.tracking_uri})
    reused = read_runs(sweep).runs[1]
    assert reused.metrics == read_runs(folder).runs[0].metrics
    assert reused.curves == read_runs(folder).runs[0].curves
    assert reused.state is JobState.REUSED
    assert [remark.kind for remark in reused.remarks] == [RemarkKind.REUSED]


def test_numbers_that_are_nowhere_cost_a_report_one_row_and_no_time(tmp_path: Path) -> None:
    earlier = write_sweep(tmp_path, [WrittenJob(0.62)])
    folder = str(earlier.job("0001").path)
    shutil.rmtree(earlier.path)
    sweep = write_reusing(tmp_path, {"run_id": "gone", "folder": folder}, {"name": "sqlite", "uri": None})
    own, reused = read_runs(sweep).runs
    assert own.metrics[AP_50] > 0
    assert reused.metrics == {}
    (note,) = reused.notes
    assert note.startswith(f"reused, but the folder of its run is gone: {folder}; tracking store in sqlite:///")
    assert note.endswith("run a sweep first, or say output_dir or tracking.uri")
    untracked = write_reusing(tmp_path / "off", {"run_id": "", "folder": folder}, {"name": "off", "uri": None})
    assert read_runs(untracked).runs[1].notes == (f"reused, but the folder of its run is gone: {folder}",)


def test_an_experiment_counts_a_run_once_and_shows_one_of_another_experiment(
    tracked: tuple[SweepFolder, Experiment], tmp_path: Path, run_id: str
) -> None:
    folder, experiment = tracked
    for name, sweep_id in (("trash", "20261105-1"), ("elsewhere", "20261105-2")):
        sweep = SweepFolder(tmp_path / sweep_id)
        sweep.jobs.mkdir(parents=True)
        tracker = Tracker(TrackingSettings(experiment.tracking_uri, name, tmp_path / "artifacts"), sweep, pytest.fail)
        tracker.open_sweep("more", {"detsweep.reused": f'{{"0007": "{run_id}"}}', "detsweep.reused.2": "{}"})
        assert tracker.close(60) == 0
    assert [run.job_id for run in read_runs(experiment).runs] == ["0001", "0002", "0003"]
    (other,) = read_runs(Experiment("elsewhere", experiment.tracking_uri)).runs
    assert (other.sweep_id, other.job_id, other.state) == ("20261105-2", "0007", JobState.REUSED)
    assert other.metrics == read_runs(folder).runs[0].metrics
    assert other.remarks[0].detail == f"run {run_id} of {folder.sweep_id}/0001"
