"""A sweep of small jobs as the tracker meets it, and what a store holds of it."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.tracking.outbox import TrackedJob
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker

AP_50 = "val/bbox_mAP_50"
# Step and time stamp of the epochs that `write_epoch` writes.
EPOCH_POINTS = [(1, 1001000), (2, 1002000), (3, 1003000)]


def make_sweep(folder: Path, *job_ids: str) -> SweepFolder:
    sweep = SweepFolder(folder / "20261123-000000_test_ab12")
    for job_id in job_ids or ("0001",):
        (sweep.jobs / job_id).mkdir(parents=True)
        sweep.job(job_id).config.write_text("seed: 0\n", encoding="utf-8")
    return sweep


def tracking(uri: str | None, sweep: SweepFolder, experiment: str) -> TrackingSettings:
    has_files = uri is not None and uri.startswith("sqlite:")
    return TrackingSettings(uri, experiment, sweep.path / "artifacts" if has_files else None)


def tracked_job(sweep: SweepFolder, job_id: str = "0001") -> TrackedJob:
    dataset = ("Ünïcode", "f" * 64, "data")
    tags = {"detsweep.folder": "x"}
    return TrackedJob(sweep.job(job_id), "faster-rcnn_resnet18", {"backbone": "resnet18"}, tags, dataset)


def write_epoch(attempt: AttemptFolder, epoch: int) -> None:
    values = {AP_50: 0.1 * epoch, "val/bbox_mAP_class/Paper (pack), 紙": 0.5}
    MetricRecord(1000.0 + epoch, attempt.number, epoch, values).append(attempt)


def run_of(uri: str, experiment: str, kind: str = "job") -> tuple[MlflowClient, Run]:
    client = MlflowClient(uri)
    found = runs_of(client, experiment, kind)
    assert len(found) == 1
    return client, found[0]


def runs_of(client: MlflowClient, experiment: str, kind: str = "job") -> list[Run]:
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    return list(
        client.search_runs([experiment_id], f"tags.`detsweep.kind` = '{kind}'", order_by=["tag.`detsweep.job`"])
    )


def points(client: MlflowClient, run: Run, name: str = AP_50) -> list[tuple[int, int]]:
    """Return step and time stamp of each point that a store holds, in the order in which it received them."""
    return [(point.step, point.timestamp) for point in client.get_metric_history(run.info.run_id, name)]


def ship_all(tracker: Tracker, sweep: SweepFolder, state: JobState = JobState.COMPLETED) -> None:
    """Tell all that the folders hold, as a resumed controller does."""
    tracker.open_sweep("test", {})
    tracker.tell_job(tracked_job(sweep), sweep.job("0001").all_attempts()[-1], state, None)
