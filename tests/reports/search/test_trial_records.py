"""Trials read back from runs, folders and MLflow alike: values at the last epoch, curves, limits, reasons."""

import dataclasses
import json
from pathlib import Path

import yaml

from reports.read import Experiment, read_runs
from reports.search.trial_records import Searched, find_searches
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line, read_lines
from runners.contract.naming import run_params
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from runners.contract.trials import TRIAL_TAG, Trial, TrialRecord
from sweeper.tracking.outbox import TrackedJob
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from sweeper.tracking.tracking_store import json_tags, sweep_tags, warm_tags
from tests.reports.search.search_writing import N_EPOCHS, NODE, point, write_search, written_trial
from tests.reports.sweep_writing import STARTED_AT, WrittenJob

EARLIER = TrialRecord(
    Trial(0, point(1), "warm", run="f" * 32), state=JobState.COMPLETED, values={"val/bbox_mAP_50": 0.5}, curve={12: 0.5}
)


def jobs() -> list[WrittenJob]:
    """Return a default, a completed trial, a pruned one and a failed one."""
    failed = written_trial(3, n_epochs=2, failure="loss is NaN at iteration 118")
    return [written_trial(0), written_trial(1), written_trial(2, n_epochs=4), failed]


def the_search(source: SweepFolder | Experiment) -> Searched:
    """Return the one search of a source."""
    (searched,), problems = find_searches(read_runs(source))
    assert problems == []
    return searched


def test_trials_are_read_back_with_what_their_search_was_told(tmp_path: Path) -> None:
    folder = write_search(tmp_path, jobs(), warm=[EARLIER], constraints={"cost/wall_s": {"max": 600}})
    found = the_search(folder)

    earlier, default, best, pruned, failed = found.records
    assert earlier == EARLIER
    assert [record.state.value for record in found.own] == ["COMPLETED", "COMPLETED", "PRUNED", "FAILED"]
    assert default.trial == Trial(0, point(0), "default")
    # The last epoch, not the best one, is what the sampler was told of.
    assert best.values == {"val/bbox_mAP_50": best.curve[N_EPOCHS]}
    assert sorted(best.curve) == list(range(1, N_EPOCHS + 1))
    assert best.constraints == {"cost/wall_s": N_EPOCHS * 60.0 - 600}
    assert not best.is_feasible
    assert pruned.values == {}
    assert sorted(pruned.curve) == [1, 2, 3, 4]
    assert pruned.reason == "below the best third at epoch 4"
    assert failed.reason == "loss is NaN at iteration 118"
    assert default.started_at == STARTED_AT
    assert default.ended_at == STARTED_AT + N_EPOCHS * 60


def test_a_pruned_trial_says_why_that_was_decided(tmp_path: Path) -> None:
    silent = dataclasses.replace(written_trial(2, n_epochs=4), failure="")
    folder = write_search(tmp_path, [written_trial(0), written_trial(1), silent])
    told = {"event": "decided", "job": "0003", "decision": "prune", "epoch": 4, "reason": "not among the best third"}
    append_line(folder.journal, {"at": STARTED_AT + 1, **told})
    assert the_search(folder).own[2].reason == "not among the best third"


def test_a_curve_goes_on_where_a_later_attempt_went_on(tmp_path: Path) -> None:
    folder = write_search(tmp_path, jobs())
    later = folder.job("0003").take_attempt()
    for epoch, value in ((4, 0.1), (5, 0.2)):
        MetricRecord(STARTED_AT + 90_000 + epoch, 2, epoch, {"val/bbox_mAP_50": value}).append(later)
    curve = the_search(folder).own[2].curve
    assert sorted(curve) == [1, 2, 3, 4, 5]
    assert (curve[4], curve[5]) == (0.1, 0.2)


def test_a_completed_trial_that_lacks_an_objective_says_so(tmp_path: Path) -> None:
    objectives = {"val/bbox_mAP_50": "maximize", "cost/peak_memory_gb": "minimize"}
    record = the_search(write_search(tmp_path, jobs(), objectives=objectives, pruner="none")).own[1]
    assert set(record.values) == {"val/bbox_mAP_50"}
    assert record.reason == "not measured: cost/peak_memory_gb"


