"""Sizes and costs against numbers that are known or worked out by hand."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

from runners.complexity import count_multiply_adds, count_parameters
from runners.contract.tuples import with_tuples
from tests.composition import compose


def detector(*overrides: str) -> nn.Module:
    init_default_scope("mmdet")
    config = compose("dataset=shapes", "weights=none", *overrides)
    model: nn.Module = MODELS.build(ConfigDict(with_tuples(config["model"])))
    return model


def multiply_adds(model: nn.Module, side_px: int) -> int:
    return count_multiply_adds(model, torch.zeros(1, 3, side_px, side_px))


def test_faster_rcnn_r50_has_the_parameters_of_the_zoo() -> None:
    """MMDetection says 41.53 M: with 80 classes, without the 225,344 of the stem and first stage that it freezes."""
    n_saved = 77 * 5 * (1024 + 1)  # a class costs one score and four coordinates, each of 1,024 weights and a bias
    assert count_parameters(detector("backbone=resnet50")) == pytest.approx(41.53e6 + 225_344 - n_saved, rel=1e-3)


def test_multiply_adds_of_a_backbone_are_those_of_its_paper() -> None:
    """ResNet-18 at 224 px: 1.8e9 without its classifier (He et al., 2016, table 1)."""
    model = detector("backbone=resnet18", "width=narrow")
    both = multiply_adds(model, 224)
    model.backbone.forward = lambda inputs: tuple(
        inputs.new_zeros(1, channels, 224 // stride, 224 // stride)
        for channels, stride in ((64, 4), (128, 8), (256, 16), (512, 32))
    )
    assert both - multiply_adds(model, 224) == pytest.approx(1.8e9, rel=0.02)


@pytest.mark.parametrize("name", ["faster_rcnn", "cascade_rcnn", "retinanet"])
def test_count_depends_on_no_weights_and_leaves_the_mode(name: str) -> None:
    counts = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = detector(f"detector={name}", "backbone=resnet18", "width=narrow").train()
        counts.append(multiply_adds(model, 96))
        assert model.training
    assert counts[0] == counts[1] > 0
