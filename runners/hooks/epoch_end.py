"""What follows each epoch: validation, its record, the choice of the best epoch, and the checkpoints."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from runners.attempt_log import AttemptLog
from runners.checkpoint_keeper import CheckpointKeeper
from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder
from runners.contract.metrics import metric
from runners.evaluation import Evaluation, SplitEvaluator
from runners.failures import DivergedError
from runners.hooks.metrics import MetricsHook
from runners.hooks.validation import validating
from runners.place import detector_of
from runners.predictions import write_predictions


class EpochEndHook(Hook):  # type: ignore[misc]
    """Validates, chooses and saves.

    Args:
        folder: the attempt.
        log: where records go.
        keeper: where checkpoints go.
        training: knows the epoch's training means.
        val: evaluator of val; None where there is no labelled val split, and the last epoch is the best.
        best_by: the metric that chooses, higher is better.
        with_loss: also compute the validation loss.

    Attributes:
        best_epoch: the chosen epoch, from 1; 0 before there is one.
        best_metrics: all values of that epoch, under their full names.
        newest: the newest validation.
        newest_metrics: all values of the newest epoch.
        n_epochs_done: complete epochs, their validation included.
        is_best_inherited: whether an earlier attempt trained the chosen epoch.
    """

    # After the schedule has moved on: the saved state is the one that the next epoch starts with.
    priority = "VERY_LOW"

    def __init__(
        self,
        folder: AttemptFolder,
        log: AttemptLog,
        keeper: CheckpointKeeper,
        training: MetricsHook,
        val: SplitEvaluator | None,
        best_by: str,
        with_loss: bool,
    ) -> None:
        self._folder = folder
        self._log = log
        self._keeper = keeper
        self._training = training
        self._val = val
        self._best_by = metric("val", best_by)
        self._with_loss = with_loss
        self._best_value = -math.inf
        self.best_epoch = 0
        self.best_metrics: dict[str, float] = {}
        self.newest: Evaluation | None = None
        self.newest_metrics: dict[str, float] = {}
        self.n_epochs_done = 0
        self.is_best_inherited = False

    def restore(self, meta: Mapping[str, Any]) -> None:
        """Go on from an earlier attempt's state, as `save_last` described it."""
        self.n_epochs_done = meta["epoch"]
        self.best_epoch, self.best_metrics = meta["best"]["epoch"], dict(meta["best"]["metrics"])
        self.is_best_inherited = self.best_epoch > 0
        self._best_value = self.best_metrics.get(self._best_by, -math.inf)

    def before_train(self, runner: Runner) -> None:
        """Complete an epoch that an earlier attempt trained to its last iteration and did not validate to the end."""
        if runner.iter == (self.n_epochs_done + 1) * len(runner.train_dataloader):
            self.after_train_epoch(runner)
            runner.train_loop._epoch += 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Validate, choose, save.

        Raises:
            DivergedError: weights, losses or other metrics are not finite; nothing of the epoch is saved.
        """
        epoch = runner.epoch + 1  # mmengine counts it after this hook
        _check_weights(runner)
        if self._val is not None:
            with validating(runner) as validation:
                self.newest = self._val.evaluate(detector_of(runner.model), with_loss=self._with_loss)
                validation.metrics = dict(self.newest.metrics)
            self._log.advance("val", self.newest.metrics)
            runner.logger.info(f"epoch {epoch}/{runner.max_epochs}  {_summary(self.newest.metrics)}")
        self.newest_metrics = {**self._training.epoch_means, **(self.newest.metrics if self.newest else {})}
        if self._is_best():
            self.best_epoch, self.best_metrics, self.is_best_inherited = epoch, self.newest_metrics, False
            self._keeper.save_best(runner, epoch)
            if self.newest is not None:
                write_predictions(self._folder, "val_best", self.newest.detections)
        self.n_epochs_done = epoch
        self.save_last(runner)

    def save_last(self, runner: Runner) -> None:
        """Save the state to go on from; also called when training is stopped between two epochs' ends."""
        best: dict[str, Any] = {"epoch": self.best_epoch, "metrics": self.best_metrics}
        self._keeper.save_last(runner, self.n_epochs_done, {"best": best, "training": self._training.state()})

    def _is_best(self) -> bool:
        """Whether the newest epoch is better than all before; without val each epoch replaces the one before.

        Raises:
            UserError: val has nothing that `best_by` could measure.
        """
        if self.newest is None:
            return True
        if self._best_by not in self.newest.metrics:
            known = ", ".join(name for name in self.newest.metrics if "/bbox_mAP" in name and "class" not in name)
            raise UserError(f"best epoch in best_by: val has no objects for {self._best_by}; it has {known}")
        value = self.newest.metrics[self._best_by]
        if value <= self._best_value:
            return False
        self._best_value = value
        return True


def _check_weights(runner: Runner) -> None:
    """Refuse weights that the last steps may have spoilt after the last finite loss.

    Raises:
        DivergedError: a weight is not finite.
    """
    weights = [parameter.detach() for parameter in runner.model.parameters()]
    if not torch.stack(torch._foreach_norm(weights)).isfinite().all():
        raise DivergedError(f"weights are not finite after iteration {runner.iter}")


def _summary(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items() if "class" not in name)
