"""The local executor against its real server, with real processes, signals and locks, and a job that takes a moment."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from sweeper.executors.base import ExecutorEvent, Exited, Started
from sweeper.executors.local import MAX_RESTARTS, LocalExecutor, ServerGoneError
from sweeper.stored.processes import birth_of, is_alive
from tests.quick_job import Fault, Play

LIMIT_S = 60.0
ENTRY = "tests.quick_job"
LONG = Play(n_iterations=100_000).environment()


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    started = LocalExecutor(tmp_path / "server.log", ENTRY)
    yield started
    started.close()


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "nvidia0", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def is_free(path: Path) -> bool:
    with path.open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def new_attempt(tmp_path: Path, job_id: str = "0001") -> AttemptFolder:
    job = JobFolder(tmp_path / job_id)
    if not job.path.exists():
        job.checkpoints.mkdir(parents=True)
        job.config.write_text(yaml.safe_dump({"seed": 0, "n_epochs": 1, "batch_size": 4}))
    attempt = job.take_attempt()
    AttemptSpec(attempt.number, "cpu", 1, 0, 4, 1).write(attempt)
    return attempt


def wait_for(executor: LocalExecutor, kind: type[ExecutorEvent], attempt: AttemptFolder) -> ExecutorEvent:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for event in executor.wait(1.0):
            if isinstance(event, kind) and event.attempt == attempt:
                return event
    raise AssertionError(f"no {kind.__name__} within {LIMIT_S} s")


def pid_of(executor: LocalExecutor, attempt: AttemptFolder) -> int:
    started = wait_for(executor, Started, attempt)
    assert isinstance(started, Started)
    deadline = time.monotonic() + LIMIT_S
    while not attempt.metrics.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started.pid


def newest_child(before: list[psutil.Process]) -> psutil.Process:
    (server,) = (child for child in psutil.Process().children() if child not in before)
    return server


def test_an_attempt_is_told_started_and_exited_and_leaves_its_result(executor: LocalExecutor, tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path)
    executor.start(attempt, {"CUDA_VISIBLE_DEVICES": ""})
    started = wait_for(executor, Started, attempt)
    assert isinstance(started, Started)
    assert wait_for(executor, Exited, attempt) == Exited(attempt, 0)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.COMPLETED


def test_a_start_without_a_spec_is_an_exit_with_the_reason(executor: LocalExecutor, tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path)
    attempt.spec.unlink()
    executor.start(attempt, {})
    exited = wait_for(executor, Exited, attempt)
    assert isinstance(exited, Exited)
    assert "not started" in exited.message


def test_an_attempt_is_stopped_dumped_and_killed(executor: LocalExecutor, tmp_path: Path) -> None:
    stopped, killed = new_attempt(tmp_path, "0001"), new_attempt(tmp_path, "0002")
    for attempt in (stopped, killed):
        executor.start(attempt, LONG)
        pid_of(executor, attempt)
    executor.terminate(stopped)
    assert wait_for(executor, Exited, stopped) == Exited(stopped, 3)
    executor.dump(killed)
    deadline = time.monotonic() + LIMIT_S
    while "most recent call first" not in killed.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    executor.kill(killed)
    assert wait_for(executor, Exited, killed) == Exited(killed, -signal.SIGKILL)


def test_a_lease_is_held_by_its_jobs_and_free_with_the_last_of_them(tmp_path: Path) -> None:
    executor = LocalExecutor(tmp_path / "server.log", ENTRY)
    node = tmp_path / "nvidia0"
    descriptor = os.open(node, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    executor.hold("nvidia0", descriptor)
    holder, other = new_attempt(tmp_path, "0001"), new_attempt(tmp_path, "0002")
    executor.start(holder, LONG, ["nvidia0"])
    executor.start(other, LONG)
    pids = [pid_of(executor, attempt) for attempt in (holder, other)]
    executor.release("nvidia0")
    os.close(descriptor)
    assert not is_free(node)
    executor.terminate(holder)
    wait_for(executor, Exited, holder)
    assert is_free(node)
    assert [is_alive(pid, birth_of(pid)) for pid in pids] == [False, True]
    executor.close()


def test_a_killed_server_takes_its_jobs_along_and_the_next_has_its_leases(tmp_path: Path, lease: int) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log", ENTRY)
    executor.hold("nvidia0", lease)
    first = newest_child(before)
    lost = new_attempt(tmp_path)
    executor.start(lost, LONG, ["nvidia0"])
    pid = pid_of(executor, lost)
    born_at = birth_of(pid)
    os.kill(first.pid, signal.SIGKILL)
    told = Exited(lost, -9, "the warm server ended with status -9", is_own_fault=False)
    assert wait_for(executor, Exited, lost) == told
    assert not is_alive(pid, born_at)  # before anybody could start its successor
    assert newest_child(before) != first
    following = new_attempt(tmp_path)
    executor.start(following, LONG, ["nvidia0"])
    pid = pid_of(executor, following)
    assert str(tmp_path / "nvidia0") in {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    executor.close()
    assert not is_alive(pid, birth_of(pid))


def test_a_lease_that_was_let_go_of_is_not_handed_to_the_next_server(tmp_path: Path, lease: int) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log", ENTRY)
    executor.hold("nvidia0", lease)
    executor.release("nvidia0")
    os.kill(newest_child(before).pid, signal.SIGKILL)
    assert executor.wait(LIMIT_S) == []
    attempt = new_attempt(tmp_path)
    executor.start(attempt, {}, ["nvidia0"])
    with pytest.raises(RuntimeError, match="no such lease: nvidia0"):
        wait_for(executor, Exited, attempt)
    executor.close()


def test_an_orphan_that_ignores_term_is_gone_before_its_job_is_told_as_gone(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    attempt = new_attempt(tmp_path)
    executor.start(attempt, Play(faults=(Fault("orphan"),)).environment())
    assert wait_for(executor, Exited, attempt) == Exited(attempt, -signal.SIGKILL)
    orphan = int((attempt.job.path / "orphan").read_text())
    assert not is_alive(orphan, birth_of(orphan))


def test_nothing_outlives_the_executor(tmp_path: Path) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log", ENTRY)
    attempt = new_attempt(tmp_path)
    executor.start(attempt, LONG)
    pid = pid_of(executor, attempt)
    born_at = birth_of(pid)
    executor.close()
    assert not is_alive(pid, born_at)
    assert psutil.Process().children() == before
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.INTERRUPTED


def test_a_server_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log", ENTRY)
    for _ in range(MAX_RESTARTS):
        os.kill(newest_child(before).pid, signal.SIGKILL)
        assert executor.wait(LIMIT_S) == []
    os.kill(newest_child(before).pid, signal.SIGKILL)
    with pytest.raises(ServerGoneError, match=r"status -9, after 3 restarts.*server\.log"):
        executor.wait(LIMIT_S)
    assert psutil.Process().children() == before


def test_closing_before_anything_was_started_does_not_wait_for_imports(tmp_path: Path) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log")  # the real one, which imports for ten seconds
    server = newest_child(before)
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 5
    assert not server.is_running()
    assert (tmp_path / "server.log").read_bytes() == b""
