"""What a sweep holds of this machine while it runs: leased devices divided into slots, and a warm executor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from sweeper.devices import Lease, choose_devices
from sweeper.executors.base import Executor
from sweeper.slots import Slot, plan_slots

# Takes the file for the executor's messages and the leases that its jobs inherit.
StartExecutor = Callable[[Path, Sequence[int]], Executor]


@contextmanager
def hold_machine(
    gpus: str, jobs_per_gpu: int, log: Path, start_executor: StartExecutor
) -> Iterator[tuple[Sequence[Slot], Executor]]:
    """Lease the devices and start the executor, which warms up in the background; give all of it back at the end.

    Args:
        gpus: the setting of that name.
        jobs_per_gpu: jobs side by side on one device.
        log: the file for the executor's messages.
        start_executor: starts what runs the jobs.

    Raises:
        UserError: the devices are not there, or somebody else's.
    """
    devices = choose_devices(gpus)
    slots = plan_slots(devices, jobs_per_gpu, len(psutil.Process().cpu_affinity()))
    lease = Lease(devices)
    try:
        executor = start_executor(log, lease.descriptors)
        try:
            yield slots, executor
        finally:
            executor.close()
    finally:
        lease.close()


def machine_settings(settings: Mapping[str, Any], *, is_check: bool = False) -> tuple[str, int]:
    """Return `gpus` and `jobs_per_gpu` as a sweep's settings have them."""
    # Models are checked one after the other: the largest of them may need all the memory there is.
    return str(settings["gpus"]), 1 if is_check else settings["jobs_per_gpu"]
