"""Whether a process that a journal names is still the same one; nothing is ever signalled by its number alone."""

import os
from pathlib import Path

import psutil

PROC = Path("/proc")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def birth_of(pid: int) -> float | None:
    """Return when a process was started, in seconds since the machine was; None if there is none of that number.

    Not since the epoch: that changes whenever the wall clock is set, and a living process would seem to be another.
    """
    try:
        return _birth_of(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int, born_at: float | None) -> bool:
    """Return whether the process of that number, started at that time, still lives; a zombie does not."""
    try:
        process = psutil.Process(pid)
        return _birth_of(process) == born_at and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _birth_of(process: psutil.Process) -> float:
    if not PROC.is_dir():
        return process.create_time() - psutil.boot_time()
    try:
        # The name of the program, in brackets, may hold spaces and brackets; `starttime` is the 20th field behind it.
        fields = (PROC / str(process.pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        return int(fields.split()[19]) / os.sysconf("SC_CLK_TCK")
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None


def working_in(folder: Path) -> list[tuple[int, float | None]]:
    """Return (pid, when it was started) of each process that works in a folder, as far as that may be seen."""
    path = str(folder.resolve())
    pids = [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == path]
    return [(pid, birth_of(pid)) for pid in pids]


def boot_id(path: Path = BOOT_ID) -> str:
    """Return what tells this run of the kernel from any other; empty where the system does not say."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
