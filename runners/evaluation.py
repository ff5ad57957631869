"""One pass over a split with the model as it is: detections, average precision, validation loss."""

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner

from runners.contract.metrics import Split, metric
from runners.contract.records import AttemptSpec
from runners.contract.scoring import score
from runners.costs import recent_durations
from runners.dataset import use_strict_datasets
from runners.failures import DivergedError
from runners.mm_config import annotation_file, eval_dataloader
from runners.place import alone
from runners.seeding import derived_seed, isolated_randomness, seed_everything
from runners.val_loss import shared_features, validation_losses

# Which training images are scored is the same for every job on a data set, so it depends on nothing but the file.
_SUBSET_SEED = 0
_BOX_DECIMALS = 3  # of a pixel; keeps the predictions' files half as big


@dataclass(frozen=True)
class Evaluation:
    """What one pass gave.

    Attributes:
        metrics: average precisions and losses under their full names; empty where the split has no annotations.
        detections: COCO results: ``image_id``, ``category_id`` (the file's own), ``bbox`` xywh in original pixels, and
            ``score`` 0-1.
    """

    metrics: dict[str, float]
    detections: list[dict[str, Any]]


class SplitEvaluator:
    """Evaluates models on one split.

    Args:
        config: the job's config.
        spec: the attempt's spec.
        split: train, val or test.
        truth: content of the split's annotation file.
        ann_file: a file that holds `truth`.
        on_batch: called before each batch with its number (from 1) and the number of batches; may raise to stop.

    Attributes:
        image_s: the newest images' seconds.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        spec: AttemptSpec,
        split: Split,
        truth: Mapping[str, Any],
        ann_file: Path,
        on_batch: Callable[[int, int], None],
    ) -> None:
        self._split = split
        self._truth = truth
        self._on_batch = on_batch
        self._seed = derived_seed(config["seed"], "evaluate", split)
        self.image_s = recent_durations()
        loader = eval_dataloader(config, spec, split)
        loader["dataset"]["ann_file"] = str(ann_file.resolve())
        use_strict_datasets(loader)
        self._loader = Runner.build_dataloader(loader)
        self._image_ids = [int(image["id"]) for image in truth["images"]]

    @property
    def is_labelled(self) -> bool:
        """Whether the split has any annotation to score against."""
        return bool(self._truth.get("annotations"))

    def first_batch(self) -> dict[str, Any]:
        """Return the first image as the data loader gives it."""
        batch: dict[str, Any] = next(iter(self._loader))
        return batch

    def try_losses(self, model: BaseDetector) -> None:
        """Compute the losses of the first image, to learn before an epoch is trained whether the detector has any.

        Raises:
            UserError: it has none.
        """
        was_training = model.training
        model.eval()
        try:
            with alone(), isolated_randomness(self._seed), torch.no_grad():
                data = model.data_preprocessor(self.first_batch(), False)
                validation_losses(model, data["inputs"], data["data_samples"])
        finally:
            model.train(was_training)

    def evaluate(self, model: BaseDetector, *, with_loss: bool, views: BaseTTAModel | None = None) -> Evaluation:
        """Predict the whole split, and score it where it is labelled; model and random generators stay as they were.

        Args:
            model: a detector of MMDetection.
            with_loss: also compute the losses; labelled splits only.
            views: merges what `model` finds in several views of an image, where the test pipeline makes such; there are
                no losses then.

        Raises:
            DivergedError: a loss or another metric is not finite.
        """
        was_training = model.training
        model.eval()
        try:
            with alone(), isolated_randomness(self._seed), torch.no_grad():
                detections, losses = self._run(model, views, with_loss=with_loss and self.is_labelled and not views)
        finally:
            model.train(was_training)
        metrics = {metric(self._split, name): value for name, value in losses.items()}
        if self.is_labelled:
            metrics |= score(self._split, self._truth, detections, self._image_ids)
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {'NaN' if math.isnan(value) else 'infinite'}")
        return Evaluation(metrics, detections)

    def _run(
        self, model: BaseDetector, views: BaseTTAModel | None, *, with_loss: bool
    ) -> tuple[list[dict[str, Any]], dict[str, float]]:
        detections: list[dict[str, Any]] = []
        sums: dict[str, Any] = {}
        n_images = 0
        n_batches = len(self._loader)
        since = time.monotonic()
        for number, batch in enumerate(self._loader, start=1):
            self._on_batch(number, n_batches)
            # For each batch anew: making the loader's iterator has drawn numbers, more or fewer by its workers.
            seed_everything(derived_seed(self._seed, number))
            if views is not None:
                predictions = views.test_step(batch)
            else:
                data = model.data_preprocessor(batch, False)
                inputs, samples = data["inputs"], data["data_samples"]
                with shared_features(model):
                    if with_loss:
                        for name, value in validation_losses(model, inputs, samples).items():
                            # Sums stay on the device: reading a value would make the CPU wait for the GPU each time.
                            sums[name] = sums.get(name, 0.0) + value * len(samples)
                    predictions = model(inputs, samples, mode="predict")
            n_images += len(predictions)
            for sample in predictions:
                detections += _coco_results(sample, self._loader.dataset.cat_ids)
            # Reading the detections has waited for the device.
            now = time.monotonic()
            self.image_s.append((now - since) / len(predictions))
            since = now
        return detections, {name: float(value) / n_images for name, value in sums.items()}


def split_evaluator(
    config: Mapping[str, Any], spec: AttemptSpec, split: Split, on_batch: Callable[[int, int], None]
) -> SplitEvaluator:
    """Return the evaluator of a whole split."""
    path = annotation_file(config, split)
    return SplitEvaluator(config, spec, split, json.loads(path.read_bytes()), path, on_batch)


def train_subset_evaluator(
    config: Mapping[str, Any], spec: AttemptSpec, folder: Path, on_batch: Callable[[int, int], None]
) -> SplitEvaluator:
    """Return the evaluator of the fixed subset of the training images, seen as at test time.

    Args:
        config: the job's config.
        spec: the attempt's spec.
        folder: where the subset's annotations stand while MMDetection reads them.
        on_batch: see `SplitEvaluator`.
    """
    truth = json.loads(annotation_file(config, "train").read_bytes())
    subset = image_subset(truth, config["evaluation"]["n_train_images"])
    path = folder / "train_subset.json"
    path.write_text(json.dumps(subset, ensure_ascii=False), encoding="utf-8")
    try:
        return SplitEvaluator(config, spec, "train", subset, path, on_batch)
    finally:
        path.unlink()


def image_subset(truth: Mapping[str, Any], n_images: int) -> dict[str, Any]:
    """Return an annotation file's content for a fixed choice of at most `n_images` of its images."""
    image_ids = sorted(image["id"] for image in truth["images"])
    chosen = set(random.Random(_SUBSET_SEED).sample(image_ids, min(n_images, len(image_ids))))
    return {
        "images": [image for image in truth["images"] if image["id"] in chosen],
        "annotations": [entry for entry in truth.get("annotations", []) if entry["image_id"] in chosen],
        "categories": truth["categories"],
    }


def _coco_results(sample: DetDataSample, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    instances = sample.pred_instances
    boxes = instances.bboxes.double().cpu()
    boxes[:, 2:] -= boxes[:, :2]
    return [
        {
            "image_id": sample.img_id,
            "category_id": category_ids[label],
            "bbox": [round(number, _BOX_DECIMALS) for number in box],
            "score": confidence,
        }
        for box, confidence, label in zip(
            boxes.tolist(), instances.scores.tolist(), instances.labels.tolist(), strict=True
        )
    ]
