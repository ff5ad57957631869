"""Devices, and what a job occupies of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Where memory decides how many jobs share a GPU, more than this is never tried: they would take turns all the time.
MAX_AUTO_SHARES = 8
# What the driver and fragmentation leave of a device's memory.
USABLE_MEMORY = 0.95

SharesSetting = int | Literal["auto"]


@dataclass(frozen=True)
class Device:
    """A GPU, a MIG instance of one, or the CPU as a whole.

    Attributes:
        kind: ``cuda`` or ``cpu``.
        index: NVML's index of the GPU (0 for the CPU), as `gpus=` names it.
        uuid: what CUDA_VISIBLE_DEVICES takes (``GPU-...``, ``MIG-...``); empty for the CPU.
        name: for people.
        node: the physical device's file, on which it is leased; empty for the CPU, which has no lease.
        memory_gb: total memory in 1e9 bytes; 0 where unknown.
        instance: number of the MIG instance on its GPU; None for a whole GPU.
    """

    kind: Literal["cpu", "cuda"]
    index: int
    uuid: str
    name: str
    node: str
    memory_gb: float
    instance: int | None = None

    @property
    def label(self) -> str:
        """What tables call it: ``gpu1``, ``gpu1:0`` (a MIG instance), ``cpu``."""
        if self.kind == "cpu":
            return "cpu"
        return f"gpu{self.index}" if self.instance is None else f"gpu{self.index}:{self.instance}"


@dataclass(frozen=True)
class Offer:
    """What a device offers to jobs.

    Attributes:
        n_shares: jobs side by side at most.
        memory_gb: what they may use together; 0 where memory does not decide.
    """

    n_shares: int
    memory_gb: float = 0.0


@dataclass(frozen=True)
class Slot:
    """What one job holds.

    Attributes:
        devices: what the job sees, in order.
        share: its number among the jobs that share the device.
        n_shares: how many of them there may be.
        n_threads: CPU threads of the job.
    """

    devices: tuple[Device, ...]
    share: int
    n_shares: int
    n_threads: int

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        """What the job trains on."""
        return self.devices[0].kind

    @property
    def label(self) -> str:
        """What tables call it: ``gpu1``, ``gpu1/0``, ``gpu0+gpu1``, ``cpu/0``."""
        name = "+".join(device.label for device in self.devices)
        return f"{name}/{self.share}" if self.kind == "cpu" or self.n_shares > 1 else name


def offer_of(device: Device, jobs_per_gpu: SharesSetting, n_cores: int, host_memory_gb: float) -> Offer:
    """Return what a device offers under the setting `jobs_per_gpu`.

    Args:
        device: the device.
        jobs_per_gpu: a fixed number of jobs, or ``auto``: as many as fit into its memory.
        n_cores: CPU cores that the sweep may use.
        host_memory_gb: total memory of the machine, in 1e9 bytes.
    """
    if jobs_per_gpu != "auto":
        return Offer(jobs_per_gpu)
    if device.kind == "cpu":
        return Offer(n_cores, USABLE_MEMORY * host_memory_gb)
    return Offer(MAX_AUTO_SHARES, USABLE_MEMORY * device.memory_gb)


def threads_per_device_share(offers: Sequence[Offer], n_jobs: int, n_cores: int) -> int:
    """Return the CPU threads of a job for each of its devices: the cores dealt out among all that can run at once."""
    n_places = max(1, min(sum(offer.n_shares for offer in offers), n_jobs))
    return max(1, n_cores // n_places)
