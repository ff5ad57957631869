"""Why a process vanished, as far as the outside can tell: its signal, its memory, the kernel's own count."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from runners.contract.states import FailureKind
from sweeper.executors.base import Exited

# A process that the kernel ends for want of memory held much of it.
LARGE_SHARE = 0.5
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


@dataclass(frozen=True)
class Loss:
    """Why an attempt left no result.

    Attributes:
        reason: one line.
        kind: OOM if the kernel seems to have ended it for want of host memory; LOST otherwise.
    """

    reason: str
    kind: FailureKind = FailureKind.LOST


def explain_loss(exited: Exited, peak_host_gb: float, total_gb: float, has_kernel_killed: bool) -> Loss:
    """Return why a process is gone that wrote no result.

    Args:
        exited: its end.
        peak_host_gb: the most resident memory that it was seen with, in 1e9 bytes.
        total_gb: of the machine.
        has_kernel_killed: whether the kernel ended any process for want of memory while this one lived.
    """
    if exited.message:
        return Loss(exited.message)
    if exited.returncode == -signal.SIGKILL and (has_kernel_killed or peak_host_gb > LARGE_SHARE * total_gb):
        return Loss(f"killed, probably out of host memory, peak RSS {peak_host_gb:.1f} GB", FailureKind.OOM)
    return Loss(exit_words(exited.returncode))


def exit_words(returncode: int) -> str:
    """Return how a process ended that left no result."""
    if returncode < 0:
        # Real-time signals have a number and no name.
        name = next((f" ({known.name})" for known in signal.Signals if known == -returncode), "")
        return f"killed by signal {-returncode}{name} without a result"
    return f"ended with status {returncode} without a result"


def resident_gb(pid: int) -> float:
    """Return the resident memory of a process in 1e9 bytes; 0 if it is gone."""
    try:
        return float(psutil.Process(pid).memory_info().rss) / 1e9
    except psutil.Error:
        return 0.0


def count_kernel_kills() -> int:
    """Return how many processes the kernel has ended for want of memory since the machine started."""
    total = 0
    for path in _COUNTERS:
        with contextlib.suppress(OSError):
            for line in path.read_text(encoding="ascii").splitlines():
                name, _, number = line.partition(" ")
                if name == "oom_kill" and number.isdigit():
                    total += int(number)
    return total
