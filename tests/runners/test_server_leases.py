"""Leases, stacks, groups and the end of the warm server: real processes, and a job that imports nothing heavy."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from tests.quick_job import Fault, Play
from tests.runners.warm_server import ROOT, WarmServer, new_attempt, wait_until

LONG = Play(n_iterations=100_000).environment()


@pytest.fixture
def server() -> Iterator[WarmServer]:
    server = WarmServer("--entry", "tests.quick_job", has_socket=True)
    server.event("ready")
    yield server
    if server.process.poll() is None:
        server.close()


class Lease:
    """A locked file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        os.close(self.descriptor)

    @property
    def is_free(self) -> bool:
        with self.path.open() as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def is_open_in(self, pid: int) -> bool:
        return str(self.path) in {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def make_attempt(path: Path) -> AttemptFolder:
    job = JobFolder(path)
    job.checkpoints.mkdir(parents=True)
    job.config.write_text(yaml.safe_dump({"seed": 0, "n_epochs": 3, "batch_size": 4}), encoding="utf-8")
    return new_attempt(job)


def has_stepped(attempt: AttemptFolder) -> bool:
    return attempt.metrics.exists() and "iter/loss" in attempt.metrics.read_text()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_lease_is_held_by_the_jobs_it_was_given_to_and_free_as_soon_as_they_are_gone(
    server: WarmServer, tmp_path: Path
) -> None:
    leases = {name: Lease(tmp_path / name) for name in ("first", "second")}
    for name, lease in leases.items():
        server.hold(name, lease.descriptor)
    ones = {name: make_attempt(tmp_path / f"job of {name}") for name in leases}
    pids = {name: server.start(attempt, leases=[name], **LONG) for name, attempt in ones.items()}
    wait_until(lambda: all(map(has_stepped, ones.values())))
    assert all(lease.is_open_in(server.process.pid) for lease in leases.values())
    assert [[lease.is_open_in(pid) for lease in leases.values()] for pid in pids.values()] == [
        [True, False],
        [False, True],
    ]
    for name, lease in leases.items():
        lease.close()
        server.send(op="release", lease=name)
    wait_until(lambda: not leases["first"].is_open_in(server.process.pid))
    assert not leases["first"].is_free  # its job holds it
    server.send(op="kill", attempt=str(ones["first"].path))
    server.event("exited", ones["first"])
    assert leases["first"].is_free
    assert not leases["second"].is_free
    assert is_alive(pids["second"])
    server.send(op="terminate", attempt=str(ones["second"].path))
    server.event("exited", ones["second"])
    assert leases["second"].is_free


def test_a_lease_that_was_released_can_be_held_again(server: WarmServer, tmp_path: Path) -> None:
    for number in range(3):
        lease = Lease(tmp_path / "device")
        server.hold("device", lease.descriptor)
        attempt = make_attempt(tmp_path / f"{number}")
        server.start(attempt, leases=["device"])
        lease.close()
        server.send(op="release", lease="device")
        assert server.event("exited", attempt)["returncode"] == 0
        assert lease.is_free


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"op": "hold", "lease": "device"}, "IndexError"),
        ({"op": "release", "lease": "device"}, "KeyError"),
        ({"op": "start", "leases": ["device"]}, "no such lease: device"),
    ],
)
def test_a_lease_that_is_not_there_is_refused_and_the_server_goes_on(
    server: WarmServer, tmp_path: Path, request_: dict[str, object], told: str
) -> None:
    attempt = make_attempt(tmp_path / "0001")
    server.send(**{"attempt": str(attempt.path), **request_})
    assert told in server.event("refused")["message"]
    server.start(attempt)
    assert server.event("exited", attempt)["returncode"] == 0


def test_a_job_that_hangs_writes_its_stacks_and_lives_on(server: WarmServer, tmp_path: Path) -> None:
    attempt = make_attempt(tmp_path / "0001")
    pid = server.start(attempt, **Play(faults=(Fault("hang", iteration=2),)).environment())
    wait_until(lambda: "breaking: hang" in (attempt.log.read_text() if attempt.log.exists() else ""))
    wait_until(lambda: (attempt.job.path / "heartbeat").exists())
    server.send(op="dump", attempt=str(attempt.path))
    wait_until(lambda: "in _hang" in attempt.log.read_text())
    assert attempt.log.read_text().count("Thread 0x") + attempt.log.read_text().count("Current thread 0x") >= 2
    assert is_alive(pid)
    server.send(op="kill", attempt=str(attempt.path))
    assert server.event("exited", attempt)["returncode"] == -signal.SIGKILL
    server.send(op="dump", attempt=str(attempt.path))  # of one that is gone: nothing
    assert server.run(JobFolder(attempt.job.path))[1].failure is None


