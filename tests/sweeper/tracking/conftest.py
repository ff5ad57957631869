"""A store made once for the tests of tracking, and a sweep to be told to it."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from runners.contract.folder import SweepFolder
from sweeper.tracking.mlflow_store import MlflowStore
from tests.sweeper.tracked_sweep import make_sweep


def _make_store_at_once(uri: str, barrier: Barrier, number: int) -> None:
    barrier.wait()
    store = MlflowStore(uri, "first", None)
    store.open_run(f"sweep/{number}", f"run {number}", {"detsweep.kind": "job"})


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store made once, for its migrations take seconds; by four processes at a barrier, as four sweeps would."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    makers = [context.Process(target=_make_store_at_once, args=(uri, barrier, number)) for number in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0, 0, 0, 0]
    return uri


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return make_sweep(tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again, and give up, in tenths of a second."""
    monkeypatch.setattr("sweeper.tracking.tracking.RETRY_S", 0.2)
    monkeypatch.setattr("sweeper.tracking.tracking.PATIENCE_S", 0.5)
    monkeypatch.setattr("sweeper.tracking.store_probe.PROBE_S", 0.3)
