"""A page that a child process serves on loopback: a port is found, its answer is waited for, and it ends whole."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from runners.contract.errors import UserError

LOOPBACK = "127.0.0.1"
FOLLOWER = Path(__file__).with_name("follower.py")
# How many ports from the usual one on are tried.
N_PORTS = 50
POLL_S = 0.1
PROBE_S = 2.0
# A server of MLflow took 44 s on a machine that did nothing else.
START_S = 300.0
# A little longer than the follower gives the command.
END_S = 8.0
N_LINES = 5
LIMITS = 1024, 65535
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class PageFailedError(UserError):
    """The child ended, or never answered, for a reason that is no mistake of the user's."""

    exit_code = 1


@dataclass(frozen=True)
class ServedPage:
    """What is to be served.

    Attributes:
        name: for messages.
        command: the program and its words; it listens on `LOOPBACK` and the port that it was given.
        folder: its working directory.
        environment: beside the one of this process.
        health: address that answers as soon as there is something to see.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    health: str


def choose_port(said: str, usual: int) -> int:
    """Return the port that was asked for, or else the first free one from the usual on.

    Args:
        said: what stands behind ``port=``; empty for none.
        usual: where to begin.

    Raises:
        UserError: it is no number, or something listens there already.
    """
    if not said:
        free = next((port for port in range(usual, usual + N_PORTS) if _is_free(port)), None)
        if free is None:
            raise UserError(f"no free port from {usual} to {usual + N_PORTS - 1}; name one with port=")
        return free
    low, high = LIMITS
    if not said.isdecimal() or not low <= int(said) <= high:
        raise UserError(f"no port in port={said}; give a number from {low} to {high}, or leave it out")
    if not _is_free(int(said)):
        raise UserError(f"port taken in port={said}: something listens there; give another, or leave it out")
    return int(said)


def serve(page: ServedPage, say: Callable[[], None]) -> int:
    """Serve a page until the child ends by itself or this process is asked to end.

    Args:
        page: what to serve.
        say: called as soon as it answers.

    Returns:
        0, if the child ended in good order.

    Raises:
        PageFailedError: it did not, or never answered.
        KeyboardInterrupt: Ctrl-C; nothing is left then.
        SystemExit: of TERM or HUP, likewise.
    """
    with tempfile.TemporaryFile() as log, _leaving_on_signals(), _running(page, log) as child:
        deadline = time.monotonic() + START_S
        while not _answers(page.health):
            if child.poll() is not None:
                raise _failed(page, child.returncode, log)
            if time.monotonic() > deadline:
                raise PageFailedError(f"{page.name}: no answer within {START_S:.0f} s{_last_lines(log)}")
            time.sleep(POLL_S)
        say()
        returncode = child.wait()
        if returncode:
            raise _failed(page, returncode, log)
    return 0


@contextmanager
def _running(page: ServedPage, log: IO[bytes]) -> "Iterator[subprocess.Popen[bytes]]":
    child = subprocess.Popen(
        # Isolated, for the follower's folder holds modules of ours.
        [sys.executable, "-I", str(FOLLOWER), *page.command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=page.folder,
        env={**os.environ, **page.environment},
        # Ctrl-C in the terminal is for who started it, and ends it with all that it has started.
        start_new_session=True,
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def _leaving_on_signals() -> Iterator[None]:
    before = {number: signal.signal(number, _leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _is_free(port: int) -> bool:
    with socket.socket() as asked:
        # As servers ask: what is left of ended connections is not in the way.
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _answers(address: str) -> bool:
    # A proxy of the environment knows nothing of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=PROBE_S):
            return True
    except (OSError, ValueError):
        return False


def _failed(page: ServedPage, returncode: int, log: IO[bytes]) -> PageFailedError:
    how = f"signal {-returncode}" if returncode < 0 else f"status {returncode}"
    return PageFailedError(f"{page.name}: it ended with {how}{_last_lines(log)}")


def _last_lines(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return f"; its last words: {' | '.join(lines[-N_LINES:])}" if lines else ""
