"""Every sweep that a fault test has left keeps its promises, or the test has failed."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.contract.failpoints import EXIT_STATUS, VARIABLE
from tests.faults.driver import Driver
from tests.quick_job import Play


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Driver]:
    """A project folder whose sweeps are verified when the test is over."""
    driver = Driver(tmp_path)
    try:
        yield driver
        if not driver.is_unverifiable:
            driver.verify_all()
    finally:
        driver.close()


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that lost its power: job 0001 is completed, job 0002 has two states and was running."""
    driver = Driver(tmp_path_factory.mktemp("killed"))
    driver.train(play=Play(iteration_s=0.08))
    driver.until(lambda: driver.n_iterations("0002") > 9)
    driver.cut_the_power()
    return driver.sweep.path


@pytest.fixture
def killed_here(killed: Path, drive: Driver) -> Driver:
    """A project folder with a copy of that sweep."""
    shutil.copytree(killed, drive.folder / "outputs" / killed.name)
    return drive


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep whose controller ended when everything was planned and no event was written."""
    driver = Driver(tmp_path_factory.mktemp("planned"))
    assert driver.train(env={VARIABLE: "journal.append.before:1"}).wait() == EXIT_STATUS
    return driver.sweep.path


@pytest.fixture
def planned_here(planned: Path, drive: Driver) -> Driver:
    """A project folder with a copy of that sweep."""
    shutil.copytree(planned, drive.folder / "outputs" / planned.name)
    return drive


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "detsweep-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """What the jobs measure when nothing happens to them."""
    driver = Driver(tmp_path_factory.mktemp("undisturbed"))
    command = driver.train()
    assert command.wait() == 0, command.said
    driver.verify_all()
    return driver.numbers()
