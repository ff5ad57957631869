"""The table of complexities is what a job would count itself; what a step keeps is what a hand count gives."""

import pytest
import torch
from torch import nn

from runners.activations import count_saved_bytes
from runners.complexity_table import count_complexity
from sweeper.forecast.complexity import COLUMNS, find_complexity
from tests.composition import compose


class _OneStage(nn.Module):
    """Two convolutions that keep their size, a ReLU in place and a norm: what is kept can be counted on paper."""

    def __init__(self, with_cp: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = _Block(with_cp)

    def extract_feat(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(inputs))

    def bbox_head(self, features: torch.Tensor) -> torch.Tensor:
        return features


class _Block(nn.Module):
    def __init__(self, with_cp: bool) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.layers = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Sigmoid(), nn.Conv2d(8, 4, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.with_cp:
            return torch.utils.checkpoint.checkpoint(self.layers, features, use_reentrant=True)
        return self.layers(features)


def test_what_a_step_keeps_is_counted_once_and_without_weights_and_images() -> None:
    # The first convolution's result and the sigmoid's, which the second convolution keeps too; not the image.
    assert count_saved_bytes(_OneStage(), torch.zeros(1, 3, 16, 16), 0) == 2 * 8 * 16 * 16 * 4


def test_a_block_that_is_computed_again_counts_once_as_a_whole() -> None:
    # Its input, kept until then; in the backward pass its input once more and the sigmoid's result.
    assert count_saved_bytes(_OneStage(with_cp=True), torch.zeros(1, 3, 16, 16), 0) == 3 * 8 * 16 * 16 * 4


@pytest.mark.parametrize("detector", ["faster_rcnn", "retinanet"])
def test_the_table_holds_what_is_counted(detector: str) -> None:
    """Fails when a group was changed and ``python -m benchmarks.complexity_table`` not run again."""
    classes = ",".join(f"c{number}" for number in range(80))
    choices = [f"detector={detector}", "backbone=resnet18", "neck=fpn", "width=narrow"]
    models = [
        compose(*choices, "dataset=coco", "dataset.root=data", f"dataset.classes=[{classes}]", f"weights={weights}")
        for weights in ("imagenet", "none")
    ]
    known = find_complexity(models[0]["choices"])
    counted = count_complexity(models[0]["model"], models[1]["model"])
    for name in COLUMNS:
        assert getattr(known, name) == pytest.approx(counted[name], rel=1e-3), name
