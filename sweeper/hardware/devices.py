"""The devices of this machine, found by NVML, and who computes on them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from sweeper.hardware.slots import Device

CPU = Device("cpu", 0, "", "CPU", "", 0.0)

DeviceQuery = Callable[[], Sequence[Device]]
UserQuery = Callable[[Device], Sequence[int]]


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
        found = [device for index in range(pynvml.nvmlDeviceGetCount()) for device in _describe_or_note(index)]
    finally:
        pynvml.nvmlShutdown()
    return _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _describe_or_note(index: int) -> list[Device]:
    """Return a GPU; one that does not answer by a name that says so: it is waited for, as one that is busy."""
    import pynvml as nvml

    try:
        return _describe(index)
    except nvml.NVMLError:
        return [Device("cuda", index, "", "no answer", f"/dev/nvidia{index}", 0.0)]


def _describe(index: int) -> list[Device]:
    """Return a GPU, or its MIG instances where it is cut into such."""
    import pynvml as nvml

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    node = f"/dev/nvidia{nvml.nvmlDeviceGetMinorNumber(handle)}"
    parts: list[tuple[Any, int | None]] = [*_instances(handle)] or [(handle, None)]
    return [
        Device(
            "cuda",
            index,
            nvml.nvmlDeviceGetUUID(part),
            nvml.nvmlDeviceGetName(part),
            node,
            nvml.nvmlDeviceGetMemoryInfo(part).total / 1e9,
            instance,
        )
        for part, instance in parts
    ]


def _instances(handle: Any) -> list[tuple[Any, int]]:
    import pynvml as nvml

    try:
        if nvml.nvmlDeviceGetMigMode(handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        numbers = range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))
    except nvml.NVMLError_NotSupported:
        return []
    found = []
    for number in numbers:
        try:
            found.append((nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number), number))
        except nvml.NVMLError_NotFound:  # a place for an instance that was not made
            continue
    return found


@dataclass(frozen=True)
class DeviceHealth:
    """What the driver says of a GPU right now.

    Attributes:
        driver: its version.
        free_gb: memory that nobody uses, in 1e9 bytes.
    """

    driver: str
    free_gb: float


def query_health(device: Device) -> DeviceHealth:
    """Ask the driver about itself and a GPU's free memory.

    Raises:
        DeviceSilentError: the driver cannot ask it.
    """
    import pynvml as nvml

    try:
        nvml.nvmlInit()
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
            return DeviceHealth(nvml.nvmlSystemGetDriverVersion(), nvml.nvmlDeviceGetMemoryInfo(handle).free / 1e9)
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise DeviceSilentError(str(error)) from error


class DeviceSilentError(Exception):
    """A device does not answer any more; the message says what the driver says."""


def query_users(device: Device) -> Sequence[int]:
    """Return the pids of the processes that compute on a GPU right now, whoever they belong to; none for the CPU.

    Raises:
        DeviceSilentError: the driver cannot ask it.
    """
    if device.kind == "cpu":
        return []
    import pynvml as nvml

    try:
        nvml.nvmlInit()
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
            return [process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)]
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise DeviceSilentError(str(error)) from error


def _visible(found: Sequence[Device], variable: str | None) -> Sequence[Device]:
    if variable is None:
        return found
    chosen = []
    for entry in filter(None, (part.strip() for part in variable.split(","))):
        match = [device for device in found if entry == str(device.index) or device.uuid.startswith(entry)]
        match = [device for device in match if device not in chosen]
        if not match:
            raise UserError(
                f"no GPU in CUDA_VISIBLE_DEVICES={variable}: '{entry}' is not there; found {_listed(found)}"
            )
        chosen += match
    return chosen


def devices_left(gpus: str, was_on_gpus: bool, query: DeviceQuery = query_gpus) -> Sequence[Device]:
    """Return what is left of the devices of a sweep that is resumed; it never falls back to the CPU by itself.

    Args:
        gpus: as for `choose_devices`.
        was_on_gpus: whether it was trained on GPUs before.
        query: what finds the GPUs.

    Raises:
        UserError: nothing is left.
    """
    if gpus == "none":
        return [CPU]
    found = query()
    if gpus != "all":
        wanted = [part.strip() for part in gpus.split(",")]
        left = [device for device in found if str(device.index) in wanted]
    else:
        left = list(found) if found or was_on_gpus else [CPU]
    if not left:
        raise UserError(
            f"GPUs in gpus={gpus}: none of this sweep's is left on this machine; found {_listed(found)}; choose others "
            "with gpus=, or go on on the CPU with gpus=none"
        )
    return left


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
    indices = {device.index for device in found}
    missing = [part for part in wanted if int(part) not in indices]
    if missing:
        hint = "" if found else "; train on the CPU with gpus=none"
        raise UserError(
            f"GPUs in gpus={gpus}: no GPU {', '.join(missing)} on this machine; found {_listed(found)}{hint}"
        )
    return [device for part in dict.fromkeys(wanted) for device in found if device.index == int(part)]


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index} ({device.name})" for device in devices) or "no GPU"
