"""What a job occupies of a device, as arithmetic: no device is touched here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Device:
    """A physical GPU, or the CPU as a whole.

    Attributes:
        kind: ``cuda`` or ``cpu``.
        index: NVML's index of the GPU (0 for the CPU), as `gpus=` names it.
        uuid: what CUDA_VISIBLE_DEVICES takes (``GPU-...``, ``MIG-...``); empty for the CPU.
        name: for people.
        node: the device's file, on which it is leased; empty for the CPU, which has no lease.
        memory_gb: total memory in 1e9 bytes; 0 where unknown.
    """

    kind: Literal["cpu", "cuda"]
    index: int
    uuid: str
    name: str
    node: str
    memory_gb: float


@dataclass(frozen=True)
class Slot:
    """A place for one job at a time.

    Attributes:
        number: from 0, unique in the sweep.
        device: what the job sees; shares of one device are several slots.
        n_threads: CPU threads of the job.
    """

    number: int
    device: Device
    n_threads: int

    @property
    def label(self) -> str:
        """What tables call it: ``gpu1``, ``cpu/0``."""
        return f"gpu{self.device.index}" if self.device.kind == "cuda" else f"cpu/{self.number}"


def plan_slots(devices: Sequence[Device], jobs_per_gpu: int, n_cores: int) -> list[Slot]:
    """Divide devices into slots and the cores among them.

    Args:
        devices: what the sweep has leased; GPUs, or the one CPU.
        jobs_per_gpu: jobs side by side on one device.
        n_cores: CPU cores that the process may use.
    """
    n_slots = len(devices) * jobs_per_gpu
    n_threads = max(1, n_cores // n_slots)
    # Shares of one device are dealt out last, so that a short queue spreads over all devices.
    return [
        Slot(number, device, n_threads)
        for number, device in enumerate(device for _ in range(jobs_per_gpu) for device in devices)
    ]
