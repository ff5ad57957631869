"""The local executor against its real server, with real processes and real signals."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from sweeper.executors.base import ExecutorEvent, Exited, Started
from sweeper.executors.local import MAX_RESTARTS, LocalExecutor, ServerGoneError

LIMIT_S = 120.0


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    started = LocalExecutor(tmp_path_factory.mktemp("executor") / "server.log")
    yield started
    started.close()


def attempt_without_config(tmp_path: Path) -> AttemptFolder:
    """An attempt that starts, and fails as soon as it looks for its config."""
    job = JobFolder(tmp_path / "0001")
    job.path.mkdir(exist_ok=True)
    attempt = job.take_attempt()
    AttemptSpec(attempt.number, "cpu", 1, 0, 4, 1).write(attempt)
    return attempt


def wait_for(executor: LocalExecutor, kind: type[ExecutorEvent]) -> ExecutorEvent:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for event in executor.wait(1.0):
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} within {LIMIT_S} s")


def test_an_attempt_is_told_started_and_exited_and_leaves_its_result(executor: LocalExecutor, tmp_path: Path) -> None:
    attempt = attempt_without_config(tmp_path)
    executor.start(attempt, {"CUDA_VISIBLE_DEVICES": ""})
    started = wait_for(executor, Started)
    assert isinstance(started, Started)
    assert started.attempt == attempt
    exited = wait_for(executor, Exited)
    assert exited == Exited(attempt, 1)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.FAILED
    assert attempt.log.stat().st_size > 0


def test_a_start_without_a_spec_is_an_exit_with_the_reason(executor: LocalExecutor, tmp_path: Path) -> None:
    attempt = attempt_without_config(tmp_path)
    attempt.spec.unlink()
    executor.start(attempt, {})
    exited = wait_for(executor, Exited)
    assert isinstance(exited, Exited)
    assert "not started" in exited.message


def newest_child(before: list[psutil.Process]) -> psutil.Process:
    (server,) = (child for child in psutil.Process().children() if child not in before)
    return server


def test_a_killed_server_takes_its_jobs_along_and_is_replaced(tmp_path: Path) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log")
    first = newest_child(before)
    lost = attempt_without_config(tmp_path)
    executor.start(lost, {})
    os.kill(first.pid, signal.SIGKILL)
    assert wait_for(executor, Exited) == Exited(lost, -9, "the warm server ended with status -9")
    assert newest_child(before) != first
    following = attempt_without_config(tmp_path)
    executor.start(following, {})
    assert wait_for(executor, Exited) == Exited(following, 1)
    executor.close()


def test_a_server_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log")
    for _ in range(MAX_RESTARTS):
        os.kill(newest_child(before).pid, signal.SIGKILL)
        assert executor.wait(LIMIT_S) == []
    os.kill(newest_child(before).pid, signal.SIGKILL)
    with pytest.raises(ServerGoneError, match=r"status -9, after 3 restarts.*server\.log"):
        executor.wait(LIMIT_S)
    assert psutil.Process().children() == before


def test_closing_before_anything_was_started_does_not_wait_for_imports(tmp_path: Path) -> None:
    before = psutil.Process().children()
    executor = LocalExecutor(tmp_path / "server.log")
    server = newest_child(before)
    executor.close()
    assert not server.is_running()
    assert (tmp_path / "server.log").read_bytes() == b""
