"""The devices of this machine, and the lease that keeps two sweeps off one GPU."""

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from runners.contract.errors import UserError
from sweeper.slots import Device

CPU = Device("cpu", 0, "", "CPU", "", 0.0)

DeviceQuery = Callable[[], Sequence[Device]]


def query_gpus() -> Sequence[Device]:
    """Ask NVML for the GPUs, as CUDA_VISIBLE_DEVICES narrows them; none on a machine without a driver.

    Raises:
        UserError: there are device nodes but the driver does not answer; CUDA_VISIBLE_DEVICES names what is not there.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if list(Path("/dev").glob("nvidia[0-9]*")):
            raise UserError(
                f"GPU driver in /dev: {error}; mend the driver, or train on the CPU with gpus=none"
            ) from None
        return []
    try:
        found = [_describe(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
    return _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _describe(index: int) -> Device:
    import pynvml as nvml

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name, uuid = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetUUID(handle)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle).total / 1e9
    return Device("cuda", index, uuid, name, f"/dev/nvidia{nvml.nvmlDeviceGetMinorNumber(handle)}", memory)


def _visible(found: Sequence[Device], variable: str | None) -> Sequence[Device]:
    if variable is None:
        return found
    chosen = []
    for entry in filter(None, (part.strip() for part in variable.split(","))):
        match = [device for device in found if entry == str(device.index) or device.uuid.startswith(entry)]
        if not match:
            raise UserError(
                f"no GPU in CUDA_VISIBLE_DEVICES={variable}: '{entry}' is not there; found {_listed(found)}"
            )
        chosen += match
    return chosen


def choose_devices(gpus: str, query: DeviceQuery = query_gpus) -> Sequence[Device]:
    """Return the devices that the setting `gpus` names.

    Args:
        gpus: ``all`` (every GPU, or the CPU where there is none), ``none`` (the CPU), or indices such as ``0,1``.
        query: what finds the GPUs.

    Raises:
        UserError: an index that is not there, or something else than indices.
    """
    if gpus == "none":
        return [CPU]
    found = query()
    if gpus == "all":
        return found or [CPU]
    wanted = [part.strip() for part in gpus.split(",") if part.strip()]
    if not wanted or not all(part.isdigit() for part in wanted):
        raise UserError(f"GPUs in gpus={gpus}: found '{gpus}'; write all, none, or indices such as gpus=0,1")
    by_index = {device.index: device for device in found}
    missing = [part for part in wanted if int(part) not in by_index]
    if missing:
        hint = "" if found else "; train on the CPU with gpus=none"
        raise UserError(
            f"GPUs in gpus={gpus}: no GPU {', '.join(missing)} on this machine; found {_listed(found)}{hint}"
        )
    return [by_index[int(part)] for part in dict.fromkeys(wanted)]


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index} ({device.name})" for device in devices) or "no GPU"


class Lease:
    """Devices held by this sweep: a plain flock on each device node.

    The descriptors are handed down to the server and its jobs: a device is free exactly when the last of them is gone,
    whatever killed the controller. (`filelock` closes its descriptor in forked children; this must not.)

    Args:
        devices: GPUs to hold; the CPU has no lease.

    Raises:
        UserError: another sweep holds one of them.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self.descriptors: list[int] = []
        for device in devices:
            if not device.node:
                continue
            descriptor = os.open(device.node, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            self.descriptors.append(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise UserError(
                    f"GPU {device.index} ({device.name}): another detsweep sweep holds it; "
                    "wait for that sweep, or choose others with gpus="
                ) from None

    def close(self) -> None:
        """Let go of the devices; they stay held as long as a job lives that inherited them."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []
