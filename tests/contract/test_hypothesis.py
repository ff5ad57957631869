"""Hypotheses as files: what is read, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runners.contract.errors import UserError
from runners.contract.hypothesis import Comparison, read_hypothesis

SHIPPED = sorted((Path(__file__).parents[2] / "conf" / "hypothesis").glob("*.yaml"))
SOUND: dict[str, Any] = {
    "name": "neck",
    "claim": "PAFPN finds more.",
    "axis": "neck",
    "arms": ["fpn", "pafpn"],
    "metrics": {"val/bbox_mAP_50": {"margin": 1.0}, "train/loss": {"margin": 0.02}},
    "seeds": 3,
    "confidence": 0.95,
}


def test_margins_of_precision_are_in_points_and_others_as_they_are() -> None:
    read = read_hypothesis(SOUND, "neck.yaml")
    precision, loss = read.questions
    assert (precision.margin, precision.higher_is_better) == (0.01, True)
    assert (loss.margin, loss.higher_is_better) == (0.02, False)


def test_an_order_has_steps_and_a_baseline_treatments() -> None:
    ordered = read_hypothesis({**SOUND, "arms": ["a", "b", "c"]}, "x")
    assert ordered.is_ordered
    assert ordered.comparisons == (Comparison("b", "a"), Comparison("c", "b"))
    held_against = read_hypothesis({**SOUND, "arms": ["a", "b", "c"], "baseline": "b"}, "x")
    assert held_against.comparisons == (Comparison("a", "b"), Comparison("c", "b"))


def test_a_floor_compares_nothing() -> None:
    floor = read_hypothesis({**SOUND, "axis": None, "arms": []}, "x")
    assert floor.is_floor
    assert floor.comparisons == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arms": ["fpn"]}, "no comparison in neck.yaml: axis neck, arms fpn"),
        ({"arms": ["fpn", "fpn"]}, "arm named twice in neck.yaml"),
        ({"baseline": "sgd"}, "unknown baseline in neck.yaml: sgd; one of the arms fpn, pafpn"),
        ({"blocks": {"detector": []}}, "no values in neck.yaml: block detector"),
        ({"metrics": {}}, "no metrics in neck.yaml"),
        ({"metrics": {"mAP": {"margin": 1}}}, "unknown metric in neck.yaml: mAP"),
        ({"metrics": {"val/error_class": {"margin": 1}}}, "val/error_class; the costs of errors are val/error_classi"),
        ({"metrics": {"val/bbox_mAP": {}}}, "no margin in neck.yaml: val/bbox_mAP None"),
        ({"metrics": {"val/bbox_mAP": {"margin": -1}}}, "no margin in neck.yaml"),
        ({"seeds": 0}, "number out of range in neck.yaml: seeds 0"),
        ({"confidence": 95}, "number out of range in neck.yaml: confidence 95"),
        ({"until": "never"}, "unknown value in neck.yaml: until never"),
        ({"accepts": {"weights": ""}}, "no reason in neck.yaml: accepts weights"),
        ({"arm": ["fpn"]}, "unknown key in neck.yaml: arm"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_hypothesis({**SOUND, **change}, "neck.yaml")
    assert said in caught.value.problems[0]


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_shipped_hypotheses_are_sound_and_say_what_matters(path: Path) -> None:
    read = read_hypothesis(yaml.safe_load(path.read_text(encoding="utf-8"))["hypothesis"], path.name)
    assert read.name == path.stem
    assert read.is_floor or all(question.margin > 0 for question in read.questions)
