"""Validation loss: ground truth on the resized image, and no trace left in model or random generators."""

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from runners.contract.records import AttemptSpec
from runners.contract.tuples import with_tuples
from runners.dataset import use_strict_datasets
from runners.evaluation import SplitEvaluator, image_subset, split_evaluator
from runners.mm_config import eval_dataloader
from runners.seeding import isolated_randomness
from runners.val_loss import shared_features, validation_losses
from tests.composition import compose

SPEC = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)
DETECTORS = ["detector=faster_rcnn", "detector=cascade_rcnn", "detector=retinanet"]


def config_of(shapes: Path, *overrides: str) -> dict[str, Any]:
    return compose(
        "dataset=shapes",
        f"dataset.root={shapes}",
        "backbone=resnet18",
        "width=narrow",
        "weights=none",
        "image_size=160px",  # the images have 96: boxes have to be scaled by 5/3
        *overrides,
    )


def model_of(config: dict[str, Any]) -> nn.Module:
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model: nn.Module = MODELS.build(ConfigDict(with_tuples(config["model"])))
    model.init_weights()
    return model


def batch_of(config: dict[str, Any], annotations_first: bool) -> dict[str, Any]:
    """Return one val image; with the annotations loaded before Resize, mmdet itself scales the boxes."""
    stages = dict(config["pipeline"]["test"])
    if annotations_first:
        stages = {name: stages[name] for name in ("load", "annotations", "resize", "pack")}
    loader = eval_dataloader({**config, "pipeline": {**config["pipeline"], "test": stages}}, SPEC, "val")
    use_strict_datasets(loader)
    batch: dict[str, Any] = next(iter(Runner.build_dataloader(loader)))
    return batch


@pytest.mark.parametrize("detector", DETECTORS)
def test_equals_the_loss_on_boxes_that_mmdet_resized_itself(shapes: Path, detector: str) -> None:
    config = config_of(shapes, detector)
    model = model_of(config).eval()
    with torch.no_grad(), isolated_randomness(1):
        data = model.data_preprocessor(batch_of(config, annotations_first=False), False)
        boxes_before = data["data_samples"][0].gt_instances.bboxes.clone()
        ours = validation_losses(model, data["inputs"], data["data_samples"])
    assert torch.equal(data["data_samples"][0].gt_instances.bboxes, boxes_before)
    with torch.no_grad(), isolated_randomness(1):
        data = model.data_preprocessor(batch_of(config, annotations_first=True), False)
        _, expected = model.parse_losses(model(**data, mode="loss"))
    assert set(ours) == {name for name in expected if "loss" in name}
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(
        {name: float(expected[name]) for name in ours}, rel=1e-5
    )


def test_features_are_computed_once_and_the_method_is_given_back(shapes: Path) -> None:
    config = config_of(shapes)
    model = model_of(config).eval()
    calls = []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    data = model.data_preprocessor(batch_of(config, annotations_first=False), False)
    with torch.no_grad():
        expected = model(data["inputs"], copy.deepcopy(data["data_samples"]), mode="predict")
        calls.clear()
        with shared_features(model):
            validation_losses(model, data["inputs"], data["data_samples"])
            predicted = model(data["inputs"], data["data_samples"], mode="predict")
    assert len(calls) == 1
    assert "extract_feat" not in vars(model)
    assert torch.equal(predicted[0].pred_instances.bboxes, expected[0].pred_instances.bboxes)


@pytest.fixture
def evaluator(shapes: Path) -> SplitEvaluator:
    return split_evaluator(config_of(shapes), SPEC, "val", lambda *_: None)


def test_evaluation_leaves_model_and_random_generators_as_they_were(shapes: Path, evaluator: SplitEvaluator) -> None:
    model = model_of(config_of(shapes)).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    generators = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    evaluator.evaluate(model, with_loss=True)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == generators
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_same_model_evaluates_to_the_same_numbers(shapes: Path, evaluator: SplitEvaluator) -> None:
    model = model_of(config_of(shapes))
    first = evaluator.evaluate(model, with_loss=True)
    torch.rand(5)
    second = evaluator.evaluate(model, with_loss=True)
    assert first == second
    assert {"val/loss", "val/loss_cls", "val/bbox_mAP_50"} <= set(first.metrics)
    assert "val/loss" not in evaluator.evaluate(model, with_loss=False).metrics


def test_detections_are_coco_results_in_original_pixels_with_the_files_ids(
    shapes: Path, evaluator: SplitEvaluator
) -> None:
    detections = evaluator.evaluate(model_of(config_of(shapes)), with_loss=False).detections
    assert detections
    assert {detection["category_id"] for detection in detections} <= {1, 2, 3}
    for detection in detections:
        x, y, width, height = detection["bbox"]
        assert min(x, y, width, height) >= 0
        assert max(x + width, y + height) <= 96.01
        assert 0 <= detection["score"] <= 1


def test_image_subset_is_the_same_every_time_and_whole() -> None:
    truth = {
        "images": [{"id": i} for i in range(100)],
        "annotations": [{"id": i, "image_id": i // 2} for i in range(200)],
        "categories": [],
    }
    subset = image_subset(truth, 30)
    assert subset == image_subset({**truth, "images": truth["images"][::-1]}, 30) | {"images": subset["images"]}
    chosen = {image["id"] for image in subset["images"]}
    assert len(chosen) == 30
    assert chosen != set(range(30))
    assert len(subset["annotations"]) == 60
    assert image_subset(truth, 500)["images"] == truth["images"]
