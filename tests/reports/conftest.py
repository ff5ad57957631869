"""Fixtures of the reports' tests: a written sweep, and the same sweep in a real MLflow store."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from reports.read import Experiment
from reports.sweep_report import Report, write_report
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import read_lines
from runners.contract.naming import run_params
from runners.contract.states import JobState
from sweeper.tracking.outbox import TrackedJob
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from tests.reports.diagnosed_sweep import write_diagnosed_sweep
from tests.reports.sweep_writing import WrittenJob, write_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepFolder, Experiment]:
    """One sweep twice: its folder, and the store into which the sweep's own tracker has shipped it."""
    output_dir = tmp_path_factory.mktemp("tracked")
    jobs = [
        WrittenJob(0.62),
        WrittenJob(0.7, {"backbone": "resnet101", "width": "narrow"}),
        WrittenJob(
            0.3, {"optimizer": "radam"}, state=JobState.FAILED, failure="loss is NaN at iteration 7", n_trained=2
        ),
    ]
    folder = write_sweep(output_dir, jobs, labelled={"train": True, "val": True, "test": False})
    uri = f"sqlite:///{output_dir / 'mlflow.db'}"
    _ship(folder, TrackingSettings(uri, "trash", output_dir / "artifacts"))
    return folder, Experiment("trash", uri)


@pytest.fixture(scope="session")
def diagnosed(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a hypothesis whose runs have predictions and images."""
    sweep = write_diagnosed_sweep(tmp_path_factory.mktemp("diagnosed"))
    return write_report(sweep, sweep.report)


@pytest.fixture
def browser() -> "Iterator[Browser]":
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])


@pytest.fixture
def unused_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ship(folder: SweepFolder, settings: TrackingSettings) -> None:
    sweep = yaml.safe_load(folder.sweep.read_text(encoding="utf-8"))
    (dataset,) = sweep["datasets"]
    ended = {event["job"]: event for event, _ in read_lines(folder.journal) if event["event"] == "ended"}
    said: list[str] = []
    tracker = Tracker(settings, folder, said.append)
    tracker.open_sweep(folder.sweep_id, {"detsweep.version.torch": "2.15.0", "detsweep.command": "detsweep train -m"})
    for job in sweep["jobs"]:
        job_folder = folder.job(job["id"])
        config = yaml.safe_load(job_folder.config.read_text(encoding="utf-8"))
        tags = {
            "detsweep.folder": str(job_folder.path),
            "detsweep.dataset": dataset["name"],
            "detsweep.dataset_fingerprint": dataset["fingerprint"],
            "detsweep.identity": f"identity of {job['id']}",
            "detsweep.labelled": json.dumps(dataset["labelled"]),
        }
        params = run_params(config)
        data = (dataset["name"], dataset["fingerprint"], "data")
        tracker.start_job(TrackedJob(job_folder, job["title"], params, tags, data))
        attempt = job_folder.newest_attempt()
        assert attempt is not None
        tracker.end_job(attempt, JobState(ended[job["id"]]["state"]), ended[job["id"]]["reason"] or None)
    assert tracker.close(120) == 0
    assert said == []
