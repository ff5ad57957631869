"""What a sweep has of this machine while it runs: devices, as they become free, and a warm executor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from sweeper.device_pool import DevicePool
from sweeper.devices import choose_devices
from sweeper.executors.base import Executor
from sweeper.slots import Device, Offer, SharesSetting, Slot, offer_of, threads_per_device_share

# Takes the file for the executor's messages and the module that executes attempts.
StartExecutor = Callable[[Path, str], Executor]


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
    settings: Mapping[str, Any],
    log: Path,
    start_executor: StartExecutor,
    *,
    is_check: bool = False,
    devices: Sequence[Device] | None = None,
) -> Iterator[Machine]:
    """Find the devices and start the executor, which warms up in the background; give all of it back at the end.

    Args:
        settings: the sweep's own (`gpus`, `jobs_per_gpu`, `busy_gpus`, `entry`).
        log: the file for the executor's messages.
        start_executor: starts what runs the jobs.
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
    executor = start_executor(log, settings["entry"])
    pool = DevicePool(devices, executor, settings["busy_gpus"])
    try:
        yield Machine(pool, executor, offers, n_cores)
    finally:
        executor.close()
        pool.close()
