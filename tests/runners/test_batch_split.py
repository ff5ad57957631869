"""A training goes on with another split of its batch: the same optimizer batch, the same learning rates, a note."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR, OptimWrapper
from torch import nn

from runners.batch_split import BatchSplit, first_split, recounted, split_notes
from runners.contract.checkpoint_files import find_resume_point
from runners.contract.states import AttemptOutcome, FailureKind
from runners.hooks.metrics import INTERVAL
from runners.training_state import restore_training, training_state
from tests.runners.conftest import JobMaker
from tests.runners.test_job import metrics_of
from tests.runners.test_resume import train_here
from tests.runners.warm_server import WarmServer, new_attempt

HALF = {"batch_per_step": 2, "accumulation": 2}


@pytest.mark.train
def test_going_on_with_half_the_images_trains_the_same_way(server: WarmServer, make_job: JobMaker) -> None:
    """After epoch 1 of 4, each batch of 4 as 2 x 2."""
    job = make_job("n_epochs=4", "schedule=4e")
    whole = metrics_of(server.run(job, keep="all")[0])
    for epoch in (2, 3, 4):
        (job.checkpoints / f"a1_epoch_{epoch}.pth").unlink()
    point = find_resume_point(job, (2, 2))
    assert point.spec_value == "checkpoints/a1_epoch_1.pth"
    attempt, result = server.run(job, **HALF, resume=point.spec_value)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert result.notes == ["trained from epoch 2 on with 2 x 2 images per optimizer step instead of 4 images"]
    again = metrics_of(attempt)
    rates = [whole[epoch, "train/lr"] for epoch in (2, 3, 4)]
    assert [again[epoch, "train/lr"] for epoch in (2, 3, 4)] == pytest.approx(rates, rel=1e-9)
    assert rates[0] > rates[2]
    assert again[2, "train/loss"] == pytest.approx(whole[2, "train/loss"], rel=0.1)
    # 16 images are 8 passes now.
    assert max(step for step, name in again if name == "iter/loss") == 4 * 8 // INTERVAL * INTERVAL


def test_schedules_move_to_the_same_place_of_training() -> None:
    """In the middle of a warm-up, and after a step by epochs; two groups of parameters with rates of their own."""

    def build(end: int) -> Any:
        model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        groups = [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.3}]
        wrapper = OptimWrapper(torch.optim.SGD(groups, lr=0.1, momentum=0.9))
        schedulers = [
            LinearLR(wrapper, start_factor=0.01, begin=0, end=end, by_epoch=False),
            MultiStepLR(wrapper, milestones=[2], gamma=0.5, by_epoch=True, end=9),
            CosineAnnealingLR(wrapper, T_max=20, begin=0, end=20, by_epoch=True),
        ]
        loop = SimpleNamespace(_epoch=0, _iter=0)
        logger = logging.getLogger(__name__)
        return SimpleNamespace(
            model=model,
            optim_wrapper=wrapper,
            param_schedulers=schedulers,
            train_loop=loop,
            logger=logger,
            epoch=0,
            iter=0,
        )

    def rates_of(runner: Any) -> list[float]:
        return [group["lr"] for group in runner.optim_wrapper.param_groups]

    whole = build(end=40)
    for _ in range(3):
        for _ in range(10):
            whole.param_schedulers[0].step()
        for scheduler in whole.param_schedulers[1:]:
            scheduler.step()
    state = {**training_state(whole), "meta": {"epoch": 3, "iter": 30, "accumulation": 1, "batch_per_step": 4}}
    halved = build(end=80)
    restore_training(halved, recounted(state, BatchSplit(2, 2), 20))
    assert halved.train_loop._iter == 60
    # A warm-up from the first pass to the last has one interval less than passes.
    assert rates_of(halved) == pytest.approx(rates_of(whole), rel=0.02)
    for _ in range(19):
        halved.param_schedulers[0].step()
    for _ in range(9):
        whole.param_schedulers[0].step()
    assert rates_of(halved) == pytest.approx(rates_of(whole), rel=1e-6)


@pytest.mark.train
def test_within_an_epoch_another_split_is_refused_and_not_proposed(server: WarmServer, make_job: JobMaker) -> None:
    """Iterations would mean other images."""
    job = make_job("n_epochs=2")
    train_here(job, 9, None)  # 3 images, 4 passes
    within = find_resume_point(job).spec_value
    assert within == "checkpoints/a1_epoch_0_iter_6.pth"
    assert find_resume_point(job, (3, 4)).spec_value == within
    assert find_resume_point(job, (4, 1)).spec_value is None
    _, result = server.run(job, resume=within)
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    assert result.failure.message.endswith(
        "6 iterations with 4 x 3 images per optimizer step; now 4 iterations with 4 images"
    )


@pytest.mark.train
def test_newest_end_of_an_epoch_stays_beside_newer_states(make_job: JobMaker) -> None:
    """Stopped twice within an epoch, a job can still go on with another split."""
    job = make_job("n_epochs=3")
    # Epoch 1 asks before iterations 0 and 4 and 8 images of val; epoch 2 before iterations 8, 12.
    _, first = train_here(job, 12, None)
    _, second = train_here(job, 2, find_resume_point(job).spec_value)
    assert {first.outcome, second.outcome} == {AttemptOutcome.INTERRUPTED}
    assert find_resume_point(job, (4, 1)).spec_value == "checkpoints/a1_epoch_1.pth"


def test_beginning_anew_with_another_split_is_noted(make_job: JobMaker) -> None:
    job = make_job()
    assert first_split(job) is None
    new_attempt(job, mode="probe", batch_per_step=1)
    (job.attempts / "2").mkdir()  # killed before its spec was written
    new_attempt(job)
    new_attempt(job, **HALF)
    assert first_split(job) == (4, 1)
    assert split_notes(first_split(job), [(1, 2, 2)]) == [
        "trained with 2 x 2 images per optimizer step instead of 4 images"
    ]


def test_every_change_of_the_split_is_noted() -> None:
    planned = BatchSplit(16, 1)
    assert split_notes(planned, [(1, 16, 1)]) == []
    assert split_notes(None, [(1, 8, 2)]) == []
    assert split_notes(planned, [(1, 16, 1), (3, 8, 2), (5, 16, 1)]) == [
        "trained from epoch 3 on with 2 x 8 images per optimizer step instead of 16 images",
        "trained from epoch 5 on with 16 images per optimizer step instead of 2 x 8 images",
    ]


@pytest.mark.parametrize(
    ("split", "n_iterations", "kept"),
    [
        (BatchSplit(6, 2), 3, 1.0),  # half a step was done, and half a step is
        (BatchSplit(2, 6), 9, 1.0),
        (BatchSplit(1, 12), 16, 4 / 6),  # 16 images: a third of a step
        (BatchSplit(12, 1), 2, None),
    ],
)
def test_gradients_of_half_a_step_keep_their_weight(split: BatchSplit, n_iterations: int, kept: float | None) -> None:
    meta = {"epoch": 1, "iter": 6, "accumulation": 4, "batch_per_step": 3}
    state = {"meta": meta, "gradients": {"w": torch.ones(2)}, "param_schedulers": ["old"], "state_dict": {}}
    moved = recounted(state, split, n_iterations)
    assert moved["meta"]["iter"] == n_iterations
    assert moved["param_schedulers"] is None
    assert state["param_schedulers"] == ["old"]
    if kept is None:
        assert moved["gradients"] == {}
    else:
        assert moved["gradients"]["w"].tolist() == pytest.approx([kept, kept])
