"""What a sweep has of this machine while it runs: devices, as they become free, and a warm executor."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from sweeper.executors.base import Executor
from sweeper.hardware.device_pool import DevicePool
from sweeper.hardware.devices import choose_devices
from sweeper.hardware.slots import Device, Offer, SharesSetting, Slot, offer_of, threads_per_device_share

# Takes the file for the executor's messages and the module that executes attempts.
StartExecutor = Callable[[Path, str], Executor]


@dataclass(frozen=True)
class Capacity:
    """What a sweep may use of this machine; nothing of it is taken yet.

    Attributes:
        devices: the devices.
        offers: what each of them offers to jobs.
        n_cores: CPU cores.
    """

    devices: tuple[Device, ...]
    offers: tuple[Offer, ...]
    n_cores: int

    @property
    def words(self) -> str:
        """The devices, for people: ``2 x NVIDIA H200``, ``the CPU``."""
        if self.devices[0].kind == "cpu":
            return "the CPU"
        counts = Counter(device.name for device in self.devices)
        return ", ".join(f"{number} x {name}" for name, number in counts.items())


def find_capacity(
    settings: Mapping[str, Any], *, is_check: bool = False, devices: Sequence[Device] | None = None
) -> Capacity:
    """Return what a sweep may use.

    Args:
        settings: the sweep's own (`gpus`, `jobs_per_gpu`).
        is_check: models are checked one after the other: the largest of them may need all the memory there is.
        devices: what to train on; None for what the settings name.

    Raises:
        UserError: the devices are not there.
    """
    if devices is None:
        devices = choose_devices(str(settings["gpus"]))
    shares: SharesSetting = 1 if is_check else settings["jobs_per_gpu"]
    n_cores = len(psutil.Process().cpu_affinity())
    host_memory_gb = psutil.virtual_memory().total / 1e9
    offers = tuple(offer_of(device, shares, n_cores, host_memory_gb) for device in devices)
    return Capacity(tuple(devices), offers, n_cores)


@dataclass(frozen=True)
class Machine:
    """Devices and executor of one sweep.

    Attributes:
        pool: the devices.
        executor: what runs the jobs.
        offers: what each device offers to jobs, in the order of the pool's devices.
        n_cores: CPU cores that the sweep may use.
    """

    pool: DevicePool
    executor: Executor
    offers: tuple[Offer, ...]
    n_cores: int

    def slot(self, devices: tuple[int, ...], share: int, n_jobs: int) -> Slot:
        """Return what a job holds that was placed on these devices, one of `n_jobs` in the sweep."""
        n_threads = threads_per_device_share(self.offers, n_jobs, self.n_cores) * len(devices)
        held = tuple(self.pool.devices[number] for number in devices)
        n_shares = self.offers[devices[0]].n_shares if len(devices) == 1 else 1
        return Slot(held, share, n_shares, n_threads)


@contextmanager
def hold_machine(
    capacity: Capacity, settings: Mapping[str, Any], log: Path, start_executor: StartExecutor
) -> Iterator[Machine]:
    """Start the executor, which warms up in the background; devices are leased later; all is given back at the end.

    Args:
        capacity: what the sweep may use.
        settings: the sweep's own (`busy_gpus`, `entry`).
        log: the file for the executor's messages.
        start_executor: starts what runs the jobs.
    """
    executor = start_executor(log, settings["entry"])
    pool = DevicePool(capacity.devices, executor, settings["busy_gpus"])
    try:
        yield Machine(pool, executor, capacity.offers, capacity.n_cores)
    finally:
        executor.close()
        pool.close()
