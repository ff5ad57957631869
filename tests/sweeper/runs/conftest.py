"""A sweep in a store; and commands carried out in the test's own process leave it as it was."""

import os
from collections.abc import Iterator

import pytest

from sweeper.tracking.mlflow_store import MlflowStore
from tests.reports.conftest import tracked, unused_port

# One sweep in one real store for all of this folder's tests.
__all__ = ["tracked", "unused_port"]


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Give back the umask, which a command sets for all that it makes."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of MLflow in which nothing of detsweep is; its tables take seconds to be made."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowStore(f"sqlite:///{path}", "of nobody", path.parent / "artifacts")
    return path.read_bytes()
