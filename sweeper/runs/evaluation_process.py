"""The process of an evaluation: a device is leased for it, it is followed, and it ends with whoever started it."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import runners
from runners.contract.errors import UserError
from runners.contract.evaluations import EvaluationResult, EvaluationSpec, read_failure
from runners.contract.folder import EvaluationFolder
from runners.contract.states import FailureKind
from sweeper.hardware.devices import DeviceSilentError, choose_devices, query_users
from sweeper.hardware.lease import LeaseHeldError, describe_process, take_lease
from sweeper.hardware.slots import Device

# How often a device that was not to be had is asked for again.
RETRY_S = 5.0
# How long a process may take to end when it is asked to.
TERM_S = 5.0
MAX_WORKERS = 4

# Takes how many images have been looked at, and how many there are; None while nothing is known yet.
Advance = Callable[[int, int], None]


class EvaluationFailedError(UserError):
    """The process failed of something that is no mistake of the user's."""

    exit_code = 1


@dataclass(frozen=True)
class HeldDevice:
    """A device that an evaluation has.

    Attributes:
        device: the device.
        lease: a locked descriptor that keeps others off; None for the CPU.
    """

    device: Device
    lease: int | None


@contextmanager
def hold_device(gpus: str, busy: str, say: Callable[[str], None]) -> Iterator[HeldDevice]:
    """Lease the first device that can be had, and wait for one where all are taken.

    Args:
        gpus: the setting: ``all``, ``none``, or numbers.
        busy: ``wait`` for a GPU that somebody computes on, or ``use`` it.
        say: takes a line on what is waited for.

    Raises:
        UserError: the devices are not there.
    """
    devices = choose_devices(gpus)
    told: list[str] = []
    while True:
        obstacles = []
        for device in devices:
            held = _try(device, busy)
            if isinstance(held, HeldDevice):
                try:
                    yield held
                finally:
                    if held.lease is not None:
                        os.close(held.lease)
                return
            obstacles.append(held)
        if obstacles != told:
            say(f"waiting: {'; '.join(obstacles)} (busy_gpus=use shares a GPU in use, gpus=none takes the CPU)")
            told = obstacles
        time.sleep(RETRY_S)


def _try(device: Device, busy: str) -> HeldDevice | str:
    """Take a device, or return why it cannot be had."""
    name = f"{device.label} ({device.name})"
    try:
        users = query_users(device) if busy == "wait" else []
    except DeviceSilentError as error:
        return f"{name} does not answer: {error}"
    if users:
        return f"{name} is used by {describe_process(users[0])}"
    try:
        return HeldDevice(device, take_lease(device.node) if device.node else None)
    except LeaseHeldError as error:
        return f"{name} is {error}"


def run_evaluation(
    folder: EvaluationFolder, spec: EvaluationSpec, held: HeldDevice, n_workers: int | None, advance: Advance
) -> EvaluationResult:
    """Evaluate in a process of its own, which has imported nothing yet.

    Args:
        folder: with the config in it; what was measured there before is removed.
        spec: what is evaluated; device, threads and workers are filled in.
        held: the device.
        n_workers: data loader processes; None chooses by the device.
        advance: called when images have been looked at.

    Raises:
        UserError: what the process says is the user's mistake.
        EvaluationFailedError: it failed of anything else.
    """
    n_threads = len(psutil.Process().cpu_affinity())
    if held.device.kind == "cpu" and spec.n_threads:
        n_threads = spec.n_threads
    if n_workers is None:
        n_workers = 0 if held.device.kind == "cpu" else min(MAX_WORKERS, max(1, n_threads - 1))
    for path in (folder.metrics, folder.failure, folder.detections, folder.logged):
        path.unlink(missing_ok=True)
    dataclasses.replace(spec, device=held.device.kind, n_threads=n_threads, n_workers=n_workers).write(folder)
    process = _start(folder, held)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            told: Mapping[str, Any] = json.loads(line)
            advance(told["image"], told["n_images"])
        process.wait()
    finally:
        _end(process)
    result = EvaluationResult.read(folder)
    if result is None:
        raise _failed(folder, process.returncode)
    return result


def _start(folder: EvaluationFolder, held: HeldDevice) -> "subprocess.Popen[bytes]":
    # -m looks into the working directory first: it must be the folder of our own `runners`.
    root = Path(runners.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "runners.evaluate", str(folder.path), "--controller-pid", str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=folder.log.open("wb"),
        cwd=root,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": held.device.uuid},
        pass_fds=() if held.lease is None else (held.lease,),
        # Ctrl-C in the terminal is for who started it, and ends it with all of its workers.
        start_new_session=True,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it started, if it still lives."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TERM_S)
    if process.stdout is not None:
        process.stdout.close()


def _failed(folder: EvaluationFolder, returncode: int) -> UserError:
    failure = read_failure(folder)
    if failure is not None and failure.kind in (FailureKind.USER, FailureKind.DATA):
        return UserError(failure.message)
    if failure is not None:
        return EvaluationFailedError(f"evaluation in {folder.path}: {failure.message}; see {folder.log}")
    lines = (
        folder.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if folder.log.is_file() else []
    )
    last = f": {lines[-1]}" if lines else ""
    how = f"signal {-returncode}" if returncode < 0 else f"status {returncode}"
    return EvaluationFailedError(f"evaluation in {folder.path}: its process ended with {how}{last}; see {folder.log}")