def test_the_curve_of_a_class_is_read_where_trials_are_pruned_by_it(tmp_path: Path) -> None:
    found = the_search(write_search(tmp_path, jobs(), prune_by="val/bbox_mAP_class/RBC"))
    assert sorted(found.own[1].curve) == list(range(1, N_EPOCHS + 1))


def test_a_search_that_cannot_be_read_is_told_of_and_others_are_read(tmp_path: Path) -> None:
    runs = read_runs(write_search(tmp_path, jobs()))
    broken = dataclasses.replace(runs.sweeps[0], sweep_id="other", search={"objectives": "none"})
    found, problems = find_searches(dataclasses.replace(runs, sweeps=(broken, *runs.sweeps)))
    assert [searched.sweep.sweep_id for searched in found] == [runs.sweeps[0].sweep_id]
    assert len(problems) == 1
    assert problems[0].startswith("search of other not read: ")


def test_confirming_runs_are_no_trials_of_the_search(tmp_path: Path) -> None:
    found = the_search(write_search(tmp_path, jobs(), origins={1: "confirm"}))
    assert [record.trial.number for record in found.records] == [0, 2, 3]
    assert [run.job_id for run in found.confirming] == ["0002"]


def test_a_long_tag_is_told_in_parts() -> None:
    warm = [dataclasses.replace(EARLIER, job_id=str(number)) for number in range(40)]
    tags = warm_tags(warm)
    assert list(tags) == ["detsweep.warm", "detsweep.warm.2"]
    assert json.loads("".join(tags.values())) == [record.describe() for record in warm]
    assert json_tags("name", {"a": "ä"}) == {"name": '{"a":"ä"}'}
    assert warm_tags([]) == {}


def test_the_store_tells_the_same_as_the_folder(tmp_path: Path) -> None:
    folder = write_search(tmp_path, jobs(), warm=[EARLIER] * 40)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    _ship(folder, TrackingSettings(uri, "searches", tmp_path / "artifacts"))

    from_folder, from_store = the_search(folder), the_search(Experiment("searches", uri))
    assert from_store.search == from_folder.search
    # A store learns of a start when it is told of it.
    assert [_without_clock(record) for record in from_store.records] == [
        _without_clock(record) for record in from_folder.records
    ]
    assert [from_store.runs[job].times for job in from_store.runs] == [
        from_folder.runs[job].times for job in from_folder.runs
    ]


def _without_clock(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(record, started_at=None, ended_at=None)


def _ship(folder: SweepFolder, settings: TrackingSettings) -> None:
    sweep = yaml.safe_load(folder.sweep.read_text(encoding="utf-8"))
    (dataset,) = sweep["datasets"]
    ended = {event["job"]: event for event, _ in read_lines(folder.journal) if event["event"] == "ended"}
    said: list[str] = []
    tracker = Tracker(settings, folder, said.append)
    told = sweep_tags(sweep["command"], {"search": NODE}, {})
    tracker.open_sweep(folder.sweep_id, {**told, **warm_tags([EARLIER] * 40)})
    for job in sweep["jobs"]:
        own = folder.job(job["id"])
        tags = {
            TRIAL_TAG: json.dumps(job["trial"]),
            "detsweep.dataset": dataset["name"],
            "detsweep.dataset_fingerprint": dataset["fingerprint"],
        }
        params = run_params(yaml.safe_load(own.config.read_text(encoding="utf-8")))
        tracker.start_job(
            TrackedJob(own, job["title"], params, tags, (dataset["name"], dataset["fingerprint"], "data"))
        )
        attempt = own.newest_attempt()
        assert attempt is not None
        tracker.end_job(attempt, JobState(ended[job["id"]]["state"]), ended[job["id"]]["reason"] or None)
    assert tracker.close(120) == 0
    assert said == []
