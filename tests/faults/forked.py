"""A command line in a process of its own, forked from one that has imported everything: a second less for each."""

import gc
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

# What a command line imports; not MLflow, which starts threads.
WARM = (
    "sweeper.verbs.run",
    "sweeper.verbs.resume",
    "sweeper.verbs.sync",
    "sweeper.verification.verify",
    "reports.sweep_report",
    "reports.terminal",
)


_N_DESCRIPTORS = 1024


class Forked:
    """Stands for `subprocess.Popen`: the leader of a session, whose output goes to a file.

    Args:
        run: what the process does; returns its exit code.
        cwd: its working directory.
        env: its whole environment.
        out: file for what it prints.
    """

    def __init__(self, run: Callable[[], int], cwd: Path, env: Mapping[str, str], out: Path) -> None:
        for module in WARM:
            importlib.import_module(module)
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(run, cwd, env, out)

    def poll(self) -> int | None:
        """Return the exit code, or the negative signal; None while it lives."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """
        deadline = time.monotonic() + timeout
        while (returncode := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked command line", timeout)
            time.sleep(0.01)
        return returncode

    def kill(self) -> None:
        """Send KILL."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(run: Callable[[], int], cwd: Path, env: Mapping[str, str], out: Path) -> None:
    """Carry out the command line in the forked child; never returns."""
    returncode = 1
    # What pytest's process has left over stays so: a tensor in shared memory would end this one when it is collected
    # here, where its descriptor is closed.
    gc.freeze()
    try:
        os.setsid()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.closerange(3, _N_DESCRIPTORS)
        # pytest has put its own objects here.
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate(("r", "w", "w")))
        returncode = run()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(returncode)
