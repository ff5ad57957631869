"""A job that is composed in parts is the job that is composed as a whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from runners.contract.errors import UserError
from runners.contract.yamlfile import dump_yaml
from sweeper.planning.axes import Axes, read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.job_configs import JobConfigs
from sweeper.planning.resolvers import register
from tests.composition import CONF

FIXED = ("dataset=shapes", "dataset.shapes.n_train=12", "dataset.shapes.n_val=4", "dataset.shapes.n_test=4")
SMALL = (*FIXED, "backbone=resnet18", "width=narrow", "weights=none", "batch_size=4")


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


def axes_of(*overrides: str) -> Axes:
    return read_axes(OverridesParser.create().parse_overrides([*SMALL, *overrides]))


def compose_all(composer: Composer, axes: Axes, output_dir: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the configs of all jobs, and how many were composed as a whole."""
    configs = JobConfigs(composer, axes, output_dir)
    whole: list[Sequence[str]] = []
    compose = composer.compose

    def counted(overrides: Sequence[str]) -> DictConfig:
        whole.append(overrides)
        return compose(overrides)

    with patch.object(composer, "compose", counted):
        return [configs.job(point).config for point in axes.points()], len(whole)


@pytest.mark.parametrize(
    ("axes", "n_whole"),
    [
        (("seed=range(0,6)",), 1),
        (("optimizer.lr=0.01,0.02,0.04", "seed=0,1"), 1),
        (("batch_size=2,4,8", "n_epochs=6,12,24"), 1),
        (("optimizer=sgd,adamw", "optimizer.weight_decay=0.1,0.01,0.001"), 2),
        (("backbone=resnet18,resnet34", "image_size=96px,512px", "seed=0,1,2"), 4),
        (("model.rpn_head.anchor_generator.scales=[4],[8]", "pipeline.train.flip.prob=0.3,0.5"), 1),
        (("image_size.scale=[128,128],[96,96]", "augment=multiscale"), 1),
        (("best_by=bbox_mAP,bbox_mAP_50", "precision=fp32,bf16"), 1),
        # Nothing is shared where the data set follows, or a value is more than a value.
        (("dataset.shapes.seed=0,1",), 2),
        (("fold=0,1", "dataset.n_folds=2", "dataset.val=null"), 2),
        (("optimizer.lr='${optimizer.weight_decay}',0.1,0.2",), 1),
        (("optimizer.lr=0.1,'${optimizer.weight_decay}',0.2",), 2),
        (("+evaluation.extra=1,2",), 2),
    ],
)
def test_jobs_equal_those_composed_alone(
    composer: Composer, output_dir: Path, axes: tuple[str, ...], n_whole: int
) -> None:
    read = axes_of(*axes)
    composed, n_composed = compose_all(composer, read, output_dir)
    for point, config in zip(read.points(), composed, strict=True):
        alone = Axes({}, read.overrides(point), [])
        assert dump_yaml(config) == dump_yaml(JobConfigs(composer, alone, output_dir).job({}).config)
    assert n_composed == n_whole


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        ("optimizer.lr=0.1,0.2,-1", "value out of range in optimizer.lr: -1; a finite number above 0"),
        ("optimizer.lr=0.1,abc", "wrong type in override 'optimizer.lr=abc'"),
        ("batch_size=4,13", "value out of range in batch_size: 13; the training split has 12 images"),
        ("model.roi_head.bbox_head.num_classes=3,7", "number of classes differs from the data in model.roi_head"),
        ("optimizer.lr=0.1,'${no_such.key}'", "broken interpolation in optimizer.lr"),
        ("seed=0,???", "missing value in seed"),
    ],
)
def test_what_is_wrong_with_a_later_value_is_told(composer: Composer, output_dir: Path, axis: str, told: str) -> None:
    read = axes_of(axis)
    configs = JobConfigs(composer, read, output_dir)
    *sound, wrong = read.points()
    for point in sound:
        configs.job(point)
    with pytest.raises(UserError) as refused:
        configs.job(wrong)
    assert told in refused.value.problems[0]


def test_equal_parts_are_one_object(composer: Composer, output_dir: Path) -> None:
    composed, _ = compose_all(composer, axes_of("backbone=resnet18,resnet34", "seed=0,1"), output_dir)
    assert composed[0]["model"] is composed[1]["model"]
    assert composed[0]["pipeline"] is composed[2]["pipeline"]
