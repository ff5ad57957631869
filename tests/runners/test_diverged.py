"""Training that stops being finite ends at once, and what was saved before is whole."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import yaml
from mmengine.registry import init_default_scope

from runners.checkpoints import load_checkpoint
from runners.contract.checkpoint_files import find_resume_point
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec
from runners.evaluation import SplitEvaluator
from runners.failures import DivergedError
from runners.hooks.metrics import MetricsHook
from runners.stopping import StopRequest
from runners.train_job import train_job
from tests.runners.conftest import JobMaker
from tests.runners.warm_server import new_attempt

pytestmark = pytest.mark.train

N_ITERATIONS = 4  # of an epoch


def train(job: JobFolder) -> None:
    init_default_scope("mmdet")
    attempt = new_attempt(job)
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    train_job(attempt, config, AttemptSpec.read(attempt), StopRequest(attempt), 0.0)


def after_iteration(monkeypatch: pytest.MonkeyPatch, number: int, spoil: Callable[[Any, dict[str, Any]], None]) -> None:
    """Have `spoil(model, outputs)` called after one iteration, before anybody looks at it."""
    original = MetricsHook.after_train_iter

    def spoiling(hook: Any, runner: Any, batch_idx: int, data_batch: Any, outputs: dict[str, Any]) -> None:
        if runner.iter + 1 == number:
            spoil(runner.model, outputs)
        original(hook, runner, batch_idx, data_batch, outputs)

    monkeypatch.setattr(MetricsHook, "after_train_iter", spoiling)


def assert_first_epoch_is_whole(job: JobFolder) -> None:
    point = find_resume_point(job)
    assert point.spec_value == "checkpoints/a1_epoch_1.pth"
    assert point.passed_over == ()
    weights = load_checkpoint(job.checkpoints / "a1_epoch_1.pth", "cpu")["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())


def test_loss_that_is_nan_is_named_with_its_iteration(make_job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job("n_epochs=3")
    after_iteration(monkeypatch, 7, lambda _, outputs: outputs.update(loss=torch.tensor(math.nan)))
    with pytest.raises(DivergedError, match=r"^loss is NaN at iteration 7$"):
        train(job)
    assert_first_epoch_is_whole(job)


def test_weights_spoilt_after_the_last_loss_are_not_saved(make_job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job("n_epochs=3")

    def spoil(model: Any, _outputs: object) -> None:
        next(parameter for parameter in model.parameters() if parameter.requires_grad).data[0] = math.inf

    after_iteration(monkeypatch, 2 * N_ITERATIONS, spoil)
    with pytest.raises(DivergedError, match=r"^weights are not finite after iteration 8$"):
        train(job)
    assert_first_epoch_is_whole(job)


def test_metric_of_val_that_is_not_finite_is_refused(make_job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job("n_epochs=3")
    evaluate = SplitEvaluator.evaluate

    def second_time_nan(evaluator: SplitEvaluator, *arguments: Any, **options: Any) -> Any:
        if find_resume_point(job).state is not None:
            monkeypatch.setattr("runners.evaluation.score", lambda *_: {"val/bbox_mAP": math.nan})
        return evaluate(evaluator, *arguments, **options)

    monkeypatch.setattr(SplitEvaluator, "evaluate", second_time_nan)
    with pytest.raises(DivergedError, match=r"^val/bbox_mAP is NaN$"):
        train(job)
    assert_first_epoch_is_whole(job)
