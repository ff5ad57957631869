"""Every sweep that a fault test has left keeps its promises, or the test has failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.driver import Driver


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Driver]:
    """A project folder whose sweeps are verified when the test is over."""
    driver = Driver(tmp_path)
    try:
        yield driver
        if not driver.is_unverifiable:
            driver.verify()
    finally:
        driver.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """What the jobs measure when nothing happens to them."""
    driver = Driver(tmp_path_factory.mktemp("undisturbed"))
    command = driver.train()
    assert command.wait() == 0, command.said
    driver.verify()
    return driver.numbers()
