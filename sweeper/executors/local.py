"""Attempts as warm processes of this machine, forked by one server that has imported the training stack."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import runners
from runners.contract.folder import AttemptFolder
from sweeper.executors.base import Executor, ExecutorEvent, Exited, Started

# The server ends its jobs itself (TERM, grace, KILL) once its input is closed; this is how long we give it.
CLOSE_S = 20.0


class ServerGoneError(RuntimeError):
    """The warm server ended while it was needed."""


class LocalExecutor(Executor):
    """Client of ``python -m runners.server``. The server warms up in the background while the controller plans.

    Args:
        log: where the server's own messages go.
        leases: descriptors that server and jobs inherit, so that a device stays held until the last of them is gone.
    """

    def __init__(self, log: Path, leases: Sequence[int] = ()) -> None:
        self._log = log
        # -m looks into the working directory first: it must be the folder of our own `runners`.
        root = Path(runners.__file__).parents[1]
        with log.open("ab") as stderr:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "runners.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=root,
                pass_fds=tuple(leases),
                # Ctrl-C in the terminal is for the controller, who then tells the jobs.
                start_new_session=True,
            )
        assert self._server.stdout is not None
        os.set_blocking(self._server.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server.stdout, selectors.EVENT_READ)
        self._partial = b""
        self._has_started = False

    def start(self, attempt: AttemptFolder, environment: Mapping[str, str]) -> None:
        """See `Executor.start`."""
        self._has_started = True
        self._send({"op": "start", "attempt": str(attempt.path), "env": dict(environment)})

    def terminate(self, attempt: AttemptFolder) -> None:
        """See `Executor.terminate`."""
        self._send({"op": "terminate", "attempt": str(attempt.path)})

    def kill(self, attempt: AttemptFolder) -> None:
        """See `Executor.kill`."""
        self._send({"op": "kill", "attempt": str(attempt.path)})

    def wait(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """See `Executor.wait`.

        Raises:
            ServerGoneError: the server ended.
        """
        if not self._selector.select(timeout_s):
            return []
        assert self._server.stdout is not None
        data = self._server.stdout.read()
        if data == b"":
            raise ServerGoneError(f"the warm server ended with status {self._server.wait()}; its messages: {self._log}")
        *lines, self._partial = (self._partial + (data or b"")).split(b"\n")
        messages = [json.loads(line) for line in lines if line.strip()]
        return [event for event in map(_event, messages) if event is not None]

    def close(self) -> None:
        """See `Executor.close`."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._selector.close()
        self._server.stdin.close()
        if not self._has_started:
            # Still importing, most likely: nobody should wait ten seconds to be told of a typing error.
            self._server.kill()
        try:
            self._server.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        finally:
            self._server.stdout.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(json.dumps(message).encode("utf-8") + b"\n")
            self._server.stdin.flush()
        except BrokenPipeError:
            raise ServerGoneError(
                f"the warm server ended with status {self._server.wait()}; its messages: {self._log}"
            ) from None


def _event(message: Mapping[str, Any]) -> ExecutorEvent | None:
    if message["event"] == "started":
        return Started(AttemptFolder(Path(message["attempt"])), message["pid"])
    if message["event"] == "exited":
        return Exited(AttemptFolder(Path(message["attempt"])), message["returncode"], message.get("message", ""))
    if message["event"] == "refused":
        raise RuntimeError(f"the warm server refused {message['request']}: {message['message']}")
    return None
