"""Rows 5, 8, 26, 29: the tracking store is away, locked, or left in the middle of a request; it is a real one.

What the outbox does with a store that hangs, answers errors or refuses is tested beside it, in
``tests/sweeper/tracking``.
"""

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runners.contract.failpoints import EXIT_STATUS, VARIABLE
from sweeper.tracking.mlflow_store import prepare_mlflow
from tests.faults.driver import Driver
from tests.quick_job import Play

Numbers = dict[str, dict[str, float]]

MAKE = """
import pathlib, sys
from sweeper.tracking.mlflow_store import MlflowStore
MlflowStore(sys.argv[1], "detsweep", pathlib.Path(sys.argv[2]))
"""
HOLD = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print(flush=True); input()"
OUTBOX_STOPS = ["outbox.send.before:1", "outbox.send.after:1", "outbox.send.after:2"]
DATABASE_STOP = "database.rename.before"
QUICK_TRIES = {"sweeper.tracking.tracking:RETRY_S": 0.3, "sweeper.verbs.train:DRAIN_S": 1.0}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store made once, for its migrations take seconds; MLflow is imported once, before anything is forked."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    subprocess.run([sys.executable, "-c", MAKE, uri, str(folder / "artifacts")], check=True)
    prepare_mlflow()
    # All that a client of a database imports, not only what MLflow begins with.
    importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    return uri


def tracked(store: str) -> tuple[str, ...]:
    return ("tracking=sqlite", f"tracking.uri={store}", "reuse=false")


@pytest.mark.parametrize("stop", OUTBOX_STOPS)
def test_row_05_a_controller_that_ends_while_it_sends_is_followed_and_no_point_is_lost_or_doubled(
    drive: Driver, undisturbed: Numbers, store: str, stop: str
) -> None:
    command = drive.train(*tracked(store), play=Play(iteration_s=0.05), env={VARIABLE: stop})
    assert command.wait() == EXIT_STATUS, command.said
    resumed = drive.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert drive.numbers() == undisturbed
    assert drive.verify()["not_checked"] == {}


def test_row_05_a_controller_that_ends_while_it_makes_a_database_leaves_none_that_cannot_be_opened(
    drive: Driver, undisturbed: Numbers
) -> None:
    command = drive.train("tracking=sqlite", "reuse=false", play=Play(iteration_s=0.5), env={VARIABLE: DATABASE_STOP})
    assert command.wait() == EXIT_STATUS, command.said
    assert (drive.folder / "outputs" / "mlflow.db").stat().st_size == 0
    resumed = drive.run("resume")
    assert resumed.process.returncode == 0, resumed.said
    assert drive.numbers() == undisturbed
    assert drive.verify()["not_checked"] == {}


def test_row_08_a_sweep_that_was_interrupted_leaves_no_run_open_and_goes_on_in_the_same(
    drive: Driver, undisturbed: Numbers, store: str
) -> None:
    command = drive.train(*tracked(store), play=Play(iteration_s=0.1))
    drive.until(lambda: drive.n_iterations("0001") > 5)
    command.interrupt()
    assert command.wait() == 130
    assert drive.verify()["not_checked"] == {}
    drive.verify_all()
    assert drive.run("resume").process.returncode == 0, drive.commands[-1].said
    assert drive.numbers() == undisturbed
    assert drive.verify()["not_checked"] == {}


def test_row_26_a_locked_database_stops_no_job_and_receives_everything_later(
    drive: Driver, undisturbed: Numbers, store: str
) -> None:
    words = [sys.executable, "-c", HOLD, store.removeprefix("sqlite:///")]
    command = drive.train(
        *tracked(store), play=Play(iteration_s=0.05), patches={"sweeper.tracking.tracking:RETRY_S": 0.3}
    )
    drive.until(lambda: bool(drive.events("started")))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        drive.until(lambda: len(drive.events("ended")) == 2)
        ended_at = time.time()
        holder.kill()
    assert command.wait() == 0, command.said
    assert drive.events("sweep_ended")[0]["at"] <= ended_at + 1
    assert drive.numbers() == undisturbed
    assert drive.verify()["not_checked"] == {}


def test_row_29_a_store_that_is_away_is_told_once_and_what_it_missed_is_shipped_later(
    drive: Driver, undisturbed: Numbers, store: str
) -> None:
    away = ("tracking=server", "tracking.uri=http://127.0.0.1:9", "reuse=false")
    command = drive.train(*away, patches=QUICK_TRIES)
    assert command.wait() == 0, command.said
    assert command.said.count("training goes on") == 1
    assert "detsweep sync" in command.said
    assert drive.numbers() == undisturbed
    assert set(drive.verify()["not_checked"]) == {"8", "9"}
    synced = drive.run("sync", f"tracking.uri={store}")
    assert synced.process.returncode == 0, synced.said
    verdict = drive.verify(drive.sweep, f"tracking.uri={store}")
    assert (verdict["violations"], verdict["not_checked"]) == ([], {})


def test_row_29_a_store_that_is_required_is_waited_for_by_nobody(drive: Driver, tmp_path: Path) -> None:
    away = ("tracking=server", "tracking.uri=http://127.0.0.1:9", "tracking.required=true")
    refused = drive.train(*away)
    assert refused.wait() == 2, refused.said
    assert "127.0.0.1:9" in refused.said
    assert not drive.sweeps


def test_a_longer_axis_reuses_what_has_run_and_its_runs_stay_single(
    drive: Driver, undisturbed: Numbers, store: str
) -> None:
    words = ("tracking=sqlite", f"tracking.uri={store}", "tracking.experiment=axes")
    assert drive.train(*words).wait() == 0, drive.commands[-1].said
    assert drive.train(*words, "seed=0,1,2").wait() == 0, drive.commands[-1].said
    assert drive.states_of(drive.sweeps[-1]) == {"0001": "REUSED", "0002": "REUSED", "0003": "COMPLETED"}
    assert drive.verify(drive.sweeps[-1])["not_checked"] == {}
