"""A real ``python -m runners.server`` as tests talk to it."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, AttemptSpec

ROOT = Path(__file__).parents[2]
# The first import of the training stack takes a busy machine a minute.
PATIENCE_S = 240.0


class WarmServer:
    """Starts a server and speaks its protocol, over a pipe as a person would, or over a socket as a controller does."""

    def __init__(self, *arguments: str, pass_fds: tuple[int, ...] = (), has_socket: bool = False) -> None:
        self._socket, server_end = socket.socketpair() if has_socket else (None, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runners.server", *arguments],
            stdin=subprocess.PIPE if server_end is None else server_end.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            pass_fds=pass_fds,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        if server_end is not None:
            server_end.close()
        self._incoming: queue.Queue[dict[str, Any]] = queue.Queue()
        self._events: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, **request: Any) -> None:
        line = (json.dumps(request) + "\n").encode()
        if self._socket is not None:
            self._socket.sendall(line)
            return
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def hold(self, lease: str, descriptor: int) -> None:
        """Hand a locked descriptor over."""
        assert self._socket is not None
        line = (json.dumps({"op": "hold", "lease": lease}) + "\n").encode()
        assert socket.send_fds(self._socket, [line], [descriptor]) == len(line)

    def start(self, attempt: AttemptFolder, leases: Sequence[str] = (), **env: str) -> int:
        """Start an attempt and return its pid."""
        self.send(op="start", attempt=str(attempt.path), env=env, leases=list(leases))
        return int(self.event("started", attempt)["pid"])

    def event(self, kind: str, attempt: AttemptFolder | None = None) -> dict[str, Any]:
        """Return the next event of this kind (and attempt); others wait to be asked for."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for event in self._events:
                if event["event"] == kind and attempt in (None, AttemptFolder(Path(event.get("attempt", "")))):
                    self._events.remove(event)
                    return event
            self._events.append(self._incoming.get(timeout=max(0.0, deadline - time.monotonic())))

    def run(self, job: JobFolder, **spec: Any) -> tuple[AttemptFolder, AttemptResult]:
        """Execute the next attempt of a job and return its result."""
        attempt = new_attempt(job, **spec)
        self.start(attempt)
        self.event("exited", attempt)
        result = AttemptResult.read(attempt)
        assert result is not None, attempt.log.read_text()
        return attempt, result

    def close(self) -> int:
        """End the server's input and return its exit code."""
        if self._socket is not None:
            self._socket.close()
        else:
            assert self.process.stdin is not None
            self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._incoming.put(json.loads(line))


def new_attempt(job: JobFolder, **spec: Any) -> AttemptFolder:
    """Take the next attempt of a job and write its spec."""
    attempt = job.take_attempt()
    values: dict[str, Any] = {
        "device": "cpu",
        "n_threads": 1,
        "n_workers": 0,
        "batch_per_step": 4,
        "accumulation": 1,
        "requested_at": time.time(),
        **spec,
    }
    AttemptSpec(attempt=attempt.number, **values).write(attempt)
    return attempt


def wait_until(condition: Any, timeout_s: float = PATIENCE_S) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
