"""A controller in the background: it tells its terminal what is wrong, or that it has begun, and outlives it."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.contract.folder import SweepFolder
from sweeper.stored.journal import read_journal
from sweeper.stored.ownership import is_owned
from tests.quick_job import Play

ROOT = Path(__file__).parents[3]
DETSWEEP = Path(sys.executable).with_name("detsweep")
QUICK = [
    *("dataset=shapes", "dataset.shapes.n_train=8", "dataset.shapes.n_val=4", "dataset.shapes.n_test=4"),
    *("batch_size=4", "backbone=resnet18", "width=narrow", "weights=none", "image_size=96px"),
    *("entry=tests.quick_job", "tracking=off", "gpus=none"),
]

# What a controller does around `notify_started`, without a sweep.
CONTROLLER = """
import sys, time
from pathlib import Path
from runners.contract.folder import SweepFolder
from sweeper.verbs.detach import notify_started, run_detached

def run():
    print("planning")
    print("a warning", file=sys.stderr)
    {before}
    notify_started(SweepFolder(Path({folder!r})))
    {after}
    print("done, in", __import__("os").getsid(0) == __import__("os").getpid(), sys.stdin.read(), file=sys.stderr)
    return 3

print("exit", run_detached(run))
"""


def wait_until(is_so: Callable[[], Any], limit_s: float = 30.0) -> Any:
    deadline = time.monotonic() + limit_s
    while not (found := is_so()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def controller(folder: Path, before: str = "pass", after: str = "pass") -> subprocess.CompletedProcess[str]:
    code = CONTROLLER.format(folder=str(folder), before=before, after=after)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_terminal_is_told_when_the_sweep_has_begun_and_the_rest_goes_into_its_log(tmp_path: Path) -> None:
    shown = controller(tmp_path, after="time.sleep(0.5)")
    lines = shown.stdout.splitlines()
    assert lines[0] == "planning"
    assert lines[1].startswith(f"sweep {tmp_path} runs in the background (process ")
    assert f"  detsweep attach {tmp_path}" in lines[2]
    assert lines[-1] == "exit 0"
    assert shown.stderr == "a warning\n"
    log = tmp_path / "controller.log"
    wait_until(lambda: "done" in log.read_text())
    assert log.read_text() == "planning\na warning\ndone, in True \n"


@pytest.mark.parametrize(
    ("before", "exit_code", "told"),
    [
        ("return 2", 2, ""),
        ("raise ValueError('a fault of ours')", 1, "ValueError: a fault of ours"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", 137, ""),
    ],
)
def test_what_ends_before_it_has_begun_is_told_with_its_exit_code(
    before: str, exit_code: int, told: str, tmp_path: Path
) -> None:
    shown = controller(tmp_path, before)
    assert shown.stdout.splitlines()[-1] == f"exit {exit_code}"
    assert told in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_it_plans_ends_the_background_too(tmp_path: Path) -> None:
    code = CONTROLLER.format(folder=str(tmp_path), before="time.sleep(60)", after="pass")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "planning\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == "exit 130\n"
    assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_mistakes_of_the_command_line_come_to_the_terminal(tmp_path: Path) -> None:
    shown = subprocess.run([DETSWEEP, "train", "--detach", "neck=fpm"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith("error: ")
    assert not list(tmp_path.glob("outputs/*/sweep.yaml"))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """A shell in a terminal of its own; closing the terminal hangs it up."""
    shells = []

    def open_terminal(command: str, **environment: str) -> int:
        pid, descriptor = pty.fork()
        if pid == 0:
            os.chdir(tmp_path)
            os.execvpe("bash", ["bash", "--norc", "-c", command], {**os.environ, **environment})
        shells.append(pid)
        return descriptor

    yield open_terminal
    for pid in shells:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_detached_sweep_outlives_its_terminal_and_another_stops_or_watches_it(
    tmp_path: Path, terminal: Callable[..., int]
) -> None:
    words = " ".join([str(DETSWEEP), "train", "--detach", *QUICK, "seed=0,1"])
    # The shell stays open behind it, as a person's would.
    descriptor = terminal(f"{words}; echo exit $?; sleep 600", **Play(iteration_s=0.02).environment())
    seen = b""
    while b"exit 0" not in seen:
        seen += os.read(descriptor, 4096)
    folder = SweepFolder(next(tmp_path.glob("outputs/*/sweep.yaml")).parent)
    assert f"sweep {folder.path} runs in the background" in " ".join(seen.decode().split())
    assert is_owned(folder.journal)
    os.close(descriptor)
    watched = subprocess.run([DETSWEEP, "attach"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert watched.returncode == 0, watched.stderr
    assert "2 of 2 jobs done" in watched.stdout
    wait_until(lambda: not is_owned(folder.journal))
    events = list(read_journal(folder.journal))
    assert [event["state"] for event in events if event["event"] == "ended"] == ["COMPLETED"] * 2
    assert not [event for event in events if event["event"] == "stop_asked"]
    assert "COMPLETED" in (folder.path / "controller.log").read_text()
