"""Every shipped search fits the configs, and the default of each lies inside of its space."""

import pytest

from runners.contract.search import Search
from sweeper.planning.compose import Composer
from sweeper.planning.overrides import parse_override
from sweeper.planning.resolvers import register
from sweeper.planning.search_check import hints, space_problems
from sweeper.planning.search_space import default_point, inside, search_of
from tests.composition import CONF

SHIPPED = sorted(path.stem for path in CONF.glob("search/*.yaml"))
# What those say whose space is empty.
SAID = {
    "space": ["optimizer.lr=tag(log,interval(0.002,0.2))"],
    "grid": ["backbone=resnet18,resnet50", "optimizer.lr=0.01,0.02"],
}
# Whose default rate is another one.
BESIDE = ["detector=retinanet", "optimizer=adamw"]


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


def read(composer: Composer, *words: str) -> tuple[Search, list[str]]:
    overrides = list(map(parse_override, ["dataset=shapes", *words]))
    config = composer.compose([str(entry.input_line) for entry in overrides if not entry.is_sweep_override()])
    search, shared = search_of(config, overrides)
    return search, [str(entry.input_line) for entry in shared]


def test_the_searches_are_those_that_are_promised() -> None:
    assert {"sgd", "adamw", "optimizer", "optimizer_backbone", "cost", "space", "grid"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_search_fits_the_configs_and_holds_the_default(name: str, composer: Composer) -> None:
    search, shared = read(composer, f"search={name}", *SAID.get(name, []))
    assert search.name == name
    assert space_problems(search, composer, shared, f"{name}.yaml") == []
    assert inside(search, default_point(search, composer.compose(shared))) == []
    assert hints(search) == []


@pytest.mark.parametrize("beside", BESIDE)
def test_the_default_of_other_parts_lies_inside_as_well(beside: str, composer: Composer) -> None:
    search, shared = read(composer, "search=optimizer", beside)
    assert inside(search, default_point(search, composer.compose(shared))) == []


def test_each_optimizer_has_its_own_dimensions_around_its_default(composer: Composer) -> None:
    search, shared = read(composer, "search=narrow_optimizer")
    (optimizers,) = [entry.choices for entry in search.dimensions if entry.key == "optimizer"]
    assert len(optimizers) == 5
    for optimizer in optimizers:
        config = composer.compose([*shared, f"optimizer={optimizer}"])
        point = default_point(search, config)
        own = {"optimizer.momentum"} if optimizer == "sgd" else {"optimizer.betas"}
        assert set(point) == {"optimizer", "optimizer.lr", "optimizer.weight_decay"} | own
        assert inside(search, point) == []


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("search.pruner=median", lambda search: search.pruner == {"name": "median"}),
        ("search.pruner.name=none", lambda search: not search.prunes),
        ("search.pruner.pauses=false", lambda search: not search.pauses),
        ("search.sampler=random", lambda search: search.sampler == {"name": "random"}),
        ("+search.sampler.n_startup_trials=4", lambda search: search.sampler["n_startup_trials"] == 4),
        ("search.objectives=[val/loss]", lambda search: search.objectives[0].direction == "minimize"),
        ("search.prune_by=val/loss", lambda search: search.prune_direction == "minimize"),
        ("+search.constraints={cost/wall_s:{max:60}}", lambda search: search.constraints[0].max == 60),
        ("search.target=50", lambda search: search.target == 0.5),
        ("search.timeout=60", lambda search: search.timeout_s == 60),
        ("search.exclude=[{optimizer:sgd}]", lambda search: search.is_excluded({"optimizer": "sgd"})),
    ],
)
def test_a_setting_is_overridden_by_its_key(word: str, found: object, composer: Composer) -> None:
    assert callable(found)
    assert found(read(composer, "search=optimizer", word)[0])
