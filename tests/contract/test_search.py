"""Searches as files: what is read, what is refused, and points of conditional spaces."""

from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.search import Dimension, Search, read_search
from runners.contract.states import JobState
from runners.contract.trials import Trial, TrialRecord

SPACE: dict[str, Any] = {
    "optimizer": {"choices": ["sgd", "adam", "adamw"]},
    "optimizer.lr": [
        {"when": {"optimizer": "sgd"}, "low": 0.002, "high": 0.2, "log": True},
        {"when": {"optimizer": ["adam", "adamw"]}, "low": 1e-5, "high": 1e-3, "log": True},
    ],
    "optimizer.momentum": {"when": {"optimizer": "sgd"}, "low": 0.8, "high": 0.99},
}
NUMBERS = {"x": {"low": 1, "high": 2}, "y": {"low": 1, "high": 2}}
SOUND: dict[str, Any] = {
    "name": "all",
    "space": SPACE,
    "objectives": {"val/bbox_mAP_50": "maximize"},
    "pruner": {"name": "successive_halving"},
}


def read(**changes: Any) -> Search:
    return read_search({**SOUND, **changes}, "all.yaml")


def dimension(node: dict[str, Any], key: str = "x") -> Dimension:
    return read(space={key: node}).dimensions[0]


class TestSpace:
    def test_alternatives_are_told_apart_and_a_single_one_has_the_keys_name(self) -> None:
        names = [entry.name for entry in read().dimensions]
        assert names == ["optimizer", "optimizer.lr (sgd)", "optimizer.lr (adam,adamw)", "optimizer.momentum"]

    def test_a_point_has_the_dimensions_of_its_choices(self) -> None:
        search = read()
        assert [entry.name for entry in search.active({"optimizer": "adamw"})] == [
            "optimizer",
            "optimizer.lr (adam,adamw)",
        ]

    def test_conditions_are_looked_at_while_a_point_grows(self) -> None:
        point: dict[str, str] = {}
        for entry in read().active(point):
            point[entry.key] = "sgd" if entry.key == "optimizer" else "0.9"
        assert point == {"optimizer": "sgd", "optimizer.lr": "0.9", "optimizer.momentum": "0.9"}

    def test_a_point_and_what_the_study_calls_it_are_the_same_to_the_last_digit(self) -> None:
        search, lr = read(), 0.1 + 0.2
        point = search.point({"optimizer": "sgd", "optimizer.lr (sgd)": lr, "optimizer.momentum": 0.9})
        assert point == {"optimizer": "sgd", "optimizer.lr": repr(lr), "optimizer.momentum": "0.9"}
        assert search.params(point) == {"optimizer": "sgd", "optimizer.lr (sgd)": lr, "optimizer.momentum": 0.9}

    def test_choices_stand_as_in_an_override(self) -> None:
        assert dimension({"choices": [0.9, True, None, [0.9, 0.999], "sgd"]}).choices == (
            *("0.9", "true", "null", "[0.9,0.999]", "sgd"),
        )

    @pytest.mark.parametrize(
        ("node", "values"),
        [
            ({"low": 2, "high": 5, "type": "int"}, ("2", "3", "4", "5")),
            ({"low": 8, "high": 33, "type": "int", "step": 8}, ("8", "16", "24", "32")),
            ({"low": 0.1, "high": 0.5, "step": 0.1}, ("0.1", "0.2", "0.3", "0.4", "0.5")),
            ({"choices": ["a", "b"]}, ("a", "b")),
        ],
    )
    def test_values_of_a_finite_dimension_are_in_it(self, node: dict[str, Any], values: tuple[str, ...]) -> None:
        found = dimension(node)
        assert found.values() == values
        assert all(found.holds(value) for value in values)

    @pytest.mark.parametrize(
        ("node", "text", "is_held"),
        [
            ({"low": 0.1, "high": 0.5}, "0.5", True),
            ({"low": 0.1, "high": 0.5}, "0.51", False),
            ({"low": 0.1, "high": 0.5, "step": 0.1}, "0.25", False),
            ({"low": 1, "high": 5, "type": "int"}, "2.5", False),
            ({"low": 1, "high": 5, "type": "int"}, "sgd", False),
            ({"choices": ["sgd"]}, "adam", False),
        ],
    )
    def test_what_lies_outside_is_not_held(self, node: dict[str, Any], text: str, is_held: bool) -> None:
        assert dimension(node).holds(text) == is_held

    def test_a_grid_goes_through_conditions_and_leaves_out_what_is_excluded(self) -> None:
        space = {
            "optimizer": {"choices": ["sgd", "adam"]},
            "momentum": {"when": {"optimizer": "sgd"}, "choices": [0.8, 0.9]},
            "neck": {"choices": ["fpn", "pafpn"]},
        }
        search = read(space=space, exclude=[{"optimizer": "sgd", "neck": "pafpn"}])
        assert search.grid() == [
            {"optimizer": "sgd", "momentum": "0.8", "neck": "fpn"},
            {"optimizer": "sgd", "momentum": "0.9", "neck": "fpn"},
            {"optimizer": "adam", "neck": "fpn"},
            {"optimizer": "adam", "neck": "pafpn"},
        ]


