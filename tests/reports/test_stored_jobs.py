"""Single jobs are found in a store by what people call them, and what it keeps of one can be fetched."""

from pathlib import Path

from reports.read import Experiment
from reports.stored_jobs import fetch_job, find_stored_jobs
from runners.contract.folder import SweepFolder

Tracked = tuple[SweepFolder, Experiment]


def test_a_job_is_found_by_id_number_or_title(tracked: Tracked) -> None:
    folder, experiment = tracked
    uri = experiment.tracking_uri
    (by_number,) = find_stored_jobs(uri, f"{folder.sweep_id}/0002")
    (by_title,) = find_stored_jobs(uri, "faster-rcnn_resnet101_fpn_sgd_512_narrow")
    (by_run_id,) = find_stored_jobs(uri, by_number.run_id)
    assert by_number == by_title == by_run_id
    assert (by_number.folder, by_number.experiment) == (str(folder.job("0002").path), "trash")


def test_what_is_no_job_is_not_found(tracked: Tracked) -> None:
    folder, experiment = tracked
    # The sweep's own run carries the sweep's id as its name.
    for name in ("nothing", folder.sweep_id, "0" * 32, "it's"):
        assert find_stored_jobs(experiment.tracking_uri, name) == []


def test_what_a_store_keeps_of_a_job_can_be_fetched(tracked: Tracked, tmp_path: Path) -> None:
    folder, experiment = tracked
    (job,) = find_stored_jobs(experiment.tracking_uri, f"{folder.sweep_id}/0001")
    fetched = fetch_job(experiment.tracking_uri, job.run_id, tmp_path)
    assert fetched.path == tmp_path / job.run_id
    assert fetched.config.read_text() == folder.job("0001").config.read_text()
