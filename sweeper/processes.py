"""Whether a process that a journal names is still the same one; nothing is ever signalled by its number alone."""

from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def birth_of(pid: int) -> float | None:
    """Return when a process was started, in seconds since the epoch; None if there is none of that number."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int, born_at: float | None) -> bool:
    """Return whether the process of that number, started at that time, still lives; a zombie does not."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == born_at and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def boot_id(path: Path = BOOT_ID) -> str:
    """Return what tells this run of the kernel from any other; empty where the system does not say."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
