"""Attempts as warm processes of this machine, forked by one server that has imported the training stack."""

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import runners
from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder
from sweeper.executors.base import Executor, ExecutorEvent, Exited, Started
from sweeper.stored.processes import birth_of, is_alive

# The server ends its jobs itself (TERM, grace, KILL) once its input is closed; this is how long we give it.
CLOSE_S = 20.0
MAX_RESTARTS = 3
POLL_S = 0.02


class ServerGoneError(UserError):
    """The warm server ends again and again, or does not end at all; what was running can be resumed."""

    exit_code = 3


class LocalExecutor(Executor):
    """Client of ``python -m runners.server``. The server warms up in the background while the controller plans.

    A server that ends takes its jobs along: they are told as ended, and a new server is started for what follows.

    Args:
        log: where the server's own messages go.
        entry: the module whose ``run_attempt(folder)`` executes an attempt.
    """

    def __init__(self, log: Path, entry: str = "runners.job") -> None:
        self._log = log
        self._entry = entry
        self._leases: dict[str, int] = {}
        self._running: dict[str, AttemptFolder] = {}
        self._processes: dict[str, tuple[int, float | None]] = {}
        self._has_started = False
        self._n_restarts = 0
        self._start_server()

    def _start_server(self) -> None:
        # -m looks into the working directory first: it must be the folder of our own `runners`.
        root = Path(runners.__file__).parents[1]
        # A socket and no pipe: locked descriptors travel with the requests.
        self._requests, server_end = socket.socketpair()
        with self._log.open("ab") as stderr, server_end:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "runners.server", "--entry", self._entry, "--controller-pid", str(os.getpid())],
                stdin=server_end.fileno(),
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=root,
                # Ctrl-C in the terminal is for the controller, who then tells the jobs.
                start_new_session=True,
            )
        assert self._server.stdout is not None
        os.set_blocking(self._server.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server.stdout, selectors.EVENT_READ)
        self._partial = b""
        for lease, descriptor in self._leases.items():
            self._send({"op": "hold", "lease": lease}, descriptor)

    def start(self, attempt: AttemptFolder, environment: Mapping[str, str], leases: Sequence[str] = ()) -> None:
        """See `Executor.start`."""
        self._has_started = True
        self._running[str(attempt.path)] = attempt
        told = {"attempt": str(attempt.path), "env": dict(environment), "leases": list(leases)}
        self._send({"op": "start", **told})

    def terminate(self, attempt: AttemptFolder) -> None:
        """See `Executor.terminate`."""
        self._send({"op": "terminate", "attempt": str(attempt.path)})

    def kill(self, attempt: AttemptFolder) -> None:
        """See `Executor.kill`."""
        self._send({"op": "kill", "attempt": str(attempt.path)})

    def dump(self, attempt: AttemptFolder) -> None:
        """See `Executor.dump`."""
        self._send({"op": "dump", "attempt": str(attempt.path)})

    def hold(self, lease: str, descriptor: int) -> None:
        """See `Executor.hold`."""
        self._leases[lease] = descriptor
        self._send({"op": "hold", "lease": lease}, descriptor)

    def release(self, lease: str) -> None:
        """See `Executor.release`."""
        del self._leases[lease]
        self._send({"op": "release", "lease": lease})

    def wait(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """See `Executor.wait`.

        Raises:
            ServerGoneError: the server ended, and had been started anew three times before, or a job of it lives on.
        """
        if not self._selector.select(timeout_s):
            return []
        assert self._server.stdout is not None
        data = self._server.stdout.read()
        if data == b"":
            return self._replace_server()
        *lines, self._partial = (self._partial + (data or b"")).split(b"\n")
        messages = [json.loads(line) for line in lines if line.strip()]
        events = [event for event in map(_event, messages) if event is not None]
        for event in events:
            if isinstance(event, Started):
                self._processes[str(event.attempt.path)] = event.pid, birth_of(event.pid)
            else:
                self._running.pop(str(event.attempt.path), None)
                self._processes.pop(str(event.attempt.path), None)
        return events

    def close(self) -> None:
        """See `Executor.close`."""
        self._requests.close()
        if not self._has_started:
            # Still importing, most likely: nobody should wait ten seconds to be told of a typing error.
            self._server.kill()
        try:
            self._server.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        finally:
            self._forget_server()

    def _replace_server(self) -> Sequence[ExecutorEvent]:
        """Start a new server in place of one that has ended; its jobs are gone with it, killed by the kernel."""
        status = self._server.wait()
        self._forget_server()
        told = f"the warm server ended with status {status}"
        if self._n_restarts == MAX_RESTARTS:
            raise ServerGoneError(
                f"warm server of {self._log.parent}: {told}, after {MAX_RESTARTS} restarts, see {self._log}; mend "
                "what ends it, then go on with detsweep resume"
            )
        self._n_restarts += 1
        self._wait_for_ends()
        lost = [Exited(attempt, status, told, is_own_fault=False) for attempt in self._running.values()]
        self._running.clear()
        self._start_server()
        return lost

    def _wait_for_ends(self) -> None:
        """Wait until the kernel has ended the jobs of a dead server: their successors write into the same folders."""
        deadline = time.monotonic() + CLOSE_S
        for pid, born_at in self._processes.values():
            while is_alive(pid, born_at):
                if time.monotonic() > deadline:
                    raise ServerGoneError(
                        f"warm server of {self._log.parent}: its job's process {pid} lives {CLOSE_S:.0f} s after it; "
                        "end that process, then go on with detsweep resume"
                    )
                time.sleep(POLL_S)
        self._processes.clear()

    def _forget_server(self) -> None:
        assert self._server.stdout is not None
        self._selector.close()
        self._requests.close()
        self._server.stdout.close()

    def _send(self, message: Mapping[str, Any], descriptor: int | None = None) -> None:
        line = json.dumps(message).encode("utf-8") + b"\n"
        # A server that is gone is found by `wait`, which tells of its jobs and starts another.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            n_sent = 0
            if descriptor is not None:
                # With the first bytes of the line that names it.
                n_sent = socket.send_fds(self._requests, [line], [descriptor])
            self._requests.sendall(line[n_sent:])


def _event(message: Mapping[str, Any]) -> ExecutorEvent | None:
    if message["event"] == "started":
        return Started(AttemptFolder(Path(message["attempt"])), message["pid"])
    if message["event"] == "exited":
        return Exited(AttemptFolder(Path(message["attempt"])), message["returncode"], message.get("message", ""))
    if message["event"] == "refused":
        raise RuntimeError(f"the warm server refused {message['request']}: {message['message']}")
    return None
