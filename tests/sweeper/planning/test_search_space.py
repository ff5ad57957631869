"""The search of a command line: dimensions replaced, added and fixed, and a space checked against the configs."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from runners.contract.dimensions import Dimension
from runners.contract.errors import UserError
from runners.contract.search import Search
from sweeper.planning.axes import read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.overrides import parse_override
from sweeper.planning.resolvers import register
from sweeper.planning.search_check import hints, space_problems
from sweeper.planning.search_space import default_point, inside, quoted, search_of

CONF = Path(__file__).parents[3] / "conf"
SPACE: dict[str, Any] = {
    "optimizer": {"choices": ["sgd", "adam", "adamw"]},
    "optimizer.lr": [
        {"when": {"optimizer": "sgd"}, "low": 0.002, "high": 0.2, "log": True},
        {"when": {"optimizer": ["adam", "adamw"]}, "low": 1e-5, "high": 1e-3, "log": True},
    ],
    "optimizer.momentum": {"when": {"optimizer": "sgd"}, "low": 0.8, "high": 0.99},
}
EXCLUDE = [{"optimizer": ["sgd", "adam"], "backbone": "swin_t"}]
WITH_BACKBONE = {"backbone": {"choices": ["resnet50", "swin_t"]}, **SPACE}


def config_of(space: dict[str, Any] | None = None, **more: Any) -> DictConfig:
    search = {"name": "x", "space": space or {}, "objectives": ["val/bbox_mAP_50"], **more}
    return OmegaConf.create({"search": search, "hydra": {"runtime": {"choices": {"search": "x"}}}})


def searched(*words: str, space: dict[str, Any] | None = None, **more: Any) -> tuple[Search, list[str]]:
    search, rest = search_of(config_of(space, **more), list(map(parse_override, words)))
    return search, [override.input_line or "" for override in rest]


def problems(*words: str, space: dict[str, Any] | None = None, **more: Any) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        searched(*words, space=space, **more)
    return tuple(caught.value.problems)


def described(search: Search) -> dict[str, Any]:
    space: dict[str, Any] = search.describe()["space"]
    return space


class TestCommandLine:
    @pytest.mark.parametrize(
        ("word", "node"),
        [
            ("lr=tag(log,interval(1e-4,1e-1))", {"low": 0.0001, "high": 0.1, "log": True}),
            ("lr=interval(1,10)", {"low": 1.0, "high": 10.0}),
            ("lr=int(interval(1,10))", {"low": 1, "high": 10, "type": "int"}),
            ("lr=tag(log,int(interval(1,10)))", {"low": 1, "high": 10, "type": "int", "log": True}),
            ("lr=range(1,10,3)", {"low": 1, "high": 7, "type": "int", "step": 3}),
            ("lr=range(10,1,-3)", {"low": 4, "high": 10, "type": "int", "step": 3}),
            ("lr=range(1,5)", {"low": 1, "high": 4, "type": "int"}),
            ("lr=range(0.1,0.5,0.1)", {"low": 0.1, "high": 0.4, "step": 0.1}),
            ("lr=1,2", {"choices": ["1", "2"]}),
            ("lr=choice(a)", {"choices": ["a"]}),
            ("lr=[1,2],[3]", {"choices": ["[1,2]", "[3]"]}),
            ("lr='a b',c", {"choices": ["'a b'", "c"]}),
        ],
    )
    def test_hydras_grammar_makes_dimensions(self, word: str, node: dict[str, Any]) -> None:
        search, rest = searched(word, "n_epochs=4")
        assert described(search) == {"lr": node}
        assert rest == ["n_epochs=4"]

    def test_a_later_value_of_a_key_counts(self) -> None:
        search, rest = searched("lr=1,2", "neck=a,b", "neck=fpn", "lr=3,4", "seed=1", "seed=2")
        assert described(search) == {"lr": {"choices": ["3", "4"]}}
        assert rest == ["neck=fpn", "seed=2"]

    def test_values_are_replaced_and_conditions_stay(self) -> None:
        search, _ = searched("optimizer.lr=interval(0.1,0.2)", space=SPACE)
        assert [entry.when["optimizer"] for entry in search.dimensions if entry.key == "optimizer.lr"] == [
            ("sgd",),
            ("adam", "adamw"),
        ]
        assert {entry.span for entry in search.dimensions if entry.key == "optimizer.lr"} == {(0.1, 0.2)}

    def test_fewer_choices_narrow_the_conditions_on_them(self) -> None:
        search, _ = searched("optimizer=adamw,adam", space=SPACE)
        assert described(search) == {
            "optimizer": {"choices": ["adamw", "adam"]},
            "optimizer.lr": {
                "when": {"optimizer": ["adamw", "adam"]},
                **{"low": 1e-5, "high": 1e-3, "log": True},
            },
        }

    def test_what_is_fixed_is_searched_no_more_and_settles_conditions(self) -> None:
        search, rest = searched("optimizer=sgd", "optimizer.momentum=0.9", space=SPACE)
        assert described(search) == {"optimizer.lr": {"low": 0.002, "high": 0.2, "log": True}}
        assert [entry.name for entry in search.dimensions] == ["optimizer.lr"]
        assert rest == ["optimizer=sgd", "optimizer.momentum=0.9"]

    def test_exclusions_follow_what_is_fixed(self) -> None:
        assert searched("backbone=swin_t", space=WITH_BACKBONE, exclude=EXCLUDE)[0].exclude == (
            {"optimizer": ("sgd", "adam")},
        )
        assert searched("backbone=resnet50", space=WITH_BACKBONE, exclude=EXCLUDE)[0].exclude == ()

    def test_exclusions_of_choices_that_are_searched_no_more_go(self) -> None:
        narrowed, _ = searched("optimizer=sgd,adamw", space=WITH_BACKBONE, exclude=EXCLUDE)
        assert narrowed.exclude == ({"optimizer": ("sgd",), "backbone": ("swin_t",)},)
        assert searched("backbone=resnet50,resnet18", space=WITH_BACKBONE, exclude=EXCLUDE)[0].exclude == ()

    @pytest.mark.parametrize(
        "dimension",
        [
            Dimension("a.b", "a.b", "float", 1e-5, 0.1, log=True),
            Dimension("a", "a", "float", 0.1, 0.5, step=0.1),
            Dimension("a", "a", "int", 1, 9, step=2),
            Dimension("a", "a", "int", 1, 9, log=True),
            Dimension("a", "a", "categorical", choices=("sgd", "[0.9,0.999]", "'x y'")),
            Dimension("a", "a", "categorical", choices=("sgd",)),
        ],
    )
    def test_what_is_printed_for_a_shell_is_read_again(self, dimension: Dimension) -> None:
        (word,) = shlex.split(quoted(dimension))
        assert searched(word)[0].dimensions == (dimension,)


class TestRefused:
    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("seed=0,1", "seeds beside a search in seed=0,1: a trial is trained once"),
            ("fold=range(0,3)", "folds beside a search in fold=range(0,3)"),
            ("gpus=0,1", "no dimension in gpus=0,1: 'gpus' is a setting of the whole sweep"),
            ("tracking.uri=a,b", "no dimension in tracking.uri=a,b"),
            ("recipe=a,b", "two recipes in recipe=a,b"),
            ("lr=tag(lg,interval(1,2))", "unknown tag in override 'lr=tag(lg,interval(1,2))': lg"),
            ("lr=interval(2,1)", "empty range in override 'lr=interval(2,1)': space lr low 2.0, high 1.0"),
            ("lr=tag(log,interval(0,1))", "no logarithm in override 'lr=tag(log,interval(0,1))'"),
            ("lr=1,1", "choice named twice in override 'lr=1,1'"),
            ("lr=range(5,1)", "no value in override 'lr=range(5,1)'"),
        ],
    )
    def test_what_is_no_dimension(self, word: str, said: str) -> None:
        (line,) = problems(word, "neck=a,b")
        assert said in line

    def test_all_mistakes_are_told_at_once(self) -> None:
        assert len(problems("seed=0,1", "lr=interval(2,1)", n_trials=0)) == 2
        assert len(problems("seed=0,1", "lr=interval(2,1)")) == 2

    def test_an_empty_space(self) -> None:
        assert problems("n_epochs=4") == (
            "no space in search/x.yaml: nothing to search over; give intervals or choices, such as "
            "'optimizer.lr=tag(log,interval(0.001,0.1))'",
        )

    def test_a_grid_of_an_interval(self) -> None:
        (line,) = problems("lr=interval(1,2)", sampler="grid")
        assert line.startswith("continuous dimension in search/x.yaml: space lr 1 to 2")

    def test_a_fixed_point_that_is_excluded(self) -> None:
        words = ("optimizer=sgd", "backbone=swin_t")
        (line,) = problems(*words, space=WITH_BACKBONE, exclude=EXCLUDE)
        assert line.startswith("nothing left in search/x.yaml: what the command line fixes is excluded")

    def test_arms_of_a_hypothesis(self) -> None:
        config = config_of(SPACE)
        config.hypothesis = {"name": "bigger"}
        config.hydra.runtime.choices.hypothesis = "bigger"
        with pytest.raises(UserError, match="search of a hypothesis in hypothesis=bigger: its arms are compared"):
            search_of(config, [parse_override("seed=0,1,2")])

    def test_an_interval_without_a_search_says_what_could_be_done(self) -> None:
        with pytest.raises(UserError, match=r"no values to go through; .* or search=space"):
            read_axes([parse_override("lr=interval(0,1)")])


class TestPoints:
    def test_the_default_is_what_stands_in_the_config(self) -> None:
        config = config_of(SPACE)
        config.optimizer = {"lr": 0.02, "momentum": "${of}"}
        config.of = 0.5
        config.hydra.runtime.choices.optimizer = "sgd"
        search, _ = search_of(config, [parse_override("+extra=1,2"), parse_override("pair=[1,1e-4],[2]")])
        config.pair = [1, 0.0001]
        point = default_point(search, config)
        assert point == {
            "optimizer": "sgd",
            "optimizer.lr": "0.02",
            "optimizer.momentum": "0.5",
            "pair": "[1,0.0001]",
        }
        assert inside(search, point) == [
            "optimizer.momentum=0.5 lies outside of 0.8 to 0.99",
            "+extra has no value; it is searched in 1, 2",
        ]

    def test_an_excluded_default_lies_outside(self) -> None:
        search, _ = searched(space=WITH_BACKBONE, exclude=EXCLUDE)
        point = {"backbone": "swin_t", "optimizer": "adam", "optimizer.lr": "0.0001"}
        assert inside(search, point) == ["backbone=swin_t, optimizer=adam, optimizer.lr=0.0001 is excluded"]


class TestHints:
    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"sampler": {"name": "nsgaii", "population_size": 50}}, "population_size=50 trials at random before"),
            ({"sampler": {"name": "tpe", "n_startup_trials": 9}, "n_trials": 9}, "n_startup_trials=9 trials at random"),
            (
                {"sampler": "grid", "space": {"a": {"low": 0, "high": 99, "type": "int"}}},
                "100 points, of which n_trials=50",
            ),
            ({"objectives": ["val/loss", "cost/wall_s"], "pruner": "median"}, "pruned by val/loss alone"),
            ({"confirm": 1}, "one seed tells nothing"),
        ],
    )
    def test_what_is_perhaps_not_meant(self, more: dict[str, Any], said: str) -> None:
        search, _ = searched(**{"space": SPACE, **more})
        (line,) = hints(search)
        assert said in line

    def test_nothing_is_said_of_a_usual_search(self) -> None:
        assert hints(searched(space=SPACE)[0]) == []


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


class TestAgainstConfigs:
    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("optimizer.momentm=interval(0,1)", "no setting 'optimizer.momentm'; did you mean 'optimizer.momentum'?"),
            ("neck=fpn,bifpn", "unknown neck in override 'neck=bifpn': bifpn"),
            (
                "optimizer.momentum=interval(0.5,1.5)",
                "value out of range in search/x.yaml: space optimizer.momentum 1.5",
            ),
            ("optimizer.lr=0.1,high", "wrong type in override 'optimizer.lr=high'"),
            ("batch_size=interval(8,32)", "no whole numbers in search/x.yaml: space batch_size 8 to 32"),
        ],
    )
    def test_what_does_not_fit_is_told_once(self, composer: Composer, word: str, said: str) -> None:
        search, _ = searched(word)
        (line,) = space_problems(search, composer, ["dataset=shapes"], "search/x.yaml")
        assert said in line

    def test_a_setting_that_not_all_choices_have_wants_a_condition(self, composer: Composer) -> None:
        search, _ = searched("optimizer=sgd,adamw", "optimizer.momentum=interval(0.5,0.9)")
        assert space_problems(search, composer, ["dataset=shapes"], "search/x.yaml") == [
            "no setting in search/x.yaml: space optimizer.momentum is not there with optimizer=adamw; "
            "when: {optimizer: [sgd]}"
        ]

    def test_a_condition_is_enough(self, composer: Composer) -> None:
        search, _ = searched("optimizer=adamw,sgd", space=SPACE)
        assert space_problems(search, composer, ["dataset=shapes"], "search/x.yaml") == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("search.n_trials=3",), "no setting 'search.n_trials': no search is chosen; search=NAME beside it"),
            (
                ("search=sgd", "search.constraints={cost/wall_s:{max:9}}"),
                "no setting in override 'search.constraints={cost/wall_s:{max:9}}': search.constraints has no "
                "cost/wall_s; '+search.constraints={cost/wall_s:{max:9}}' adds it",
            ),
        ],
    )
    def test_a_setting_of_a_search_that_is_not_there(
        self, composer: Composer, words: tuple[str, ...], said: str
    ) -> None:
        assert composer.problems(["dataset=shapes", *words]) == [said]
