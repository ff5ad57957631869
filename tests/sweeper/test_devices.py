"""Which devices a sweep takes, how they are divided, and that a lease is held by whoever inherited it."""

import subprocess
import sys
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.controller import accumulation_for
from sweeper.devices import CPU, Lease, choose_devices
from sweeper.slots import Device, plan_slots


def n_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def gpu(index: int, node: str = "") -> Device:
    return Device("cuda", index, f"GPU-{index}", "H200", node, 141.0)


TWO = [gpu(0), gpu(1)]


@pytest.mark.parametrize(
    ("gpus", "found", "chosen"),
    [
        ("all", TWO, TWO),
        ("all", [], [CPU]),
        ("none", TWO, [CPU]),
        ("1", TWO, [TWO[1]]),
        ("1,0", TWO, [TWO[1], TWO[0]]),
        ("0,0", TWO, [TWO[0]]),
    ],
)
def test_gpus_names_the_devices(gpus: str, found: list[Device], chosen: list[Device]) -> None:
    assert choose_devices(gpus, lambda: found) == chosen


@pytest.mark.parametrize(
    ("gpus", "found", "told"),
    [
        ("2", TWO, r"no GPU 2 on this machine; found 0 \(H200\), 1 \(H200\)"),
        ("0", [], "found no GPU; train on the CPU with gpus=none"),
        ("fast", TWO, "write all, none, or indices such as gpus=0,1"),
    ],
)
def test_gpus_that_are_not_there_are_refused(gpus: str, found: list[Device], told: str) -> None:
    with pytest.raises(UserError, match=told):
        choose_devices(gpus, lambda: found)


def test_slots_spread_over_devices_before_they_share_one() -> None:
    slots = plan_slots(TWO, jobs_per_gpu=2, n_cores=16)
    assert [(slot.number, slot.device.index, slot.n_threads) for slot in slots] == [
        (0, 0, 4),
        (1, 1, 4),
        (2, 0, 4),
        (3, 1, 4),
    ]


def test_cpu_slots_share_the_cores_and_have_one_at_least() -> None:
    assert [slot.n_threads for slot in plan_slots([CPU], jobs_per_gpu=2, n_cores=8)] == [4, 4]
    assert [slot.n_threads for slot in plan_slots([CPU], jobs_per_gpu=3, n_cores=2)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("batch_size", "batch_per_step", "accumulation"), [(16, None, 1), (16, 4, 4), (16, 5, 4), (6, 4, 2), (7, 3, 7)]
)
def test_a_batch_is_divided_into_equal_steps(batch_size: int, batch_per_step: int | None, accumulation: int) -> None:
    assert accumulation_for(batch_size, batch_per_step) == accumulation


def test_a_lease_keeps_a_second_sweep_off_until_the_last_heir_is_gone(tmp_path: Path) -> None:
    node = tmp_path / "nvidia0"
    node.touch()
    lease = Lease([gpu(0, str(node))])
    with pytest.raises(UserError, match="another detsweep sweep holds it"):
        Lease([gpu(0, str(node))])
    heir = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=lease.descriptors)
    lease.close()
    with pytest.raises(UserError, match="another detsweep sweep holds it"):
        Lease([gpu(0, str(node))])
    heir.communicate(b"\n")
    Lease([gpu(0, str(node))]).close()


def test_a_lease_that_was_refused_leaves_no_open_file(tmp_path: Path) -> None:
    nodes = [tmp_path / "nvidia0", tmp_path / "nvidia1"]
    for node in nodes:
        node.touch()
    holder = Lease([gpu(1, str(nodes[1]))])
    before = n_open_files()
    with pytest.raises(UserError):
        Lease([gpu(0, str(nodes[0])), gpu(1, str(nodes[1]))])
    assert n_open_files() == before
    holder.close()
