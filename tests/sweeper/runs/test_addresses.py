"""A run is found by whatever people call it; what is ambiguous or unknown lists what there is."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from reports.read import Experiment
from reports.stored_jobs import find_stored_jobs
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.states import JobState
from sweeper.runs.addresses import FoundRun, RunPlace, find_run
from tests.reports.sweep_writing import STARTED_AT, WrittenJob, write_sweep

Tracked = tuple[SweepFolder, Experiment]

OFF: Mapping[str, object] = {"name": "off", "uri": None, "experiment": "detsweep", "log_checkpoints": False}


def written(output_dir: Path, day: int, jobs: list[WrittenJob], **tracking: object) -> SweepFolder:
    sweep = write_sweep(output_dir, jobs, sweep_id=f"2026110{day}-101500_backbones_{day}f3a")
    stored = yaml.safe_load(sweep.sweep.read_text())
    stored["settings"]["tracking"] = {**OFF, **tracking}
    sweep.sweep.write_text(yaml.safe_dump(stored))
    return sweep


@pytest.fixture
def sweeps(tmp_path: Path) -> tuple[SweepFolder, SweepFolder]:
    """Two sweeps of one name without a store; one title stands in both."""
    older = [WrittenJob(0.5), WrittenJob(0.9, {"backbone": "swin_t"})]
    newer = [WrittenJob(0.5), WrittenJob(0.6, {"backbone": "resnet101"}), WrittenJob(state=JobState.PLANNED, title="x")]
    return written(tmp_path, 3, older), written(tmp_path, 4, newer)


def found(address: str, output_dir: Path) -> FoundRun:
    return find_run(address, RunPlace(output_dir))


def test_a_run_has_many_names(sweeps: tuple[SweepFolder, SweepFolder], tmp_path: Path) -> None:
    older, newer = sweeps
    wanted = newer.job("0002").path
    title = "faster-rcnn_resnet101_fpn_sgd_512"
    names = ["2", "0002", f"{newer.sweep_id}/2", "backbones/2", f"{newer.path}/2", str(wanted), title, "best"]
    for name in (*names, f"{newer.sweep_id}/{title}", f"backbones/{title}", "backbones/best"):
        run = found(name, tmp_path)
        assert (name, run.job.path) == (name, wanted)
        assert (run.title, run.key, run.run_id, run.tracking.uri) == (title, f"{newer.sweep_id}/0002", None, None)
    assert found(f"{older.sweep_id}/best", tmp_path).job.path == older.job("0002").path
    assert found("faster-rcnn_swin_t_fpn_sgd_512", tmp_path).job.path == older.job("0002").path


def test_a_title_of_several_runs_lists_them(sweeps: tuple[SweepFolder, SweepFolder], tmp_path: Path) -> None:
    older, newer = sweeps
    with pytest.raises(UserError) as error:
        found("faster-rcnn_resnet50_fpn_sgd_512", tmp_path)
    told = str(error.value)
    assert "2 runs have this title" in told
    assert f"{older.sweep_id}/1, {newer.sweep_id}/1" in told


def test_an_unknown_run_is_told_with_the_nearest(sweeps: tuple[SweepFolder, SweepFolder], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is none; the nearest are faster-rcnn_swin_t_fpn_sgd_512 \(.*/2\)"):
        found("faster-rcnn_swin_l_fpn_sgd_512", tmp_path)
    with pytest.raises(UserError, match=r"no job 9; it holds 1, 2, 3"):
        found("9", tmp_path)
    with pytest.raises(UserError, match=r"that is a sweep; name one of its jobs, as in .*/1 \(faster"):
        found(str(sweeps[0].path), tmp_path)
    with pytest.raises(UserError, match="no sweep has been run there"):
        found("x", tmp_path / "elsewhere")


def test_a_reused_job_is_the_run_that_answers_it(sweeps: tuple[SweepFolder, SweepFolder], tmp_path: Path) -> None:
    older, newer = sweeps
    answer = older.job("0002").path
    event = {"event": "reused", "job": "0003", "state": "REUSED", "run_id": "", "folder": str(answer)}
    append_line(newer.journal, {"at": STARTED_AT + 9000, **event})
    run = found("3", tmp_path)
    assert (run.job.path, run.key) == (answer, f"{older.sweep_id}/0002")
    assert found("x", tmp_path) == run
    assert found("best", tmp_path).job.path == answer  # of the newest sweep, by the numbers that it shows
    moved = tmp_path.rename(tmp_path.with_name("handed over"))
    assert found("3", moved).job.path == moved / answer.relative_to(tmp_path)
    moved.rename(tmp_path)
    shutil.rmtree(answer)
    with pytest.raises(UserError, match=r"answers it, and is gone; train it with reuse=false"):
        found("3", tmp_path)


def test_the_best_of_jobs_that_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    other = WrittenJob(0.6, settings={"best_by": "bbox_mAP"})
    written(tmp_path, 3, [WrittenJob(), other])
    with pytest.raises(UserError, match=r"choose by different values \(bbox_mAP, bbox_mAP_50\)"):
        found("best", tmp_path)


def test_what_only_the_store_knows_is_found_there(tracked: Tracked, tmp_path: Path) -> None:
    sweep, experiment = tracked
    place = RunPlace(tmp_path, experiment.tracking_uri)
    (stored,) = find_stored_jobs(experiment.tracking_uri, f"{sweep.sweep_id}/0002")
    for name in (stored.run_id, stored.title, stored.key):
        run = find_run(name, place)
        assert (run.job.path, run.run_id, run.key) == (sweep.job("0002").path, stored.run_id, stored.key)
        assert (run.tracking.uri, run.tracking.experiment) == (experiment.tracking_uri, "trash")
    with pytest.raises(UserError, match="there is none"):
        find_run("nothing", place)


def test_a_reused_run_that_trained_elsewhere_is_fetched(tracked: Tracked, tmp_path: Path) -> None:
    sweep, experiment = tracked
    (stored,) = find_stored_jobs(experiment.tracking_uri, f"{sweep.sweep_id}/0001")
    mine = written(tmp_path, 4, [WrittenJob(state=JobState.PLANNED)], uri=experiment.tracking_uri, name="server")
    event = {"event": "reused", "job": "0001", "state": "REUSED", "run_id": stored.run_id, "folder": "/gone/0001"}
    append_line(mine.journal, {"at": STARTED_AT + 1, **event})
    run = found("1", tmp_path)
    assert run.job.path == tmp_path / "fetched" / stored.run_id
    assert run.job.config.read_text() == sweep.job("0001").config.read_text()
    assert run.run_id == stored.run_id
