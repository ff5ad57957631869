"""What a process does to itself before it trains an attempt: folder, log, environment, and not outliving its parent."""

import ctypes
import faulthandler
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from runners.contract.failpoints import enter_attempt_process
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptSpec

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_NEW_FILE_MODE = 0o666  # the umask decides
_PRIVATE_UMASK = 0o077


def enter_attempt(folder: AttemptFolder, env: Mapping[str, str]) -> None:
    """Turn this process into the one that executes an attempt.

    From here on all output goes to the attempt's log, the working directory is the job's folder, a crash writes the
    Python stack to the log, and so does SIGUSR1. The attempt's spec says whose the files are that it makes.
    """
    os.umask(_umask(folder))
    _redirect_output(folder)
    os.environ.update(env)
    enter_attempt_process(folder.number)
    os.chdir(folder.job.path)
    faulthandler.enable(file=sys.stderr)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr)


def _umask(folder: AttemptFolder) -> int:
    """Return the umask that the spec asks for; one that cannot be read, which ends the attempt, shares nothing."""
    try:
        return AttemptSpec.read(folder).umask
    except (OSError, ValueError, TypeError):
        return _PRIVATE_UMASK


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process, and every process it forks, when its parent is gone.

    The kernel watches the parent's *thread*: call it only in children that a main thread forked.
    """
    if sys.platform != "linux":
        return
    _kill_when_parent_dies()
    os.register_at_fork(after_in_child=_kill_when_parent_dies)
    if os.getppid() != parent_pid:  # it died before the kernel was told
        os._exit(1)


def _kill_when_parent_dies() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _redirect_output(folder: AttemptFolder) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    append_output(folder.log)
    for stream in (sys.stdout, sys.stderr):
        # A job that is killed must have said what it had to say.
        stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def append_output(path: Path) -> None:
    """Have everything that this process and the libraries in it print appended to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _NEW_FILE_MODE)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
