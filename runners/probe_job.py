"""Measuring what a job will take: some of its own iterations at its own size, and some validated images."""

import dataclasses
import time
from collections.abc import Mapping
from contextlib import suppress
from statistics import median
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from runners.check_job import without_pretrained
from runners.complexity import count_parameters, try_multiply_adds
from runners.contract import metrics as names
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from runners.costs import PeakMemory
from runners.evaluation import SplitEvaluator, train_subset_evaluator
from runners.hooks.repeatable import RepeatableHook
from runners.hooks.stop import StopHook
from runners.stopping import StopRequest
from runners.training import JobRunner, build_runner, build_train_loader

# By device: iterations that are not measured, the most that are, and validated images. A CPU has no kernels to choose.
_N_WARM = {"cuda": 2, "cpu": 1}
_N_MEASURED = {"cuda": 5, "cpu": 3}
_N_IMAGES = 8
# Each of the two parts ends early after this long.
_LIMIT_S = 30.0


class _Enough(Exception):  # noqa: N818 - like StopIteration, no error
    """Everything that was to be measured is."""


class _StopwatchHook(Hook):  # type: ignore[misc]
    """Times iterations as training has them, its waiting for data included, and ends training after some.

    Args:
        device: ``cpu`` or ``cuda``.

    Attributes:
        iteration_s: seconds of each measured iteration.
    """

    priority = "VERY_LOW"

    def __init__(self, device: str) -> None:
        self._device = device
        self._n_warm = _N_WARM[device]
        self._since = self._began = time.monotonic()
        self.iteration_s: list[float] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Note the time.

        Raises:
            _Enough: iterations or time are used up.
        """
        if self._device == "cuda":
            torch.cuda.synchronize()
        now = time.monotonic()
        if self._n_warm > 0:
            self._n_warm -= 1
            self._began = now
        else:
            self.iteration_s.append(now - self._since)
        self._since = now
        if self.iteration_s and (len(self.iteration_s) == _N_MEASURED[self._device] or now - self._began >= _LIMIT_S):
            raise _Enough


def probe_job(folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec, stop: StopRequest) -> AttemptResult:
    """Train a few iterations and validate a few images, and report memory, pace and size.

    Model, pipelines, precision, optimizer and batch are those of the job; the weights are random, and nothing is
    downloaded or loaded. Of a job on several devices, one device's share is measured.

    Args:
        folder: the attempt.
        config: the job's config.
        spec: the attempt's spec.
        stop: asked between iterations and between images.

    Raises:
        StopTraining: asked to stop.
        DataError: an image cannot be used.
    """
    peaks = PeakMemory(spec.device)
    # As many epochs as the iterations need where an epoch has fewer.
    n_iterations = _N_WARM[spec.device] + _N_MEASURED[spec.device]
    probed = {
        **config,
        "model": without_pretrained(config["model"]),
        "load_from": None,
        "weights": {**config["weights"], "name": "none"},
        "n_epochs": n_iterations,
    }
    # With more than one pass per optimizer step, gradients stay in memory through the next pass, and two are enough for
    # that; the warm iterations contain a step, which is when optimizers take memory for their averages.
    share = dataclasses.replace(
        spec,
        batch_per_step=spec.batch_per_step // spec.n_devices,
        accumulation=min(spec.accumulation, 2),
        n_devices=1,
    )
    stopwatch = _StopwatchHook(spec.device)
    loader = build_train_loader(probed, share)
    hooks = [RepeatableHook(config["seed"]), StopHook(stop, 1), stopwatch]
    runner, _ = build_runner(probed, share, loader, hooks)
    with suppress(_Enough):
        runner.train()
    evaluator = _validate(runner, folder, probed, share, stop)
    values = {
        names.ITERATION_S: median(stopwatch.iteration_s),
        names.VALIDATION_IMAGE_S: median(evaluator.image_s),
        names.PARAMETERS_M: count_parameters(runner.model) / 1e6,
        **_peak_memory(peaks, runner, spec),
    }
    data = runner.model.data_preprocessor(evaluator.first_batch(), False)
    counted = try_multiply_adds(runner.model, data["inputs"])
    if counted is not None:
        values[names.MULTIPLY_ADDS_G] = counted / 1e9
    return AttemptResult(folder.number, AttemptOutcome.COMPLETED, metrics=values, finished_at=time.time())


def _validate(
    runner: JobRunner, folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec, stop: StopRequest
) -> SplitEvaluator:
    """Validate a few of the training images as val's are, and return what timed them."""
    began = time.monotonic()

    def on_batch(number: int, _n_batches: int) -> None:
        stop.raise_if_asked()
        if number > _N_IMAGES or (number > 1 and time.monotonic() - began >= _LIMIT_S):
            raise _Enough

    evaluator = train_subset_evaluator(config, spec, folder.path, on_batch)
    with suppress(_Enough):
        evaluator.evaluate(runner.model, with_loss=config["evaluation"]["val_loss"])
    return evaluator


def _peak_memory(peaks: PeakMemory, runner: JobRunner, spec: AttemptSpec) -> dict[str, float]:
    """Return the peaks; the GPU's is what has to be free on each device."""
    values = peaks.values()
    if names.PEAK_DEVICE_GB in values:
        if spec.n_devices > 1:  # gradients are exchanged by way of a copy, which one device alone does not make
            trained = sum(parameter.nbytes for parameter in runner.model.parameters() if parameter.requires_grad)
            values[names.PEAK_DEVICE_GB] += trained / 1e9
        values[names.PEAK_MEMORY_GB] = values[names.PEAK_DEVICE_GB]
    return values
