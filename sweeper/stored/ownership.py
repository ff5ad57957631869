"""Whether a process owns a sweep, asked from outside without getting in its way."""

import fcntl
import os
from pathlib import Path

from runners.contract.errors import UserError

_LOCKS = Path("/proc/locks")


def is_owned(journal: Path, is_elsewhere: bool = False) -> bool:
    """Return whether a process holds the lock of a journal.

    The kernel's list of locks is read first: a lock that is tried, for however short a moment, could turn away a
    controller that starts in this moment.

    Args:
        journal: ``journal.jsonl``.
        is_elsewhere: its newest controller was started on another machine, whose locks this kernel does not list.
    """
    lock = Path(f"{journal}.lock")
    try:
        status = lock.stat()
    except FileNotFoundError:
        return False
    try:
        listed = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return _is_refused(lock)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    if f" {device}:{status.st_ino} " in listed:
        return True
    # Some file systems are listed under another device than files have; then only the lock itself can tell.
    return (is_elsewhere or f":{status.st_ino} " in listed) and _is_refused(lock)


def prove_lock(journal: Path) -> None:
    """Have another process try for a lock that this one holds: some network file systems lock nothing.

    Call it before any thread is started.

    Args:
        journal: ``journal.jsonl``, owned by this process.

    Raises:
        UserError: the other process got it.
    """
    lock = Path(f"{journal}.lock")
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _is_refused(lock) else 1)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise UserError(
            f"locks in {journal.parent}: this file system does not lock, and two controllers could run one sweep; "
            "take another output_dir, on a local disk or a network file system with locks"
        )


def _is_refused(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
