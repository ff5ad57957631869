"""Training one job to its end: all epochs, then the final evaluations and the costs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from torch.utils.data import DataLoader

from runners.attempt_log import AttemptLog
from runners.batch_split import BatchSplit, first_split, split_notes
from runners.checkpoint_keeper import CheckpointKeeper
from runners.checkpoints import load_checkpoint
from runners.complexity import count_parameters, try_multiply_adds
from runners.contract import metrics as names
from runners.contract.folder import AttemptFolder
from runners.contract.metrics import Split
from runners.contract.naming import is_read
from runners.contract.plugin_sources import NAMES
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from runners.costs import PeakMemory
from runners.evaluation import SplitEvaluator, split_evaluator, train_subset_evaluator
from runners.going_on import prepare_going_on, splits_with
from runners.hooks.epoch_end import EpochEndHook
from runners.hooks.metrics import MetricsHook
from runners.hooks.ranks import rank_hooks
from runners.hooks.repeatable import RepeatableHook
from runners.hooks.stop import StopHook
from runners.hooks.validation import validating
from runners.mm_file import write_mm_file
from runners.place import ALONE, Place
from runners.predictions import write_predictions
from runners.stopping import StopRequest, StopTraining
from runners.training import JobRunner, build_runner, build_train_loader


@dataclass(frozen=True)
class _Training:
    """The parts of one training that the end of it needs."""

    folder: AttemptFolder
    config: Mapping[str, Any]
    spec: AttemptSpec
    stop: StopRequest
    log: AttemptLog
    keeper: CheckpointKeeper
    peaks: PeakMemory
    metrics: MetricsHook
    epochs: EpochEndHook
    runner: JobRunner
    val: SplitEvaluator | None
    notes: list[str]

    def evaluator(self, split: Split) -> SplitEvaluator:
        """Return the evaluator of a whole split."""
        return split_evaluator(self.config, self.spec, split, _on_batch(self.stop, self.log, split))

    def subset_evaluator(self) -> SplitEvaluator:
        """Return the evaluator of the fixed subset of the training images."""
        on_batch = _on_batch(self.stop, self.log, "train subset")
        return train_subset_evaluator(self.config, self.spec, self.folder.path, on_batch)


def train_job(
    folder: AttemptFolder,
    config: Mapping[str, Any],
    spec: AttemptSpec,
    stop: StopRequest,
    started: float,
    place: Place = ALONE,
) -> AttemptResult:
    """Train and evaluate; from the beginning, or from where an earlier attempt stopped.

    Going on is exact, also within an epoch: the images that the stopped epoch has seen are left out, its sums and
    gradients go on, and on the CPU the numbers are those of a training that never stopped. Epochs that are done are not
    trained again; one that lacks only its validation is validated. Going on with another split of the batch is possible
    at an epoch's end.

    Args:
        folder: the attempt.
        config: the job's config.
        spec: the attempt's spec.
        stop: asked between iterations and between evaluated batches.
        started: monotonic time when the process took up the attempt.
        place: rank 0 among the processes of several devices; the others `runners.follower.follow_training`.

    Raises:
        DivergedError: a loss is not finite.
        DataError: an image cannot be used.
        DiskError: no room for a checkpoint.
        UserError: there is no going on from what the spec names.
    """
    training = _build(folder, config, spec, stop, place)
    try:
        training.runner.train()
        place.leave()
        subset = training.subset_evaluator()
        values = _evaluate_best(training, subset)
    except StopTraining as stopped:
        return _stopped(training, stopped)
    values |= _costs(training, subset)
    values[names.WALL_S] = time.monotonic() - started
    checkpoint, digest = training.keeper.publish_best()
    return AttemptResult(
        attempt=folder.number,
        outcome=AttemptOutcome.COMPLETED,
        metrics=values,
        best_epoch=training.epochs.best_epoch,
        checkpoint=str(checkpoint.relative_to(folder.job.path)),
        checkpoint_sha256=digest,
        notes=training.notes,
        finished_at=time.time(),
    )


def _build(
    folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec, stop: StopRequest, place: Place
) -> _Training:
    peaks = PeakMemory(spec.device)
    loader: DataLoader[Any] = build_train_loader(config, spec, place)
    resumed = None if spec.resume is None else prepare_going_on(folder.job, spec, loader)
    log = AttemptLog(folder, config["n_epochs"], config["n_epochs"] * len(loader))
    notes: list[str] = []
    val = None
    if config["dataset"]["val"] is not None:
        val = split_evaluator(config, spec, "val", _on_batch(stop, log, "val"))
        if not val.is_labelled:
            val = None
    if val is None:
        notes.append("no labelled val split: the last epoch was taken as the best")
    keeper = CheckpointKeeper(folder.job, spec, list(config["dataset"]["classes"]))
    metrics = MetricsHook(log, spec.requested_at, peaks, place.n_ranks)
    epochs = EpochEndHook(
        folder, log, keeper, metrics, val, config["best_by"], with_loss=config["evaluation"]["val_loss"]
    )
    hooks = [RepeatableHook(config["seed"]), StopHook(stop, spec.accumulation), metrics, epochs, *rank_hooks(place)]
    place.join(spec.device)
    runner, mm_cfg = build_runner(config, spec, loader, hooks)
    if is_read(config) and val is not None and config["evaluation"]["val_loss"]:
        val.try_losses(runner.detector)  # a detector of others: the first epoch's end would be late to learn it
    write_mm_file(mm_cfg, folder.job.mmdet_config, config.get(NAMES) or ())
    training = _Training(folder, config, spec, stop, log, keeper, peaks, metrics, epochs, runner, val, notes)
    if resumed is not None:
        _go_on(training, *resumed)
    if place.n_ranks > 1:
        notes.append(f"trained on {place.n_ranks} devices, {spec.batch_per_step // place.n_ranks} images per step each")
    notes += split_notes(first_split(folder.job), keeper.splits)
    return training


def _go_on(training: _Training, path: Path, state: dict[str, Any]) -> None:
    """Have training begin where an earlier attempt stopped."""
    meta, n_epochs = state["meta"], training.config["n_epochs"]
    training.keeper.go_on_from(path, splits_with(state, BatchSplit.of(training.spec), n_epochs))
    training.metrics.restore(meta["training"])
    training.epochs.restore(meta)
    training.runner.state = state
    training.log.advance("train", epoch=min(meta["epoch"] + 1, n_epochs), iteration=meta["iter"])


def _on_batch(stop: StopRequest, log: AttemptLog, phase: str) -> Callable[[int, int], None]:
    """Return what an evaluation calls before each batch."""

    def on_batch(number: int, n_batches: int) -> None:
        stop.raise_if_asked()
        log.advance(phase, batch=number, n_batches=n_batches)

    return on_batch


def _stopped(training: _Training, stopped: StopTraining) -> AttemptResult:
    """Save if the job is to go on, and tell what is known so far."""
    # After the last epoch the state is saved already, and the model may hold the best weights by now.
    is_training = training.epochs.n_epochs_done < training.config["n_epochs"]
    if stopped.reason == "interrupt" and is_training:
        training.epochs.save_last(training.runner)
    is_pruned = stopped.reason == "prune"
    best = training.epochs.best_metrics
    return AttemptResult(
        attempt=training.folder.number,
        outcome=AttemptOutcome.PRUNED if is_pruned else AttemptOutcome.INTERRUPTED,
        metrics={names.best(name): value for name, value in best.items()},
        best_epoch=training.epochs.best_epoch or None,
        notes=training.notes,
        finished_at=time.time(),
    )


def _evaluate_best(training: _Training, subset: SplitEvaluator) -> dict[str, float]:
    """Return the values of the best epoch: val's as chosen, and train's and test's measured now."""
    epochs, model = training.epochs, training.runner.detector
    values = {names.best(name): value for name, value in epochs.best_metrics.items()}
    values[names.BEST_EPOCH] = float(epochs.best_epoch)
    if training.val is not None:
        newest = epochs.newest
        if newest is None:
            with validating(training.runner) as validation:
                newest = training.val.evaluate(model, with_loss=False)
                validation.metrics = dict(newest.metrics)
        write_predictions(training.folder, "val_last", newest.detections)
    best = load_checkpoint(training.keeper.best, training.spec.device)
    model.load_state_dict(best["state_dict"])
    if training.val is not None and epochs.is_best_inherited:
        # The earlier attempt's file may be of a better epoch that it did not live to save.
        detections = training.val.evaluate(model, with_loss=False).detections
        write_predictions(training.folder, "val_best", detections)
    values |= subset.evaluate(model, with_loss=False).metrics
    if training.config["dataset"]["test"] is None:
        training.notes.append("no test split")
        return values
    test = training.evaluator("test")
    evaluation = test.evaluate(model, with_loss=False)
    write_predictions(training.folder, "test", evaluation.detections)
    if not test.is_labelled:
        training.notes.append("test split is not labelled")
    return values | evaluation.metrics


def _costs(training: _Training, subset: SplitEvaluator) -> dict[str, float]:
    model, metrics = training.runner.detector, training.metrics
    values = {
        names.PARAMETERS_M: count_parameters(model) / 1e6,
        **_multiply_adds(training, subset),
        names.IMAGES_PER_S: metrics.n_images / metrics.train_s,
        names.ITERATION_S: median(metrics.iteration_s or [metrics.train_s]),
        names.VALIDATION_IMAGE_S: median((training.val or subset).image_s),
        **training.peaks.values(),
    }
    if metrics.first_iteration_s is not None and training.spec.requested_at:
        values[names.FIRST_ITERATION_S] = metrics.first_iteration_s
    return values


def _multiply_adds(training: _Training, subset: SplitEvaluator) -> dict[str, float]:
    model = training.runner.detector
    data = model.data_preprocessor(subset.first_batch(), False)
    counted = try_multiply_adds(model, data["inputs"])
    return {} if counted is None else {names.MULTIPLY_ADDS_G: counted / 1e9}
