"""A tracking server goes away in every way a server can, and comes back: nothing waits for it, nothing is lost."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome, JobState
from sweeper.cli import main
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from tests.sweeper.tracked_sweep import make_sweep, points, run_of, tracked_job, tracking, write_epoch
from tests.sweeper.tracking_server import Door, Mode, door_to, running_server

EPOCH_POINTS = [(1, 1001000), (2, 1002000), (3, 1003000)]
# What a call of the controller may take at most: its loop goes round every half second.
CALL_S = 0.1


@pytest.fixture(scope="module")
def server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("server")) as uri:
        yield uri


@pytest.fixture
def door(server_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr("sweeper.tracking.tracking.RETRY_S", 0.3)
    monkeypatch.setattr("sweeper.tracking.store_probe.PROBE_S", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with door_to(server_uri) as door:
        yield door


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return make_sweep(tmp_path)


def wait_for(is_so: Callable[[], object], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_keeps_runs_and_their_files(server_uri: str, sweep: SweepFolder) -> None:
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    AttemptResult(1, AttemptOutcome.COMPLETED, finished_at=1010.0).write(attempt)
    tracker = Tracker(TrackingSettings(server_uri, "served", None), sweep, pytest.fail)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    tracker.end_job(attempt, JobState.COMPLETED, None)
    assert tracker.close(timeout_s=60) == 0
    client, run = run_of(server_uri, "served")
    assert run.data.metrics["val/bbox_mAP_50"] == pytest.approx(0.1)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"config.yaml", "result.json"}


@pytest.mark.parametrize(
    ("mode", "is_away_at_start"), [("500", False), ("silent", False), ("swallow", False), ("silent", True)]
)
def test_a_server_that_comes_back_receives_all_points_once_and_in_order(
    door: Door, server_uri: str, sweep: SweepFolder, mode: Mode, is_away_at_start: bool
) -> None:
    """`swallow` is the worst of them: what was sent has arrived, and is sent again."""
    experiment = f"{mode} {is_away_at_start}"
    told: list[str] = []
    attempt = sweep.job("0001").take_attempt()
    tracker = Tracker(tracking(door.uri, sweep, experiment), sweep, told.append)
    if is_away_at_start:
        door.mode = mode
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    write_epoch(attempt, 1)
    tracker.ship(attempt)
    if not is_away_at_start:
        wait_for(lambda: sweep.job("0001").shipped.exists() and tracker.run_ids)
        door.mode = mode
    for epoch in (2, 3):
        write_epoch(attempt, epoch)
        began = time.monotonic()
        tracker.ship(attempt)
        assert time.monotonic() - began < CALL_S
    wait_for(lambda: told, limit_s=10)
    time.sleep(0.7)  # more tries, which are not told
    assert len(told) == 1
    assert told[0].startswith(f"tracking store {door.uri}: ")
    assert "training goes on, records wait in" in told[0]
    door.mode = "open"
    door.released.set()
    tracker.end_job(attempt, JobState.COMPLETED, None)
    tracker.end_sweep("FINISHED", sweep.report)
    assert tracker.close(timeout_s=60) == 0
    assert len(told) == 2
    assert told[1].startswith("tracking store is back; ")
    client, run = run_of(server_uri, experiment)
    assert points(client, run) == EPOCH_POINTS
    assert run.info.status == "FINISHED"
    assert run_of(server_uri, experiment, "sweep")[1].info.status == "FINISHED"


def test_a_server_that_lets_nobody_in_is_asked_once(door: Door, server_uri: str, sweep: SweepFolder) -> None:
    told: list[str] = []
    attempt = sweep.job("0001").take_attempt()
    write_epoch(attempt, 1)
    door.mode = "401"
    uri = door.uri.replace("://", "://somebody:secret@")
    tracker = Tracker(tracking(uri, sweep, "nobody"), sweep, told.append)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    wait_for(lambda: told)
    n_requests = door.n_requests
    for _ in range(10):
        tracker.ship(attempt)
        time.sleep(0.1)
    tracker.end_job(attempt, JobState.COMPLETED, None)
    began = time.monotonic()
    assert tracker.close(timeout_s=60) == 2
    assert time.monotonic() - began < 1
    assert door.n_requests == n_requests
    (line,) = told
    assert line.startswith(f"tracking store {door.uri.replace('://', '://***@')}: access refused")
    assert "401" in line
    assert f"detsweep sync {sweep.path}" in line
    assert "secret" not in line
    door.mode = "open"
    synced = Tracker(tracking(door.uri, sweep, "nobody"), sweep, pytest.fail)
    synced.open_sweep("test", {})
    synced.start_job(tracked_job(sweep))
    synced.end_job(attempt, JobState.COMPLETED, None)
    assert synced.close(timeout_s=60) == 0
    client, run = run_of(server_uri, "nobody")
    assert points(client, run) == EPOCH_POINTS[:1]


def test_an_experiment_that_is_deleted_on_a_server_is_told_as_such(
    door: Door, server_uri: str, sweep: SweepFolder
) -> None:
    told: list[str] = []
    attempt = sweep.job("0001").take_attempt()
    tracker = Tracker(tracking(door.uri, sweep, "removed"), sweep, told.append)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    wait_for(lambda: tracker.run_ids)
    MlflowClient(server_uri).delete_experiment(tracker.experiment_id)
    write_epoch(attempt, 1)
    tracker.ship(attempt)
    wait_for(lambda: told)
    assert "experiment 'removed' was deleted; restore it; it is not tried again" in told[0]
    assert tracker.close(timeout_s=10) == 1


def test_the_end_of_a_sweep_does_not_wait_for_a_server_that_is_away(
    door: Door, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.tracking.tracking.PATIENCE_S", 1.0)
    door.mode = "silent"
    told: list[str] = []
    tracker = Tracker(tracking(door.uri, sweep, "patience"), sweep, told.append)
    tracker.open_sweep("test", {})
    tracker.start_job(tracked_job(sweep))
    wait_for(lambda: told)
    began = time.monotonic()
    assert tracker.close(timeout_s=60) == 1
    assert time.monotonic() - began < 3


@pytest.mark.browser
def test_the_page_of_a_store_opens_on_the_comparison(
    server_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip(f"no Chromium at {chromium}")
    from playwright.sync_api import sync_playwright

    client = MlflowClient(server_uri)
    experiment_id = client.create_experiment("compared")
    for sweep_id in ("first", "second"):
        for number, backbone in enumerate(("resnet50", "swin_t")):
            tags = {"detsweep.kind": "job", "detsweep.sweep": sweep_id}
            run_id = client.create_run(experiment_id, run_name=f"{sweep_id} {backbone}", tags=tags).info.run_id
            client.log_param(run_id, "backbone", backbone)
            client.log_param(run_id, "neck", "fpn")
            client.log_metric(run_id, "best/val/bbox_mAP_50", 0.25 + 0.25 * number)
    client.create_run(experiment_id, run_name="the sweep itself", tags={"detsweep.kind": "sweep"})
    asked = [f"tracking.uri={server_uri}", "tracking.experiment=compared", f"output_dir={tmp_path}"]
    assert main(["ui", *asked]) == 0
    address = capsys.readouterr().out.split()[-1]
    assert address.startswith(f"{server_uri}/#/experiments/{experiment_id}/runs?")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1800, "height": 900})
        page.goto(address)
        page.get_by_text("Group: second").wait_for(timeout=60_000)
        assert page.get_by_text("Group: first").count() == 1
        headings = dict.fromkeys(page.locator("[role=columnheader]").all_inner_texts())
        assert [name for name in headings if name in ("backbone", "neck", "best/val/bbox_mAP_50")] == [
            "backbone",
            "best/val/bbox_mAP_50",
        ]
        assert page.get_by_text("the sweep itself").count() == 0
        rows = page.locator(".ag-center-cols-container [role=row]").all_inner_texts()
        found = [row.split() for row in rows]
        assert [row for row in found if row and row[0] in ("swin_t", "resnet50")] == [
            ["swin_t", "0.5"],
            ["resnet50", "0.25"],
        ] * 2
        browser.close()
    assert main(["ui", f"tracking.uri={server_uri}", "tracking.experiment=compaerd"]) == 2
    assert "names one of" in capsys.readouterr().err