def test_what_is_described_is_read_again() -> None:
    search = read(
        exclude=[{"optimizer": ["sgd", "adam"], "optimizer.momentum": 0.9}],
        objectives=["val/bbox_mAP", "cost/wall_s"],
        constraints={"val/bbox_mAP_s": {"min": 5}, "cost/peak_memory_gb": {"max": 20, "min": 1}},
        sampler={"name": "tpe", "n_startup_trials": 4},
        prune_by="val/loss",
        timeout=3600,
        target=35,
        max_failures=3,
        confirm=3,
    )
    assert read_search(search.describe(), "x") == search


def test_precision_is_in_points_and_kept_in_shares() -> None:
    search = read(target=35, constraints={"val/bbox_mAP_s": {"min": 5}})
    assert search.target == pytest.approx(0.35)
    assert search.constraints[0].violation(0.02) == pytest.approx(0.03)
    assert search.constraints[0].violation(0.5) < 0


def test_each_objective_of_a_list_has_its_better_direction() -> None:
    search = read(objectives=["val/bbox_mAP", "cost/wall_s", "cost/images_per_s"])
    assert [entry.direction for entry in search.objectives] == ["maximize", "minimize", "maximize"]


def test_successive_halving_pauses_unless_it_is_told_not_to_and_no_other_pruner_does() -> None:
    assert read().pauses
    assert not read(pruner={"name": "successive_halving", "pauses": False}).pauses
    assert read(pruner={"name": "median", "pauses": None}).pruner == {"name": "median"}
    assert not read(pruner="none").prunes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_trails": 3}, "unknown key in all.yaml: n_trails; a search has name, space"),
        ({"space": {"x": {"low": 1, "high": 1}}}, "empty range in all.yaml: space x low 1, high 1"),
        ({"space": {"x": {"low": 0, "high": 1, "log": True}}}, "no logarithm in all.yaml: space x low 0"),
        ({"space": {"x": {"low": 1, "high": 9, "log": True, "step": 2}}}, "step on a logarithmic scale in all.yaml"),
        ({"space": {"x": {"low": 1, "high": 2, "step": 3}}}, "step 3; at most high - low = 1"),
        ({"space": {"x": {"low": 1, "high": 2, "step": -1}}}, "space x step -1; above 0"),
        ({"space": {"x": {"low": 1.5, "high": 2, "type": "int"}}}, "no number in all.yaml: space x low 1.5; a whole"),
        ({"space": {"x": {"low": "1e-5x", "high": 2}}}, "no number in all.yaml: space x low 1e-5x; a number"),
        ({"space": {"x": {"low": 1}}}, "no number in all.yaml: space x high null"),
        ({"space": {"x": {"low": 1, "high": 2, "type": "bool"}}}, "unknown type in all.yaml: space x type bool"),
        ({"space": {"x": {"low": 1, "high": 2, "lg": True}}}, "unknown key in all.yaml: space x lg; a dimension has"),
        ({"space": {"x": {"low": 1, "high": 2, "log": "yes"}}}, "unknown value in all.yaml: space x log yes"),
        ({"space": {"x": {"choices": []}}}, "no choices in all.yaml: space x"),
        ({"space": {"x": {"choices": ["a", "a"]}}}, "choice named twice in all.yaml: space x a, a"),
        ({"space": {"x": {"choices": ["a"], "low": 1}}}, "two kinds in all.yaml: space x has choices beside low"),
        ({"space": {"x": [1]}}, "no range in all.yaml: space x 1; give {choices"),
        ({"space": {"x": []}}, "no values in all.yaml: space x"),
        ({"space": {}}, "no space in all.yaml: nothing to search over"),
        ({"space": None}, "no space in all.yaml: None"),
        (
            {"space": {**SPACE, "x": {"when": {"y": 1}, "low": 1, "high": 2}}},
            "space x when y; one of the dimensions bef",
        ),
        (
            {"space": {**SPACE, "x": {"when": {"optimizer": "lion"}, "low": 1, "high": 2}}},
            "optimizer has sgd, adam, ad",
        ),
        ({"space": {**SPACE, "x": {"when": {"optimizer.lr": 1}, "low": 1, "high": 2}}}, "optimizer.lr is a range"),
        ({"space": {"x": [{"low": 1, "high": 2}, {"low": 3, "high": 4}]}}, "overlapping alternatives in all.yaml"),
        ({"space": {"dataset.n_folds": {"choices": [3, 4]}}}, "trials on different terms in all.yaml: space dataset.n"),
        ({"space": {"seed": {"choices": [3, 4]}}}, "trials on different terms in all.yaml: space seed"),
        ({"space": {"n_epochs": {"choices": [3, 4]}}}, "trials of different length in all.yaml: space n_epochs beside"),
        ({"exclude": [{"neck": "fpn"}]}, "unknown key in all.yaml: exclude neck; one of the dimensions optimizer, opt"),
        ({"exclude": [{"optimizer": "lion"}]}, "unknown value in all.yaml: exclude optimizer lion; it has sgd"),
        ({"exclude": ["sgd"]}, "no values in all.yaml: exclude sgd"),
        ({"exclude": {"optimizer": "sgd"}}, "no list in all.yaml: exclude {optimizer:sgd}"),
        ({"objectives": {}}, "no objective in all.yaml"),
        ({"objectives": {"mAP": "maximize"}}, "unknown metric in all.yaml: objective mAP; one of val/bbox_mAP"),
        ({"objectives": {"test/bbox_mAP": "maximize"}}, "objective on test in all.yaml: test/bbox_mAP; test is what"),
        ({"objectives": {"val/bbox_mAP": "up"}}, "unknown direction in all.yaml: val/bbox_mAP up"),
        (
            {"objectives": {"cost/wall_s": "maximize"}, "prune_by": "val/loss"},
            "wrong direction in all.yaml: cost/wall_s",
        ),
        ({"objectives": ["cost/wall_s"]}, "nothing to prune by in all.yaml: cost/wall_s is not measured on val"),
        ({"prune_by": "cost/wall_s"}, "nothing to prune by in all.yaml: cost/wall_s"),
        ({"constraints": {"cost/memory": {"max": 2}}}, "unknown metric in all.yaml: constraint cost/memory"),
        ({"constraints": {"cost/wall_s": 20}}, "no limit in all.yaml: constraint cost/wall_s 20; {max: 20}"),
        ({"constraints": {"cost/wall_s": {"max": "x"}}}, "no number in all.yaml: constraint cost/wall_s max x"),
        ({"constraints": {"cost/wall_s": {"max": 1, "min": 2}}}, "empty range in all.yaml: constraint cost/wall_s"),
        ({"constraints": ["cost/wall_s"]}, "no limits in all.yaml: constraints [cost/wall_s]"),
        ({"sampler": "bayes"}, "unknown sampler in all.yaml: bayes; one of tpe, random"),
        (
            {"sampler": "grid", "space": {"x": {"low": 1, "high": 2}}},
            "continuous dimension in all.yaml: space x 1 to 2",
        ),
        ({"sampler": "cmaes"}, "sampler without effect in all.yaml: cmaes, of no numbers; it wants two"),
        (
            {"sampler": "cmaes", "objectives": ["val/loss", "cost/wall_s"], "space": NUMBERS},
            "sampler with several objectives in all.yaml",
        ),
        ({"pruner": "asha"}, "unknown pruner in all.yaml: asha; one of none, median"),
        ({"pruner": {"name": "median", "pauses": True}}, "pauses without rungs in all.yaml: pruner median"),
        ({"pruner": {"name": "successive_halving", "pauses": 1}}, "unknown value in all.yaml: pruner pauses 1"),
        ({"n_trials": 0}, "number out of range in all.yaml: n_trials 0; a whole number from 1 to 100000"),
        ({"n_trials": 2.5}, "number out of range in all.yaml: n_trials 2.5"),
        ({"n_trials": None}, "number out of range in all.yaml: n_trials null"),
        ({"timeout": -1}, "number out of range in all.yaml: timeout -1; a number from 1 to 1e+09, or null"),
        ({"warm_start": "yes"}, "unknown value in all.yaml: warm_start yes; true or false"),
    ],
)
def test_what_is_refused_is_told_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        read(**change)
    (line,) = caught.value.problems
    assert said in line


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        read(n_trials=0, sampler="x", space={"x": {"low": 2, "high": 1, "lg": 1}}, objectives=[])
    assert len(caught.value.problems) == 5


