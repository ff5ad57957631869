"""From overrides to axes."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runners.contract.errors import UserError
from sweeper.planning.axes import Axes, read_axes


def axes(*words: str) -> Axes:
    return read_axes(OverridesParser.create().parse_overrides(list(words)))


def test_a_comma_makes_an_axis_and_the_last_axis_turns_fastest() -> None:
    found = axes("backbone=resnet50,resnet101", "batch_size=4", "seed=0,1")
    assert found.fixed == ["batch_size=4"]
    assert [found.overrides(point) for point in found.points()] == [
        ["batch_size=4", f"backbone={backbone}", f"seed={seed}"]
        for backbone in ("resnet50", "resnet101")
        for seed in "01"
    ]


def test_lists_are_values_of_an_axis() -> None:
    found = axes("model.rpn_head.anchor_generator.scales=[4],[8]")
    assert found.values == {"model.rpn_head.anchor_generator.scales": ["[4]", "[8]"]}


def test_no_axis_is_one_job() -> None:
    assert axes("seed=3").points() == [{}]


def test_the_command_line_replaces_what_a_recipe_brought() -> None:
    found = axes("backbone=swin_t,swin_l", "backbone=resnet50")
    assert (found.values, found.fixed) == ({}, ["backbone=resnet50"])


def test_doubled_values_are_trained_once_and_said() -> None:
    found = axes("seed=1,1,2")
    assert found.values == {"seed": ["1", "2"]}
    assert found.notices == ["axis 'seed' names 1 more than once; it is trained once"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("backbone=", "axis 'backbone' has no value"),
        ("output_dir=a,b", "'output_dir' is a setting of the whole sweep"),
        ("tracking=off,sqlite", "'tracking' is a setting of the whole sweep"),
        ("recipe=demo,backbones", "two recipes in recipe=demo,backbones"),
        ("optimizer.lr=interval(0,1)", "an interval has no values to go through"),
    ],
)
def test_what_is_no_axis_is_refused_by_name(word: str, told: str) -> None:
    with pytest.raises(UserError, match="in " + word.replace("(", r"\(").replace(")", r"\)")) as refused:
        axes(word)
    assert told in str(refused.value)


def test_all_problems_are_told_together() -> None:
    with pytest.raises(UserError) as refused:
        axes("backbone=", "output_dir=a,b")
    assert len(refused.value.problems) == 2
