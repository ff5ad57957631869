"""A space that has an end holds no more trials than it has points."""

from typing import Any

from runners.contract.search import Search, read_search
from sweeper.study.counting import count_trials

AP = "val/bbox_mAP_50"
RATE = {"low": 0.001, "high": 0.1, "log": True}


def search_of(space: dict[str, Any] | None = None, **settings: Any) -> Search:
    return read_search({"space": space or {"optimizer.lr": RATE}, "objectives": [AP], **settings}, "toy.yaml")


def test_a_space_without_end_has_as_many_as_are_asked_for() -> None:
    assert count_trials(search_of(n_trials=7), {}) == 7


def test_a_finite_space_has_no_more_than_its_points() -> None:
    search = search_of({"backbone": {"choices": ["a", "b"]}, "n": {"low": 1, "high": 3, "type": "int"}})
    assert count_trials(search, {"backbone": "a", "n": "2"}) == 6


def test_a_default_outside_of_it_is_one_more() -> None:
    search = search_of({"backbone": {"choices": ["a", "b"]}})
    assert count_trials(search, {"backbone": "c"}) == 3


def test_a_condition_leaves_points_out() -> None:
    space = {
        "optimizer": {"choices": ["sgd", "adamw"]},
        "optimizer.momentum": {"low": 0.8, "high": 0.9, "step": 0.05, "when": {"optimizer": "sgd"}},
    }
    assert count_trials(search_of(space), {"optimizer": "adamw"}) == 4


def test_a_large_one_is_not_counted() -> None:
    search = search_of({"n": {"low": 1, "high": 10**7, "type": "int"}}, n_trials=30)
    assert count_trials(search, {"n": "2"}) == 30