def test_an_open_space_may_be_empty() -> None:
    assert read_search({**SOUND, "space": {}}, "x", is_open=True).dimensions == ()


class TestTrials:
    def test_a_trial_is_read_as_it_was_stored(self) -> None:
        trial = Trial(7, {"optimizer": "sgd", "optimizer.lr (sgd)": 0.1 + 0.2, "batch_size": 8}, "confirm", of="0003")
        assert Trial.read(trial.describe()) == trial

    def test_an_unknown_origin_is_no_trial(self) -> None:
        with pytest.raises(ValueError, match="origin guessed"):
            Trial.read({"number": 1, "params": {}, "origin": "guessed"})

    def test_a_record_is_read_as_it_was_stored(self) -> None:
        record = TrialRecord(
            trial=Trial(1, {"x": 1.5}, "warm", run="abc"),
            state=JobState.PRUNED,
            values={"val/bbox_mAP": 0.1},
            curve={2: 0.2, 1: 0.1},
            constraints={"cost/wall_s": -3.0},
            reason="worse than others",
            started_at=1.0,
        )
        assert TrialRecord.read(record.describe()) == record

    def test_who_breaks_a_limit_is_infeasible(self) -> None:
        trial = Trial(1, {})
        assert TrialRecord(trial, constraints={"cost/wall_s": 0.0}).is_feasible
        assert not TrialRecord(trial, constraints={"cost/wall_s": 0.0, "cost/peak_memory_gb": 0.1}).is_feasible
