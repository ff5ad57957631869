"""The quick job keeps the contract of a training job, or the fault tests that run it would show nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runners.contract.checkpoint_files import all_states, find_resume_point
from runners.contract.digest import sha256_of
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.states import AttemptOutcome, FailureKind
from tests.quick_job import Fault, Play
from tests.runners.warm_server import WarmServer, new_attempt, wait_until

UNDISTURBED = Play()


@pytest.fixture(scope="module")
def server() -> Iterator[WarmServer]:
    server = WarmServer("--entry", "tests.quick_job")
    yield server
    server.close()


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return make_job(tmp_path / "0001")


def make_job(path: Path, seed: int = 0) -> JobFolder:
    job = JobFolder(path)
    job.checkpoints.mkdir(parents=True)
    job.config.write_text(yaml.safe_dump({"seed": seed, "n_epochs": 3, "batch_size": 4}), encoding="utf-8")
    return job


def execute(server: WarmServer, job: JobFolder, play: Play = UNDISTURBED, **spec: object) -> tuple[AttemptFolder, int]:
    attempt = new_attempt(job, **spec)
    server.start(attempt, **play.environment())
    return attempt, int(server.event("exited", attempt)["returncode"])


def numbers(attempt: AttemptFolder) -> dict[str, float]:
    result = AttemptResult.read(attempt)
    assert result is not None
    return {name: value for name, value in result.metrics.items() if not name.startswith("cost/")}


def test_a_job_that_completes_leaves_what_training_leaves(server: WarmServer, job: JobFolder) -> None:
    attempt, returncode = execute(server, job)
    assert returncode == 0
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.COMPLETED
    assert result.checkpoint == "checkpoints/a1_best.pth"
    assert sha256_of(job.path / result.checkpoint) == result.checkpoint_sha256
    assert [path.name for path in job.checkpoints.iterdir()] == ["a1_best.pth"]
    steps = [record.step for record, _ in read_metrics(attempt) if "val/bbox_mAP_50" in record.values]
    assert steps == [1, 2, 3]


def test_numbers_depend_on_the_seed(server: WarmServer, job: JobFolder, tmp_path: Path) -> None:
    first, _ = execute(server, job)
    second, _ = execute(server, make_job(tmp_path / "0002", seed=1))
    assert numbers(first) != numbers(second)


@pytest.mark.parametrize("iteration", [2, 4, 7])
def test_a_job_that_is_interrupted_goes_on_to_the_same_numbers(
    server: WarmServer, job: JobFolder, tmp_path: Path, iteration: int
) -> None:
    whole, _ = execute(server, make_job(tmp_path / "whole"))
    attempt = new_attempt(job)
    server.start(attempt, **Play(iteration_s=0.15).environment())
    wait_until(lambda: f'"step":{iteration},' in (attempt.metrics.read_text() if attempt.metrics.exists() else ""))
    server.send(op="terminate", attempt=str(attempt.path))
    assert server.event("exited", attempt)["returncode"] == 3
    point = find_resume_point(job)
    assert point.state is not None
    assert point.passed_over == ()
    again, returncode = execute(server, job, resume=point.spec_value)
    assert returncode == 0
    assert numbers(again) == numbers(whole)


def test_a_killed_job_leaves_its_two_newest_states(server: WarmServer, job: JobFolder) -> None:
    _, returncode = execute(server, job, Play(faults=(Fault("kill", iteration=12),)))
    assert returncode == -9
    assert [state.name for state in all_states(job)] == ["a1_epoch_2.pth", "a1_epoch_1.pth"]
    assert find_resume_point(job).spec_value == "checkpoints/a1_epoch_2.pth"


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("raise", FailureKind.BUG),
        ("diverged", FailureKind.DIVERGED),
        ("oom", FailureKind.OOM),
        ("device", FailureKind.DEVICE),
    ],
)
def test_faults_that_a_job_can_tell_are_told(server: WarmServer, job: JobFolder, what: str, kind: FailureKind) -> None:
    attempt, returncode = execute(server, job, Play(faults=(Fault(what, iteration=2),)))
    result = AttemptResult.read(attempt)
    assert returncode == 1
    assert result is not None
    assert result.failure is not None
    assert result.failure.kind is kind


@pytest.mark.parametrize(("what", "returncode"), [("segfault", -11), ("abort", -6), ("kill", -9), ("quit", 5)])
def test_faults_that_a_job_cannot_tell_leave_no_result(
    server: WarmServer, job: JobFolder, what: str, returncode: int
) -> None:
    attempt, found = execute(server, job, Play(faults=(Fault(what),)))
    assert (found, AttemptResult.read(attempt)) == (returncode, None)


def test_a_fault_is_for_the_job_attempt_and_batch_that_it_names(server: WarmServer, job: JobFolder) -> None:
    elsewhere = (Fault("kill", job="0002"), Fault("kill", attempts=(2,)), Fault("oom", above_batch=4))
    assert execute(server, job, Play(faults=elsewhere))[1] == 0
    assert execute(server, job, Play(faults=elsewhere))[1] == -9
