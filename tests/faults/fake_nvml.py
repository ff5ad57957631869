"""Stands where ``pynvml`` is imported: GPUs from a JSON file, ``[{"node": path, "users": [pid, ...]}, ...]``.

The file is read again for every question, so that a test can take a GPU away. `node` is a file that the test has made,
to be locked instead of the one in ``/dev``.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VARIABLE = "DETSWEEP_TEST_GPUS"


class NVMLError(Exception):
    """Any error of NVML."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818 - its name in NVML
    """The device lacks what was asked about."""


def node_of(path: str) -> str:
    """Return the file that stands for a device's file in ``/dev``."""
    return str(_gpus()[int(path.removeprefix("/dev/nvidia"))]["node"])


def _gpus() -> list[dict[str, Any]]:
    gpus: list[dict[str, Any]] = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    return gpus


def nvmlInit() -> None:  # noqa: N802
    pass


def nvmlShutdown() -> None:  # noqa: N802
    pass


def nvmlSystemGetDriverVersion() -> str:  # noqa: N802
    return "999.1"


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(_gpus())


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    return index


def nvmlDeviceGetHandleByUUID(uuid: str) -> int:  # noqa: N802
    return int(uuid.removeprefix("GPU-"))


def nvmlDeviceGetUUID(handle: int) -> str:  # noqa: N802
    return f"GPU-{handle}"


def nvmlDeviceGetName(handle: int) -> str:  # noqa: N802
    return "Pretended GPU"


def nvmlDeviceGetMinorNumber(handle: int) -> int:  # noqa: N802
    return handle


def nvmlDeviceGetMemoryInfo(handle: int) -> SimpleNamespace:  # noqa: N802
    return SimpleNamespace(total=80e9, used=1e9, free=79e9)


def nvmlDeviceGetMigMode(handle: int) -> list[int]:  # noqa: N802
    raise NVMLError_NotSupported


def nvmlDeviceGetComputeRunningProcesses(handle: int) -> list[SimpleNamespace]:  # noqa: N802
    return [SimpleNamespace(pid=pid) for pid in _gpus()[handle].get("users", [])]
