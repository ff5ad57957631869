"""Pretended GPUs from a JSON file, ``[{"node": path, "users": [pid, ...]}, ...]``, read again for every question."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeper.slots import Device

VARIABLE = "DETSWEEP_TEST_GPUS"


def query_gpus() -> Sequence[Device]:
    """Stand in for `sweeper.devices.query_gpus`; a GPU's node is a file that the test has made, to be locked."""
    return [
        Device("cuda", index, f"GPU-{index}", "Pretended GPU", gpu["node"], 80.0) for index, gpu in enumerate(_gpus())
    ]


def _gpus() -> list[dict[str, Any]]:
    gpus: list[dict[str, Any]] = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    return gpus


# What `sweeper.devices.query_users` asks of pynvml, in whose place this module is then imported.


def nvmlInit() -> None:  # noqa: N802
    pass


def nvmlShutdown() -> None:  # noqa: N802
    pass


def nvmlDeviceGetHandleByUUID(uuid: str) -> int:  # noqa: N802
    return int(uuid.removeprefix("GPU-"))


def nvmlDeviceGetComputeRunningProcesses(handle: int) -> list[SimpleNamespace]:  # noqa: N802
    return [SimpleNamespace(pid=pid) for pid in _gpus()[handle].get("users", [])]
