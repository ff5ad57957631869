"""Which devices a machine has, as NVML tells, and which of them a sweep takes."""

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from runners.contract.errors import UserError
from sweeper.hardware.devices import CPU, DeviceSilentError, choose_devices, devices_left, query_gpus, query_users
from sweeper.hardware.slots import Device


def gpu(index: int) -> Device:
    return Device("cuda", index, f"GPU-{index}", "H200", "", 141.0)


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


@pytest.mark.parametrize(
    ("gpus", "was_on_gpus", "found", "left"),
    [
        ("all", True, TWO[1:], TWO[1:]),
        ("0,1", True, TWO[1:], TWO[1:]),
        ("none", True, TWO, [CPU]),
        ("all", False, [], [CPU]),
        ("all", True, [], None),
        ("0", True, TWO[1:], None),
    ],
)
def test_a_resumed_sweep_takes_what_is_left_and_never_the_cpu_by_itself(
    gpus: str, was_on_gpus: bool, found: list[Device], left: list[Device] | None
) -> None:
    if left is None:
        with pytest.raises(UserError, match=r"go on on the CPU with gpus=none"):
            devices_left(gpus, was_on_gpus, lambda: found)
    else:
        assert devices_left(gpus, was_on_gpus, lambda: found) == left


class NvmlError(Exception):
    pass


class NotSupportedError(NvmlError):
    pass


class NotFoundError(NvmlError):
    pass


class Nvml:
    """What `pynvml` says of a machine: for each GPU its UUID, name, bytes, minor number and MIG instances."""

    def __init__(self, gpus: list[dict[str, Any]]) -> None:
        self.gpus = gpus
        self.n_inits = 0
        self.error: NvmlError | None = None
        self.pids: dict[str, list[int]] = {}

    def module(self) -> ModuleType:
        module = ModuleType("pynvml")
        answers: dict[str, Callable[..., Any]] = {
            "nvmlInit": self._init,
            "nvmlShutdown": self._shutdown,
            "nvmlDeviceGetCount": lambda: len(self.gpus),
            "nvmlDeviceGetHandleByIndex": lambda index: self.gpus[index],
            "nvmlDeviceGetMinorNumber": lambda handle: handle["minor"],
            "nvmlDeviceGetUUID": lambda handle: handle["uuid"],
            "nvmlDeviceGetName": lambda handle: handle["name"],
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=handle["bytes"]),
            "nvmlDeviceGetMigMode": self._mig_mode,
            "nvmlDeviceGetMaxMigDeviceCount": lambda handle: 7,
            "nvmlDeviceGetMigDeviceHandleByIndex": self._instance,
            "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
            "nvmlDeviceGetComputeRunningProcesses": self._processes,
        }
        module.__dict__.update(answers)
        names = {
            "NVMLError": NvmlError,
            "NVMLError_NotSupported": NotSupportedError,
            "NVMLError_NotFound": NotFoundError,
        }
        module.__dict__.update(names, NVML_DEVICE_MIG_ENABLE=1)
        return module

    def _init(self) -> None:
        if self.error is not None:
            raise self.error
        self.n_inits += 1

    def _shutdown(self) -> None:
        self.n_inits -= 1

    def _mig_mode(self, handle: dict[str, Any]) -> tuple[int, int]:
        if "mig" not in handle:
            raise NotSupportedError
        return (1, 1) if handle["mig"] else (0, 0)

    def _instance(self, handle: dict[str, Any], number: int) -> dict[str, Any]:
        if number not in handle["mig"]:
            raise NotFoundError
        found: dict[str, Any] = handle["mig"][number]
        return found

    def _processes(self, uuid: str) -> list[SimpleNamespace]:
        if uuid not in self.pids:
            raise NvmlError("GPU is lost")
        return [SimpleNamespace(pid=pid) for pid in self.pids[uuid]]


RTX = {"uuid": "GPU-aa11", "name": "NVIDIA GeForce RTX 4090", "bytes": 25_757_220_864, "minor": 3}
A100 = {
    "uuid": "GPU-bb22",
    "name": "NVIDIA A100-SXM4-40GB",
    "bytes": 42_949_672_960,
    "minor": 0,
    "mig": {
        0: {"uuid": "MIG-c0", "name": "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "bytes": 20_937_965_568},
        2: {"uuid": "MIG-c2", "name": "NVIDIA A100-SXM4-40GB MIG 2g.10gb", "bytes": 10_468_982_784},
    },
}


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    found = Nvml([RTX, A100])
    monkeypatch.setitem(sys.modules, "pynvml", found.module())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return found


def test_gpus_are_found_by_nvml_and_mig_instances_are_devices_of_their_own(nvml: Nvml) -> None:
    assert query_gpus() == [
        Device("cuda", 0, "GPU-aa11", "NVIDIA GeForce RTX 4090", "/dev/nvidia3", 25.757220864),
        Device("cuda", 1, "MIG-c0", "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "/dev/nvidia0", 20.937965568, 0),
        Device("cuda", 1, "MIG-c2", "NVIDIA A100-SXM4-40GB MIG 2g.10gb", "/dev/nvidia0", 10.468982784, 2),
    ]
    assert nvml.n_inits == 0
    assert [device.label for device in choose_devices("1")] == ["gpu1:0", "gpu1:2"]


@pytest.mark.parametrize(
    ("visible", "labels"),
    [
        ("", []),
        ("0", ["gpu0"]),
        ("1", ["gpu1:0", "gpu1:2"]),
        ("MIG-c2,0", ["gpu1:2", "gpu0"]),
        ("GPU-aa", ["gpu0"]),
        (" 0 , 0 ", None),
        ("7", None),
    ],
)
def test_cuda_visible_devices_narrows_them_in_its_order(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch, visible: str, labels: list[str] | None
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if labels is None:
        with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES="):
            query_gpus()
    else:
        assert [device.label for device in query_gpus()] == labels


def test_a_machine_without_a_driver_has_no_gpu(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.error = NvmlError("driver not loaded")
    monkeypatch.setattr("pathlib.Path.glob", lambda path, pattern: iter(()))
    assert query_gpus() == []


def test_a_driver_that_does_not_answer_is_told_and_no_reason_to_train_on_the_cpu(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml.error = NvmlError("Driver/library version mismatch")
    monkeypatch.setattr("pathlib.Path.glob", lambda path, pattern: iter([path / "nvidia0"]))
    with pytest.raises(UserError, match="Driver/library version mismatch; mend the driver"):
        query_gpus()


def test_users_are_those_who_compute_on_it(nvml: Nvml) -> None:
    nvml.pids = {"GPU-aa11": [12, 13]}
    found, silent = query_gpus()[:2]
    assert query_users(found) == [12, 13]
    assert query_users(CPU) == []
    with pytest.raises(DeviceSilentError, match="GPU is lost"):
        query_users(silent)
    nvml.error = NvmlError("no driver any more")
    with pytest.raises(DeviceSilentError, match="no driver any more"):
        query_users(found)
    assert nvml.n_inits == 0
