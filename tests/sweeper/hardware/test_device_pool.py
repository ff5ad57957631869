"""Devices are leased as they become free and given back one by one; leases are real, users and clock are not."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweeper.hardware.device_pool import RETRY_S, DevicePool
from sweeper.hardware.devices import CPU, DeviceSilentError
from sweeper.hardware.lease import take_lease
from sweeper.hardware.slots import Device
from tests.sweeper.fake_executor import PlayedExecutor


class Stage:
    """Two GPUs on one machine, with a hand-moved clock and users as they are told."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [str(folder / f"nvidia{index}") for index in (0, 1)]
        for node in self.nodes:
            Path(node).touch()
        self.gpus = [
            Device("cuda", index, f"GPU-{index}", "H200", node, 141.0) for index, node in enumerate(self.nodes)
        ]
        self.executor = PlayedExecutor(lambda attempt: None)
        self.users: dict[str, list[int]] = {}
        self.silent: set[str] = set()
        self.now_s = 0.0

    def pool(self, devices: Sequence[Device] | None = None, **settings: str) -> DevicePool:
        def users(device: Device) -> list[int]:
            if device.uuid in self.silent:
                raise DeviceSilentError("GPU is lost")
            return self.users.get(device.uuid, [])

        chosen = self.gpus if devices is None else devices
        return DevicePool(chosen, self.executor, users=users, clock=lambda: self.now_s, **settings)  # type: ignore[arg-type]

    def is_free(self, node: str) -> bool:
        with Path(node).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_free_devices_are_leased_and_the_leases_handed_on(stage: Stage) -> None:
    pool = stage.pool()
    assert pool.acquire() == [0, 1]
    assert pool.acquire() == []
    assert stage.executor.calls == [("hold", node) for node in stage.nodes]
    assert pool.lease_names([1, 0]) == [stage.nodes[1], stage.nodes[0]]
    assert pool.open_numbers == [0, 1]
    assert not any(map(stage.is_free, stage.nodes))
    pool.close()
    assert all(map(stage.is_free, stage.nodes))


def test_a_device_that_another_sweep_holds_is_asked_for_again_after_a_while(stage: Stage) -> None:
    other = take_lease(stage.nodes[0])
    pool = stage.pool()
    assert pool.acquire() == [1]
    assert pool.obstacles[0].startswith(f"gpu0 (H200) is held by pid {os.getpid()} (")
    os.close(other)
    stage.now_s = RETRY_S - 0.1
    assert pool.acquire() == []
    stage.now_s = RETRY_S
    assert pool.acquire() == [0]
    assert pool.obstacles == {}
    pool.close()


def test_a_gpu_that_somebody_computes_on_is_waited_for_and_the_line_says_whose_it_is(stage: Stage) -> None:
    stage.users["GPU-1"] = [os.getpid()]
    pool = stage.pool()
    assert pool.acquire() == [0]
    assert pool.obstacles[1].startswith(f"gpu1 (H200) is used by pid {os.getpid()} (")
    assert stage.is_free(stage.nodes[1])
    stage.users.clear()
    stage.now_s = RETRY_S
    assert pool.acquire() == [1]
    pool.close()


def test_a_busy_gpu_is_shared_if_that_is_wanted(stage: Stage) -> None:
    stage.users["GPU-1"] = [1]
    pool = stage.pool(busy="use")
    assert pool.acquire() == [0, 1]
    pool.close()


def test_a_gpu_that_does_not_answer_stops_no_other(stage: Stage) -> None:
    stage.silent.add("GPU-0")
    pool = stage.pool()
    assert pool.acquire() == [1]
    assert pool.obstacles == {0: "gpu0 (H200) does not answer: GPU is lost"}
    pool.close()


def test_a_device_that_is_given_back_is_free_and_not_taken_again_until_it_is_wanted(stage: Stage) -> None:
    pool = stage.pool()
    pool.acquire()
    pool.give_back(0)
    assert stage.executor.calls[-1] == ("release", stage.nodes[0])
    assert stage.is_free(stage.nodes[0])
    assert not pool.is_open(0)
    stage.now_s = 100.0
    assert pool.acquire() == []
    pool.want(0)
    assert pool.acquire() == [0]  # without waiting for the next round
    assert not stage.is_free(stage.nodes[0])
    pool.close()


def test_a_device_that_is_waited_for_can_be_given_up(stage: Stage) -> None:
    stage.users["GPU-0"] = [1]
    pool = stage.pool()
    pool.acquire()
    pool.give_back(0)
    assert pool.obstacles == {}
    stage.users.clear()
    stage.now_s = RETRY_S
    assert pool.acquire() == []
    pool.close()


def test_instances_of_one_gpu_share_its_lease(stage: Stage) -> None:
    node = stage.nodes[0]
    instances = [Device("cuda", 0, f"MIG-{n}", "A100 MIG", node, 10.0, n) for n in (0, 1)]
    pool = stage.pool(instances)
    assert pool.acquire() == [0, 1]
    assert pool.lease_names([0, 1]) == [node]
    pool.give_back(0)
    assert stage.executor.calls == [("hold", node)]
    assert not stage.is_free(node)
    pool.give_back(1)
    assert stage.executor.calls == [("hold", node), ("release", node)]
    assert stage.is_free(node)
    pool.close()


def test_the_cpu_has_no_lease_and_is_given_back_all_the_same(stage: Stage) -> None:
    pool = stage.pool([CPU])
    assert pool.acquire() == [0]
    assert pool.lease_names([0]) == []
    pool.give_back(0)
    assert stage.executor.calls == []
    pool.want(0)
    assert pool.acquire() == [0]
    pool.close()
