"""A hypothesis becomes the axes of its sweep."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runners.contract.errors import UserError
from runners.contract.hypothesis import Hypothesis, Question
from sweeper.planning.axes import Axes
from sweeper.planning.hypothesis_axes import asked_hypotheses, cross_arms, find_hypothesis, hypothesis_arguments

CLAIM = Hypothesis(
    name="bigger",
    claim="Bigger finds more.",
    axis="backbone",
    arms=("resnet18", "resnet34"),
    baseline=None,
    blocks={"detector": ("faster_rcnn", "retinanet")},
    questions=(Question("val/bbox_mAP_50", 0.01),),
    n_seeds=3,
    confidence=0.95,
    until_decided=False,
    accepts={},
)


def test_arms_blocks_and_seeds_are_axes_before_what_was_typed() -> None:
    found = hypothesis_arguments(CLAIM, ["n_epochs=4"])
    assert found == ["backbone=resnet18,resnet34", "detector=faster_rcnn,retinanet", "seed=0,1,2", "n_epochs=4"]


def test_typed_seeds_take_the_place_of_its_own() -> None:
    assert hypothesis_arguments(CLAIM, ["seed=7,8"])[2:] == ["seed=7,8"]


@pytest.mark.parametrize(
    ("typed", "instead"), [("backbone=swin_t", "hypothesis.arms"), ("detector=x", "hypothesis.blocks.detector")]
)
def test_what_it_varies_is_not_typed_beside_it(typed: str, instead: str) -> None:
    with pytest.raises(UserError, match=f"bigger compares .*{instead}"):
        hypothesis_arguments(CLAIM, [typed])


def test_another_axis_of_the_command_line_is_a_block() -> None:
    told = {"name": "x", "claim": "y", "axis": "neck", "arms": ["fpn", "pafpn"], "seeds": 3, "confidence": 0.95}
    config = OmegaConf.create({"hypothesis": {**told, "metrics": {"val/bbox_mAP": {"margin": 1.0}}}})
    axes = Axes({"neck": ["fpn", "pafpn"], "seed": ["0", "1"], "fold": ["0", "1", "2"]}, [], [])
    found = find_hypothesis(config)
    assert found is not None
    cross_arms(config, found, axes)
    crossed = find_hypothesis(config)
    assert crossed is not None
    assert crossed.blocks == {"fold": ("0", "1", "2")}


def test_several_hypotheses_stand_in_one_word() -> None:
    assert asked_hypotheses(["hypothesis=a,b,a", "seed=0,1"]) == (["a", "b"], ["seed=0,1"])


def test_the_command_line_plans_a_hypothesis(tmp_path: Path) -> None:
    words = ["plan", "--json", "hypothesis=narrow_optimizer", "hypothesis.seeds=2", "dataset.shapes.n_train=8"]
    code = f"import sys, sweeper.cli; sys.exit(sweeper.cli.main({words!r}))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    for place in (
        "sgd_96_4e_scratch_narrow_seed0",
        "sgd_96_4e_scratch_narrow_seed1",
        "adamw_96_4e_scratch_narrow_seed1",
    ):
        assert place in shown.stdout
