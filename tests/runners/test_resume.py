"""A job that goes on from a checkpoint ends with the numbers of one that never stopped."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.registry import init_default_scope

from runners.checkpoints import load_checkpoint, save_checkpoint
from runners.contract.checkpoint_files import StateFile, find_resume_point, write_digests
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, AttemptSpec, read_metrics
from runners.contract.states import AttemptOutcome, FailureKind
from runners.stopping import StopRequest, StopTraining
from runners.train_job import train_job
from tests.runners.conftest import JobMaker
from tests.runners.test_checkpoints import Canary
from tests.runners.warm_server import WarmServer, new_attempt, wait_until

pytestmark = pytest.mark.train

# 4 images are one optimizer step, as 4 forward passes: 16 iterations an epoch.
SINGLY = {"batch_per_step": 1, "accumulation": 4}
N_ITERATIONS = 16
# 6 iterations an epoch: the first ends in the middle of an optimizer step.
UNEVEN = {"batch_per_step": 3, "accumulation": 4}
UNEVEN_ITERATIONS = 6


def steps_of(*attempts: AttemptFolder) -> dict[tuple[int, str], float]:
    """Return what a job recorded, each step as the last attempt that trained it has it."""
    records = (record for attempt in attempts for record, _ in read_metrics(attempt))
    return {(record.step, name): value for record in records for name, value in record.values.items()}


def epochs_of(attempt: AttemptFolder) -> set[int]:
    return {step for step, name in steps_of(attempt) if name == "train/loss"}


def outcome_of(result: AttemptResult) -> dict[str, object]:
    """Return everything in a result that must not depend on stops: all but the costs in time and of the process."""
    metrics = {name: value for name, value in result.metrics.items() if not name.endswith(("_s", "per_s", "host_gb"))}
    return {"metrics": metrics, "best_epoch": result.best_epoch, "notes": result.notes}


def assert_same_end(
    whole: tuple[AttemptFolder, AttemptResult], resumed: tuple[AttemptFolder, AttemptResult], *earlier: AttemptFolder
) -> None:
    """Compare final numbers, every step's numbers, best weights and detections, all exactly."""
    (attempt, result), (again, result_again) = whole, resumed
    assert result_again.outcome is AttemptOutcome.COMPLETED, result_again
    assert {"best/val/bbox_mAP", "train/bbox_mAP_50", "test/bbox_mAP"} <= set(result.metrics)
    assert outcome_of(result_again) == outcome_of(result)
    assert steps_of(*earlier, again) == steps_of(attempt)
    weights = [
        load_checkpoint(folder.job.path / str(end.checkpoint), "cpu")["state_dict"] for folder, end in (whole, resumed)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    for name in ("val_best", "val_last", "test"):
        detections = [
            json.loads((folder.job.predictions / f"a{folder.number}_{name}.json").read_text())
            for folder in (attempt, again)
        ]
        assert detections[0] == detections[1], name


def test_stop_by_term_within_an_epoch_changes_no_number(server: WarmServer, make_job: JobMaker) -> None:
    whole = server.run(make_job("n_epochs=3"), **SINGLY)
    job = make_job("n_epochs=3")
    stopped = new_attempt(job, **SINGLY)
    server.start(stopped)
    wait_until(lambda: (20, "iter/loss") in steps_of(stopped))
    server.send(op="terminate", attempt=str(stopped.path))
    assert server.event("exited", stopped)["returncode"] == 3
    result = AttemptResult.read(stopped)
    assert result is not None
    assert result.outcome is AttemptOutcome.INTERRUPTED

    point = find_resume_point(job)
    assert point.state is not None
    assert point.state.n_epochs_done == 1
    assert N_ITERATIONS < (point.state.iteration or 0) < 2 * N_ITERATIONS
    resumed = server.run(job, **SINGLY, n_workers=2, resume=point.spec_value)
    assert epochs_of(resumed[0]) == {2, 3}
    assert_same_end(whole, resumed, stopped)
    assert [path.name for path in job.checkpoints.iterdir()] == ["a2_best.pth"]


def test_kill_after_an_epoch_changes_no_number(server: WarmServer, make_job: JobMaker) -> None:
    whole = server.run(make_job("n_epochs=3"), **SINGLY)
    job = make_job("n_epochs=3")
    killed = new_attempt(job, **SINGLY)
    pid = server.start(killed)
    wait_until(lambda: (20, "iter/loss") in steps_of(killed))
    os.kill(pid, signal.SIGKILL)
    assert server.event("exited", killed)["returncode"] == -signal.SIGKILL
    assert AttemptResult.read(killed) is None

    point = find_resume_point(job)
    assert point.spec_value == "checkpoints/a1_epoch_1.pth"
    resumed = server.run(job, **SINGLY, resume=point.spec_value)
    assert epochs_of(resumed[0]) == {2, 3}
    assert_same_end(whole, resumed, killed)
    assert [path.name for path in job.checkpoints.iterdir()] == ["a2_best.pth"]


class StopAt(StopRequest):
    """A request to save and stop that comes at an exact moment: the n-th time that training asks."""

    def __init__(self, folder: AttemptFolder, ask: int) -> None:
        super().__init__(folder)
        self._n_asked = 0
        self._ask = ask

    def raise_if_asked(self) -> None:
        self._n_asked += 1
        if self._n_asked == self._ask:
            raise StopTraining("interrupt")


def train_here(job: JobFolder, stop_at: int, resume: str | None) -> tuple[AttemptFolder, AttemptResult]:
    init_default_scope("mmdet")
    attempt = new_attempt(job, **UNEVEN, resume=resume)
    stop = StopAt(attempt, stop_at)
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    return attempt, train_job(attempt, config, AttemptSpec.read(attempt), stop, 0.0)


def test_stop_at_any_moment_changes_no_number(make_job: JobMaker) -> None:
    """Stopped again and again: in an epoch, in a validation, within an optimizer step, in the final evaluations."""
    overrides = ("n_epochs=2", "optimizer=adamw", "augment=photometric")
    attempt, result = train_here(make_job(*overrides), 0, None)
    job = make_job(*overrides)
    earlier: list[AttemptFolder] = []
    names = []
    # Asked for before iterations 0, 4 and 8, and before each of val's 8 images.
    for ask in (2, 2, 3, 9, 3, 11):
        stopped, end = train_here(job, ask, find_resume_point(job).spec_value)
        assert end.outcome is AttemptOutcome.INTERRUPTED
        earlier.append(stopped)
        state = find_resume_point(job).state
        assert state is not None
        names.append(state.name)
        # Epoch 1 ends with its sixth iteration, half-way through the second optimizer step.
        assert bool(load_checkpoint(state.path, "cpu")["gradients"]) is (state.iteration == UNEVEN_ITERATIONS)
    assert names == [
        "a1_epoch_0_iter_4.pth",
        "a2_epoch_0_iter_6.pth",  # in epoch 1's validation
        "a3_epoch_0_iter_6.pth",  # there again
        "a4_epoch_1_iter_8.pth",
        "a5_epoch_1_iter_12.pth",
        "a6_epoch_2.pth",  # in the final evaluations
    ]
    again, result_again = train_here(job, 0, find_resume_point(job).spec_value)
    assert epochs_of(again) == set()
    assert_same_end((attempt, result), (again, result_again), *earlier)


def test_end_of_training_is_not_trained_again(server: WarmServer, make_job: JobMaker) -> None:
    """Killed between its last epoch and its result, a job evaluates and is done."""
    job = make_job("n_epochs=2")
    first, result = train_here(job, 0, None)  # the clean-up that follows a written result does not come
    best = torch.load(job.path / str(result.checkpoint), weights_only=True)["state_dict"]
    point = find_resume_point(job)
    assert point.spec_value == "checkpoints/a1_epoch_2.pth"
    again, result_again = server.run(job, **UNEVEN, resume=point.spec_value)
    assert steps_of(again) == {}
    assert outcome_of(result_again) == outcome_of(result)
    assert result_again.metrics["cost/images_per_s"] == result.metrics["cost/images_per_s"]
    best_again = load_checkpoint(job.checkpoints / "a2_best.pth", "cpu")["state_dict"]
    assert all(torch.equal(best[name], best_again[name]) for name in best)
    for name in ("val_best", "val_last", "test"):
        files = [job.predictions / f"a{attempt.number}_{name}.json" for attempt in (first, again)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_hostile_checkpoint_is_refused_and_does_nothing(server: WarmServer, make_job: JobMaker, tmp_path: Path) -> None:
    """Weights as they should be, a digest that fits, and in the description a call."""
    job = make_job()
    job.checkpoints.mkdir()
    path, canary = job.checkpoints / "a1_epoch_1.pth", tmp_path / "canary"
    digest = save_checkpoint(path, {"state_dict": {"w": torch.zeros(3)}, "meta": {"config": Canary(canary)}})
    write_digests(path, {path.name: digest})
    _, result = server.run(job, resume="checkpoints/a1_epoch_1.pth")
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    assert result.failure.message.startswith("unsafe checkpoint in resume: checkpoints/a1_epoch_1.pth")
    assert not canary.exists()


@pytest.mark.parametrize(
    "resume", ["checkpoints/a1_epoch_7.pth", "checkpoints/a1_best.pth", "../a1_epoch_1.pth", "/tmp/a1_epoch_1.pth"]
)
def test_resume_must_name_a_state_of_the_job(server: WarmServer, make_job: JobMaker, resume: str) -> None:
    _, result = server.run(make_job(), resume=resume)
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    assert f"in resume: {resume}" in result.failure.message


def test_torn_last_state_costs_one_epoch_and_no_number(make_job: JobMaker) -> None:
    job = make_job("n_epochs=3")
    _, whole = train_here(job, 0, None)
    states = {path.name for path in job.checkpoints.glob("*.pth") if StateFile.named(path)}
    assert states == {"a1_epoch_2.pth", "a1_epoch_3.pth"}
    (job.checkpoints / "a1_epoch_3.pth").write_bytes(b"torn")
    point = find_resume_point(job)
    assert point.spec_value == "checkpoints/a1_epoch_2.pth"
    assert point.passed_over == ("a1_epoch_3.pth",)
    _, again = train_here(job, 0, point.spec_value)
    assert outcome_of(again) == outcome_of(whole)
