"""Writes training's losses and learning rate, and refuses to go on with a loss that is not finite."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from runners.attempt_log import AttemptLog
from runners.contract.metrics import LEARNING_RATE, iteration_metric, metric
from runners.costs import PeakMemory, recent_durations
from runners.failures import DivergedError

INTERVAL = 10


class MetricsHook(Hook):  # type: ignore[misc]
    """Collects the losses of every iteration, reads them from the device every ten, and averages them over the epoch.

    Args:
        log: where records go.
        requested_at: wall-clock time when the attempt was dispatched, seconds since the epoch.
        n_ranks: processes that each train on as many images as this one.
        peaks: goes on from an earlier attempt together with the counts.

    Attributes:
        first_iteration_s: seconds from dispatch to the end of the first iteration of this attempt, once known.
        train_s: seconds spent training, validation not counted.
        iteration_s: the newest iterations' seconds, without the first of each attempt, which waits for much else.
        n_images: training images seen.
        epoch_means: the newest epoch's means under their full names.
    """

    # Before the schedule sets the next iteration's learning rate: what is logged is what was used.
    priority = "ABOVE_NORMAL"

    def __init__(self, log: AttemptLog, requested_at: float, peaks: PeakMemory, n_ranks: int = 1) -> None:
        self._log = log
        self._peaks = peaks
        self._n_ranks = n_ranks
        self._requested_at = requested_at
        self._pending: list[tuple[int, dict[str, Tensor]]] = []
        self._newest_loss = math.nan
        self._sums: dict[str, float] = {}
        self._lr_sum = 0.0
        self._n_iterations = 0
        self._counted_until = 0.0
        self.first_iteration_s: float | None = None
        self.train_s = 0.0
        self.iteration_s = recent_durations()
        self.n_images = 0
        self.epoch_means: dict[str, float] = {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the clock; the sums are empty, or those of the part of the epoch that an earlier attempt trained."""
        self._counted_until = time.monotonic()
        self._log.advance("train", epoch=runner.epoch + 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, list[Tensor]], outputs: dict[str, Tensor]
    ) -> None:
        """Note the losses; every tenth time, or when the last word is two seconds old, read and write them."""
        number = runner.iter + 1
        rate = _learning_rate(runner)
        self._pending.append((number, {name: value.detach() for name, value in outputs.items() if "loss" in name}))
        self._lr_sum += rate
        self._n_iterations += 1
        self.n_images += len(data_batch["inputs"]) * self._n_ranks
        duration = self._count_time()
        if self.first_iteration_s is None:
            self._read_pending()
            self.first_iteration_s = time.time() - self._requested_at
        else:
            self.iteration_s.append(duration)
        is_tenth = number % INTERVAL == 0
        if not (is_tenth or self._log.is_due()):
            return
        loss = self._read_pending()
        values = {iteration_metric("loss"): loss, iteration_metric("lr"): rate} if is_tenth else {}
        self._log.advance("train", values, step=number, epoch=runner.epoch + 1, iteration=number)
        runner.logger.info(
            f"epoch {runner.epoch + 1}/{runner.max_epochs}  iteration {number}/{runner.max_iters}  "
            f"loss {loss:.4f}  lr {rate:.3g}"
        )

    def after_train_epoch(self, runner: Runner) -> None:
        """Write the epoch's means, and start new ones."""
        self._read_pending()
        self._count_time()
        self.epoch_means = {metric("train", name): total / self._n_iterations for name, total in self._sums.items()}
        self.epoch_means[LEARNING_RATE] = self._lr_sum / self._n_iterations
        self._log.advance("train", self.epoch_means, epoch=runner.epoch + 1, iteration=runner.iter)
        self._sums, self._lr_sum, self._n_iterations = {}, 0.0, 0

    def state(self) -> dict[str, Any]:
        """Return what another attempt needs to go on counting.

        Raises:
            DivergedError: a loss is not finite.
        """
        self._read_pending()
        return {
            "sums": dict(self._sums),
            "lr_sum": self._lr_sum,
            "n_iterations": self._n_iterations,
            "epoch_means": dict(self.epoch_means),
            "train_s": self.train_s,
            "n_images": self.n_images,
            "iteration_s": list(self.iteration_s),
            "peaks": self._peaks.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting where an earlier attempt stopped."""
        self._sums, self._lr_sum = dict(state["sums"]), state["lr_sum"]
        self._n_iterations, self.epoch_means = state["n_iterations"], dict(state["epoch_means"])
        self.train_s, self.n_images = state["train_s"], state["n_images"]
        # Neither is in states that were saved before detsweep measured them.
        self.iteration_s = recent_durations(state.get("iteration_s", ()))
        self._peaks.restore(state.get("peaks", {}))

    def _count_time(self) -> float:
        now = time.monotonic()
        duration = now - self._counted_until
        self.train_s += duration
        self._counted_until = now
        return duration

    def _read_pending(self) -> float:
        """Move what is pending from the device in one go, check it, add it up, and return the newest loss.

        Raises:
            DivergedError: a loss is not finite.
        """
        named = [(number, name, value) for number, losses in self._pending for name, value in losses.items()]
        self._pending = []
        if named:
            values = torch.stack([value.float() for _, _, value in named]).tolist()
            for (number, name, _), value in zip(named, values, strict=True):
                if not math.isfinite(value):
                    raise DivergedError(f"{name} is {'NaN' if math.isnan(value) else 'infinite'} at iteration {number}")
                self._sums[name] = self._sums.get(name, 0.0) + value
                if name == "loss":
                    self._newest_loss = value
        return self._newest_loss


def _learning_rate(runner: Runner) -> float:
    return float(runner.optim_wrapper.get_lr()["lr"][0])
