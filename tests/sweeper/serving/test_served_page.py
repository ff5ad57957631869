"""A page that a child serves: found, answered, and ended whole, whatever ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from runners.contract.errors import UserError
from sweeper.serving.served_page import LOOPBACK, PageFailedError, ServedPage, choose_port, serve

ROOT = Path(__file__).parents[3]
# The child has a child of its own that ends at nothing but KILL.
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[2]])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
ASKER = f"""
import sys
from pathlib import Path
from sweeper.serving.served_page import ServedPage, serve
port = sys.argv[1]
command = [sys.executable, "-c", {SERVER!r}, port, {STUBBORN!r}]
serve(ServedPage("page", command, Path.cwd(), {{}}, f"http://127.0.0.1:{{port}}/"), lambda: print("there", flush=True))
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])


@pytest.fixture
def asker(port: int) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, "-c", ASKER, str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(is_so: Callable[[], object], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_nothing_is_left_whatever_ends_it(
    asker: "subprocess.Popen[str]", port: int, number: signal.Signals, status: int
) -> None:
    assert asker.stdout is not None
    assert asker.stdout.readline() == "there\n"
    family = psutil.Process(asker.pid).children(recursive=True)
    assert len(family) == 3  # follower, server, its stubborn child
    os.kill(asker.pid, number)
    assert asker.wait(20) == status
    wait_for(lambda: not any(process.is_running() and process.status() != "zombie" for process in family))
    assert choose_port(str(port), 5000) == port


def test_a_page_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such store'); sys.exit(3)"]
    page = ServedPage("page", command, tmp_path, {}, f"http://{LOOPBACK}:9/")
    with pytest.raises(PageFailedError, match=r"page: it ended with status 3; its last words: no such store") as failed:
        serve(page, lambda: pytest.fail("it never answered"))
    assert failed.value.exit_code == 1


def test_a_port_that_is_taken_is_passed_over_or_refused(port: int) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, port))
        taken.listen()
        assert port < choose_port("", port) < port + 50
        with pytest.raises(UserError, match=rf"port taken in port={port}"):
            choose_port(str(port), 5000)
    for wrong in ("80", "70000", "x", "-1"):
        with pytest.raises(UserError, match=rf"no port in port={wrong}"):
            choose_port(wrong, 5000)
