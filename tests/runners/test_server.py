"""The warm server with real processes and real signals."""

import fcntl
import json
import os
import signal
import time
from pathlib import Path

import pytest

from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.states import AttemptOutcome
from tests.runners.conftest import JobMaker
from tests.runners.warm_server import WarmServer, new_attempt, wait_until

LONG = "n_epochs=500"


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_trained(attempt: AttemptFolder) -> bool:
    result = AttemptResult.read(attempt)
    assert result is None or result.failure is None, result
    return any(record.values for record, _ in read_metrics(attempt))


def can_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.train
def test_job_starts_warm_in_its_own_session_and_says_how_it_ended(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job())
    pid = server.start(attempt)
    wait_until(lambda: has_trained(attempt))
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").resolve() == attempt.job.path.resolve()
    assert server.event("exited", attempt)["returncode"] == 0
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.COMPLETED
    assert result.metrics["cost/first_iteration_s"] < 8  # a fresh process needs ten seconds for its imports alone


def test_start_without_a_spec_is_reported_as_an_exit(server: WarmServer, tmp_path: Path) -> None:
    server.send(op="start", attempt=str(tmp_path / "nothing"))
    event = server.event("exited")
    assert event["returncode"] == 1
    assert "spec.json" in event["message"]


@pytest.mark.parametrize("line", ["no json", '{"op": "dance", "attempt": "x"}', '{"op": "start"}', "[]"])
def test_senseless_request_is_refused_and_the_server_goes_on(server: WarmServer, line: str) -> None:
    assert server.process.stdin is not None
    server.process.stdin.write(line.encode() + b"\n")
    server.process.stdin.flush()
    assert server.event("refused")["request"] == line


@pytest.mark.train
def test_terminate_right_after_start_is_not_lost(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job(LONG))
    server.send(op="start", attempt=str(attempt.path))
    server.send(op="terminate", attempt=str(attempt.path))
    server.event("started", attempt)
    assert server.event("exited", attempt)["returncode"] == 3
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.INTERRUPTED


@pytest.mark.train
def test_environment_of_the_request_reaches_the_job(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job(), device="cuda")
    server.start(attempt, CUDA_VISIBLE_DEVICES="none-of-them")
    server.event("exited", attempt)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is not None
    assert "CUDA_VISIBLE_DEVICES: none-of-them" in result.failure.message


@pytest.mark.train
def test_terminate_saves_and_kill_does_not(server: WarmServer, make_job: JobMaker) -> None:
    asked, killed = new_attempt(make_job(LONG), n_workers=1), new_attempt(make_job(LONG), n_workers=1)
    pids = [server.start(asked), server.start(killed)]
    wait_until(lambda: has_trained(asked) and has_trained(killed))
    workers = [worker for pid in pids for worker in children_of(pid)]
    server.send(op="terminate", attempt=str(asked.path))
    assert server.event("exited", asked)["returncode"] == 3
    result = AttemptResult.read(asked)
    assert result is not None
    assert result.outcome is AttemptOutcome.INTERRUPTED
    assert list(asked.job.checkpoints.glob("a1_epoch_*.pth"))
    server.send(op="kill", attempt=str(killed.path))
    assert server.event("exited", killed)["returncode"] == -signal.SIGKILL
    assert AttemptResult.read(killed) is None
    wait_until(lambda: not any(is_alive(pid) for pid in [*pids, *workers]), timeout_s=5)


@pytest.mark.train
def test_nothing_outlives_a_killed_server_and_its_lease_is_free(make_job: JobMaker, tmp_path: Path) -> None:
    lease = os.open(tmp_path / "lease", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lease, fcntl.LOCK_EX)
    server = WarmServer(pass_fds=(lease,))
    os.close(lease)
    server.event("ready")
    attempt = new_attempt(make_job(LONG), n_workers=1)
    pid = server.start(attempt)
    wait_until(lambda: has_trained(attempt))
    workers = children_of(pid)
    assert workers
    with (tmp_path / "lease").open() as other:
        assert not can_lock(other.fileno())
        server.process.kill()
        wait_until(lambda: not any(is_alive(process) for process in [pid, *workers]), timeout_s=3)
        wait_until(lambda: can_lock(other.fileno()), timeout_s=3)


@pytest.mark.train
def test_crash_of_the_interpreter_leaves_a_stack_in_the_log(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job(LONG))
    pid = server.start(attempt)
    wait_until(lambda: has_trained(attempt))
    os.kill(pid, signal.SIGUSR1)  # what a watchdog asks for before it kills
    wait_until(lambda: "most recent call first" in attempt.log.read_text())
    os.kill(pid, signal.SIGSEGV)
    assert server.event("exited", attempt)["returncode"] == -signal.SIGSEGV
    assert "Segmentation fault" in attempt.log.read_text()


@pytest.mark.train
def test_files_are_readable_by_their_owner_only(server: WarmServer, make_job: JobMaker) -> None:
    attempt, _ = server.run(make_job(), mode="check")
    modes = {path.name: path.stat().st_mode & 0o077 for path in attempt.path.iterdir() if path.name != "spec.json"}
    assert modes
    assert set(modes.values()) == {0}


def test_events_are_json_lines_with_a_time(server: WarmServer, tmp_path: Path) -> None:
    server.send(op="start", attempt=str(tmp_path))
    event = server.event("exited")
    assert abs(event["at"] - time.time()) < 10
    assert json.loads(json.dumps(event)) == event
