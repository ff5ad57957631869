"""What is wrong with runs is found once, kept beside them, and never keeps a report from being written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from reports.diagnosed_runs import DiagnosedRuns, diagnose_runs
from reports.diagnosis import run_diagnosis
from reports.diagnosis.error_types import find_errors
from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.diagnosis.tide import diagnose
from reports.read import read_runs
from reports.sweep_report import write_report
from runners.contract.folder import SweepFolder
from tests.reports.diagnosed_sweep import write_diagnosed_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return write_diagnosed_sweep(tmp_path, n_seeds=1)


def looked_at(sweep: SweepFolder, with_intervals: bool = False) -> DiagnosedRuns:
    runs = read_runs(sweep).runs
    return diagnose_runs(runs, [f"{run.sweep_id}/{run.job_id}" for run in runs] if with_intervals else ())


def test_a_run_is_diagnosed_as_its_predictions_say(sweep: SweepFolder) -> None:
    found = looked_at(sweep).found[f"{sweep.sweep_id}/0001"]
    detections = json.loads((sweep.job("0001").predictions / "a1_val_last.json").read_text())
    assert found.errors.diagnosis == diagnose(find_errors(found.on.truth, detections))
    assert found.errors.replicates.ap50.size == 0
    assert found.errors.diagnosis.costliest is ErrorType.CLASSIFICATION
    assert [row.n_objects for row in found.own_sizes] == [24, 24, 24]


def test_what_was_found_is_not_found_again(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = looked_at(sweep, with_intervals=True)
    monkeypatch.setattr(run_diagnosis, "find_errors", lambda *_: pytest.fail("found again"))
    for again in (looked_at(sweep, with_intervals=True), looked_at(sweep)):
        for key, found in first.found.items():
            assert again.found[key].errors.diagnosis == found.errors.diagnosis
            for error in MAIN_TYPES:
                costs = again.found[key].errors.replicates.main[error]
                np.testing.assert_array_equal(costs, found.errors.replicates.main[error])
            assert again.found[key].confusion.pairs == found.confusion.pairs
            assert (again.found[key].sizes, again.found[key].own_sizes) == (found.sizes, found.own_sizes)


def test_intervals_that_were_not_kept_are_found_when_they_are_asked_for(sweep: SweepFolder) -> None:
    assert looked_at(sweep).found[f"{sweep.sweep_id}/0001"].errors.replicates.ap50.shape == (0,)
    assert looked_at(sweep, with_intervals=True).found[f"{sweep.sweep_id}/0001"].errors.replicates.ap50.shape == (1000,)


def test_predictions_that_have_changed_are_looked_at_anew(sweep: SweepFolder) -> None:
    looked_at(sweep)
    (sweep.job("0001").predictions / "a1_val_last.json").write_text("[]")
    found = looked_at(sweep).found[f"{sweep.sweep_id}/0001"]
    assert found.errors.diagnosis.ap50 == 0.0
    assert found.errors.diagnosis.counts[ErrorType.MISSED] == 72


def damage(sweep: SweepFolder, how: str) -> None:
    job = sweep.job("0001")
    if how == "no predictions":
        shutil.rmtree(job.predictions)
    elif how == "cut short":
        (job.predictions / "a1_val_last.json").write_text('[{"image_id": 1')
    elif how == "not detections":
        (job.predictions / "a1_val_last.json").write_text('[{"image_id": 1}, 7]')
    elif how == "no data set":
        config = yaml.safe_load(job.config.read_text())
        job.config.write_text(yaml.safe_dump({**config, "dataset": {"name": "coco", "root": "x", "val": "y"}}))
    elif how == "labels gone":
        job.config.write_text(job.config.read_text().replace("val.json", "gone.json"))


@pytest.mark.parametrize("how", ["no predictions", "cut short", "not detections", "no data set", "labels gone"])
def test_a_report_does_not_fail_because_of_one_run(sweep: SweepFolder, how: str) -> None:
    damage(sweep, how)
    report = write_report(sweep, sweep.report)
    said = [line for line in report.screen.open if line.startswith("Errors of 1 of 2 finished runs were not looked at")]
    assert len(said) == 1
    (errors,) = (table for table in report.tables if table.name == "errors")
    assert [row.key for row in errors.rows] == [f"{sweep.sweep_id}/0002"]


def test_images_that_are_gone_only_take_the_pictures(sweep: SweepFolder) -> None:
    for image in (sweep.path.parent / "data").glob("*.png"):
        image.unlink()
    report = write_report(sweep, sweep.report)
    assert report.screen.pictures == []
    assert "errors" in {table.name for table in report.tables}
