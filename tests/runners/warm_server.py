"""A real ``python -m runners.server`` as tests talk to it."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, AttemptSpec

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0


class WarmServer:
    """Starts a server and speaks its protocol."""

    def __init__(self, *arguments: str, pass_fds: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runners.server", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            pass_fds=pass_fds,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps(request) + "\n").encode())
        self.process.stdin.flush()

    def start(self, attempt: AttemptFolder, **env: str) -> int:
        """Start an attempt and return its pid."""
        self.send(op="start", attempt=str(attempt.path), env=env)
        return int(self.event("started", attempt)["pid"])

    def event(self, kind: str, attempt: AttemptFolder | None = None) -> dict[str, Any]:
        """Return the next event, which must be of this kind."""
        event = self._events.get(timeout=PATIENCE_S)
        assert event["event"] == kind, event
        assert attempt is None or event["attempt"] == str(attempt.path)
        return event

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
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put(json.loads(line))


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