def test_nothing_of_a_jobs_group_is_left_when_its_end_is_told(server: WarmServer, tmp_path: Path) -> None:
    lease = Lease(tmp_path / "device")
    server.hold("device", lease.descriptor)
    lease.close()
    attempt = make_attempt(tmp_path / "0001")
    server.start(attempt, leases=["device"], **Play(faults=(Fault("orphan"),)).environment())
    server.send(op="release", lease="device")
    assert server.event("exited", attempt)["returncode"] == -signal.SIGKILL
    orphan = int((attempt.job.path / "orphan").read_text())
    assert not is_alive(orphan)
    assert lease.is_free


def test_a_killed_server_takes_jobs_and_leases_along(server: WarmServer, tmp_path: Path) -> None:
    lease = Lease(tmp_path / "device")
    server.hold("device", lease.descriptor)
    lease.close()
    attempt = make_attempt(tmp_path / "0001")
    pid = server.start(attempt, leases=["device"], **LONG)
    wait_until(lambda: has_stepped(attempt))
    assert not lease.is_free
    server.process.kill()
    wait_until(lambda: not is_alive(pid), timeout_s=5)
    wait_until(lambda: lease.is_free, timeout_s=5)


def test_end_of_input_ends_jobs_in_good_order(server: WarmServer, tmp_path: Path) -> None:
    attempt = make_attempt(tmp_path / "0001")
    pid = server.start(attempt, **LONG)
    wait_until(lambda: has_stepped(attempt))
    assert server.close() == 0
    assert not is_alive(pid)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.INTERRUPTED


def test_a_job_that_answers_no_term_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    server = WarmServer("--entry", "tests.quick_job", "--grace-s", "1")
    attempt = make_attempt(tmp_path / "0001")
    pid = server.start(attempt, **LONG)
    wait_until(lambda: has_stepped(attempt))
    os.kill(pid, signal.SIGSTOP)  # a stopped process answers no TERM
    started = time.monotonic()
    assert server.close() == 0
    assert 1 <= time.monotonic() - started < 5
    assert not is_alive(pid)
    assert AttemptResult.read(attempt) is None


def test_descriptors_cannot_come_over_a_pipe() -> None:
    server = WarmServer("--entry", "tests.quick_job")
    server.event("ready")
    server.send(op="hold", lease="device")
    assert "IndexError" in server.event("refused")["message"]
    assert server.close() == 0


def test_an_entry_that_is_not_there_ends_the_server() -> None:
    server = WarmServer("--entry", "tests.no_such_job")
    assert server.process.wait(20) == 1
    assert server.process.stderr is not None
    assert b"No module named 'tests.no_such_job'" in server.process.stderr.read()


# Starts a server that takes its time to import, asks it for a job, and is gone before it has read that.
CONTROLLER = """
import json, os, subprocess, sys
events = open(sys.argv[2], "wb")
command = [sys.executable, "-m", "runners.server", "--entry", "slow_job", "--controller-pid", str(os.getpid())]
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=events, start_new_session=True)
server.stdin.write(json.dumps({"op": "start", "attempt": sys.argv[1]}).encode() + b"\\n")
server.stdin.flush()
print(server.pid, flush=True)
os._exit(0)
"""
SLOW_JOB = "import time\nfrom tests.quick_job import run_attempt\ntime.sleep(1.0)\n"


def test_nothing_is_started_for_a_controller_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "slow_job.py").write_text(SLOW_JOB)
    attempt, events = make_attempt(tmp_path / "0001"), tmp_path / "events"
    ran = subprocess.run(
        [sys.executable, "-c", CONTROLLER, str(attempt.path), str(events)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    pid = int(ran.stdout)
    wait_until(lambda: not is_alive(pid), timeout_s=20)
    assert "not started: the controller is gone" in events.read_text()
    assert not attempt.log.exists()
    assert AttemptResult.read(attempt) is None
