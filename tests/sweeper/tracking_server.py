"""A real tracking server on loopback, and a door in front of it that fails as servers fail."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

Mode = Literal["open", "500", "401", "silent", "swallow"]

START_S = 120.0


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Run ``mlflow server``, which keeps artifacts itself, and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("mlflow")
    command = [program, "server", "-w", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", folder / "kept"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(f"http://127.0.0.1:{port}/health"):
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError((folder / "log.txt").read_text(encoding="utf-8"))
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=1).close()
    except OSError:
        return False
    return True


class Door(ThreadingHTTPServer):
    """Passes requests on while it is open.

    Args:
        target: address of the server behind it.

    Attributes:
        mode: ``500`` and ``401`` answer so, ``silent`` never answers, ``swallow`` passes on what comes and
            never answers.
        n_requests: how many have come.
    """

    daemon_threads = True
    # One that never answers must not be waited for at the end of a test.
    block_on_close = False

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.mode: Mode = "open"
        self.n_requests = 0
        self.released = threading.Event()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def _serve(self) -> None:
        door = self.server
        door.n_requests += 1
        mode = door.mode
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if mode == "silent":
            door.released.wait(60)
            self.close_connection = True
            return
        if mode in ("500", "401"):
            self._answer(int(mode), b"<html>no</html>", "text/html")
            return
        request = urllib.request.Request(door.target + self.path, data=body or None, method=self.command)
        request.add_header("Content-Type", self.headers.get("Content-Type") or "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if mode == "swallow":
            door.released.wait(60)
            self.close_connection = True
            return
        self._answer(status, content, "application/json")

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 the names that http.server asks for

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def door_to(target: str) -> Iterator[Door]:
    """Put a door in front of a server."""
    door = Door(target)
    thread = threading.Thread(target=door.serve_forever, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.released.set()
        door.shutdown()
        door.server_close()
