"""A sweep's share of its machine: found, held while it runs, and given back in the right order."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweeper.hardware.devices import CPU
from sweeper.hardware.machine import Capacity, Machine, find_capacity, hold_machine
from sweeper.hardware.slots import Device, Offer
from tests.sweeper.fake_executor import PlayedExecutor

SETTINGS = {"gpus": "none", "jobs_per_gpu": 1, "busy_gpus": "use", "entry": "tests.quick_job"}
N_CORES = len(psutil.Process().cpu_affinity())


@pytest.fixture
def gpus(tmp_path: Path) -> list[Device]:
    nodes = [tmp_path / "nvidia0", tmp_path / "nvidia1"]
    for node in nodes:
        node.touch()
    return [Device("cuda", index, f"GPU-{index}", "H200", str(node), 100.0) for index, node in enumerate(nodes)]


class Started(PlayedExecutor):
    """Knows how it was started, and whether the devices were still leased when it was closed."""

    def __init__(self, log: Path, entry: str) -> None:
        super().__init__(lambda attempt: None)
        self.log, self.entry = log, entry
        self.node: str | None = None
        self.was_leased_at_close = False

    def close(self) -> None:
        super().close()
        if self.node is not None:
            with Path(self.node).open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.was_leased_at_close = True


@contextmanager
def held(folder: Path, devices: list[Device] | None = None, **changes: Any) -> Iterator[Machine]:
    settings = {**SETTINGS, **changes}
    with hold_machine(find_capacity(settings, devices=devices), settings, folder / "server.log", Started) as machine:
        yield machine


def test_the_executor_is_started_with_the_module_that_the_settings_name(tmp_path: Path) -> None:
    with held(tmp_path) as machine:
        executor = machine.executor
        assert isinstance(executor, Started)
        assert (executor.log, executor.entry) == (tmp_path / "server.log", "tests.quick_job")
        assert machine.pool.devices == [CPU]
        assert machine.offers == (Offer(1),)
        assert machine.n_cores == N_CORES
    assert executor.calls == [("close", "")]


def test_leases_are_let_go_of_after_the_executor(tmp_path: Path, gpus: list[Device]) -> None:
    with held(tmp_path, gpus) as machine:
        assert machine.pool.acquire() == [0, 1]
        executor = machine.executor
        assert isinstance(executor, Started)
        executor.node = gpus[0].node
    assert executor.was_leased_at_close
    with Path(gpus[0].node).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_fails_inside_gives_everything_back(tmp_path: Path, gpus: list[Device]) -> None:
    seen: list[Started] = []

    def start(log: Path, entry: str) -> Started:
        seen.append(Started(log, entry))
        return seen[0]

    def fail() -> None:
        with hold_machine(find_capacity(SETTINGS, devices=gpus), SETTINGS, tmp_path / "log", start) as machine:
            machine.pool.acquire()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert seen[0].calls[-1] == ("close", "")
    with Path(gpus[1].node).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_checks_run_one_after_the_other(gpus: list[Device]) -> None:
    settings = {**SETTINGS, "jobs_per_gpu": "auto"}
    packed = find_capacity(settings, devices=gpus)
    assert packed == Capacity(tuple(gpus), (Offer(8, pytest.approx(95.0)),) * 2, N_CORES)  # type: ignore[arg-type]
    assert find_capacity(settings, is_check=True, devices=gpus).offers == (Offer(1),) * 2


def test_what_a_sweep_may_use_is_told_in_words(gpus: list[Device]) -> None:
    assert find_capacity(SETTINGS).words == "the CPU"
    assert find_capacity(SETTINGS, devices=gpus).words == "2 x H200"


def test_a_slot_holds_the_devices_and_threads_of_its_place(tmp_path: Path, gpus: list[Device]) -> None:
    with held(tmp_path, gpus, jobs_per_gpu=2) as machine:
        shared, whole = machine.slot((1,), 1, n_jobs=2), machine.slot((0, 1), 0, n_jobs=2)
    each = max(1, N_CORES // 2)
    assert (shared.label, shared.n_threads) == ("gpu1/1", each)
    assert (whole.label, whole.n_threads) == ("gpu0+gpu1", 2 * each)
