"""The lease that keeps two sweeps off one GPU: a plain flock on the device's file, whoever made it.

The descriptor is handed to the executor and by it to the jobs: a device is free exactly when the last of them is gone,
whatever killed the controller. (`filelock` closes its descriptor in forked children; this must not.)
"""

import contextlib
import fcntl
import os
from pathlib import Path

import psutil

from runners.contract.errors import UserError

PROC_LOCKS = Path("/proc/locks")


class LeaseHeldError(Exception):
    """Somebody else holds the device; the message says who."""


def take_lease(node: str) -> int:
    """Lock a device's file and return the descriptor that holds the lock.

    Raises:
        LeaseHeldError: another sweep holds it.
        UserError: the file is not there, or may not be opened.
    """
    try:
        descriptor = os.open(node, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(
            f"GPU in {node}: cannot be leased ({error.strerror}); have the file made readable, or leave that GPU out "
            "with gpus="
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = holder_of(descriptor)
        os.close(descriptor)
        raise LeaseHeldError(f"held by {describe_process(holder) if holder else 'another sweep'}") from None
    return descriptor


def holder_of(descriptor: int, locks: Path = PROC_LOCKS) -> int | None:
    """Return the pid that took the flock on an open file, as the kernel lists it; None where it does not say."""
    status = os.fstat(descriptor)
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError):
        for line in locks.read_text(encoding="ascii").splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4711 00:05:131 0 EOF
            parts = line.split()
            if len(parts) >= 6 and parts[1] == "FLOCK" and parts[5] == wanted and parts[4].isdigit():
                return int(parts[4]) or None
    return None


def describe_process(pid: int) -> str:
    """Return a process as a person knows it, ``pid 4711 (alice: detsweep train)``; what may not be seen is left out."""
    try:
        process = psutil.Process(pid)
        words = " ".join(Path(word).name for word in process.cmdline()[:3])
        return f"pid {pid} ({process.username()}: {words[:60]})"
    except psutil.Error:
        return f"pid {pid}"
