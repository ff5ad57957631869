"""Samplers and pruners by name: their options are Optuna's, and a wrong one is told with those that there are."""

import inspect
from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.search import read_search
from sweeper.study.methods import PRUNER_OPTIONS, SAMPLER_OPTIONS, notice_of, option_problems, pruner_defaults
from sweeper.study.samplers import PRUNERS, SAMPLERS, build_pruner, check_methods, unheard
from tests.sweeper.study.searches import AP, MEMORY, N_EPOCHS, PLAIN, search_of


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_option_of_a_sampler_is_one_of_optunas(name: str) -> None:
    assert set(SAMPLER_OPTIONS[name]) <= set(inspect.signature(SAMPLERS[name].__init__).parameters)


@pytest.mark.parametrize("name", PRUNERS)
def test_every_option_of_a_pruner_is_one_of_optunas(name: str) -> None:
    has = set(inspect.signature(PRUNERS[name].__init__).parameters) | {"pauses"}
    assert set(PRUNER_OPTIONS[name]) <= has
    assert set(pruner_defaults(name, N_EPOCHS, 50)) <= has


@pytest.mark.parametrize("name", [*SAMPLERS, "grid"])
@pytest.mark.parametrize("n_trials", [1, 50, 5000])
def test_every_sampler_is_built_with_its_defaults(name: str, n_trials: int) -> None:
    space = {"batch_size": {"choices": [4, 8]}} if name == "grid" else PLAIN
    check_methods(search_of(space, sampler=name, n_trials=n_trials), N_EPOCHS, "toy.yaml")


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("n_epochs", [1, 2, 12, 300])
def test_every_pruner_is_built_for_any_number_of_epochs(name: str, n_epochs: int) -> None:
    options = {"lower": 5} if name == "threshold" else {}
    search = search_of(pruner={"name": name, **options})
    check_methods(search, n_epochs, "toy.yaml")
    with unheard():
        build_pruner(search, n_epochs)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"sampler": {"name": "tpe", "n_startup_trails": 5}},
            "unknown option in toy.yaml: sampler tpe n_startup_trails; it has n_startup_trials, n_ei_candidates, "
            "multivariate, group, constant_liar; did you mean 'n_startup_trials'?",
        ),
        ({"sampler": {"name": "random", "seed": 3}}, "unknown option in toy.yaml: sampler random seed; it has none"),
        (
            {"sampler": {"name": "tpe", "n_startup_trials": 2.5}},
            "wrong value in toy.yaml: sampler tpe n_startup_trials 2.5; a whole number",
        ),
        (
            {"sampler": {"name": "tpe", "group": "yes"}},
            "wrong value in toy.yaml: sampler tpe group yes; true or false",
        ),
        (
            {"sampler": {"name": "qmc", "qmc_type": "sobel"}},
            "wrong options in toy.yaml: sampler qmc, qmc_type sobel; The `qmc_type='sobel'` is invalid. "
            "Choose either `halton` or `sobol`.",
        ),
        (
            {"pruner": {"name": "median", "warmup": 3}},
            "unknown option in toy.yaml: pruner median warmup; it has n_startup_trials, n_warmup_steps, "
            "interval_steps, n_min_trials; did you mean 'n_warmup_steps'?",
        ),
        (
            {"pruner": {"name": "hyperband", "min_resource": 12}},
            "number out of range in toy.yaml: pruner hyperband min_resource 12; an epoch before the last one, 1 to 11",
        ),
        (
            {"pruner": {"name": "successive_halving", "reduction_factor": 1}},
            "number out of range in toy.yaml: pruner successive_halving reduction_factor 1; 2 or more",
        ),
        (
            {"pruner": {"name": "successive_halving", "pauses": True, "bootstrap_count": 2}},
            "unknown option in toy.yaml: pruner successive_halving bootstrap_count beside pauses: true; with pauses it "
            "has min_resource, reduction_factor",
        ),
        (
            {"pruner": {"name": "threshold"}},
            "wrong options in toy.yaml: pruner threshold, no options; Either lower or upper must be specified.",
        ),
        (
            {"pruner": {"name": "patient", "wrapped_pruner": {"name": "medium"}}},
            "unknown pruner in toy.yaml: wrapped_pruner medium; one of median, percentile, successive_halving, "
            "hyperband, threshold; did you mean 'median'?",
        ),
        (
            {"pruner": {"name": "patient", "wrapped_pruner": {"name": "median", "patience": 1}}},
            "unknown option in toy.yaml: pruner median patience; it has n_startup_trials, n_warmup_steps, "
            "interval_steps, n_min_trials",
        ),
    ],
)
def test_a_wrong_option_is_told_in_one_line(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        check_methods(search_of(**settings), N_EPOCHS, "toy.yaml")
    assert list(caught.value.problems) == [told]


def test_sampler_and_pruner_are_told_of_together() -> None:
    with pytest.raises(UserError) as caught:
        check_methods(search_of(sampler={"name": "tpe", "a": 1}, pruner={"name": "median", "b": 2}), 12, "toy.yaml")
    assert len(caught.value.problems) == 2


def test_gaussian_processes_are_refused_for_what_they_would_import() -> None:
    assert option_problems("sampler", {"name": "gp"}, SAMPLER_OPTIONS, "toy.yaml") == [
        "unknown sampler in toy.yaml: gp; it needs torch where the search decides: use tpe"
    ]


def test_what_a_sampler_leaves_to_chance_is_said_once() -> None:
    assert notice_of(search_of()) is None
    assert notice_of(search_of(sampler="cmaes")) == (
        "search toy: optimizer, optimizer.lr (sgd), optimizer.lr (adam,adamw), optimizer.momentum drawn at random, as "
        "cmaes knows only numbers that are there in every trial; tpe takes them in"
    )
    assert notice_of(search_of(PLAIN, sampler="nsgaii", constraints={MEMORY: {"max": 8}})) is None
    assert "does not keep to them" in (
        notice_of(search_of(PLAIN, sampler="qmc", constraints={MEMORY: {"max": 8}})) or ""
    )


def test_an_unknown_sampler_is_refused_where_a_search_is_read() -> None:
    with pytest.raises(UserError, match=r"unknown sampler in toy\.yaml: tpee; one of tpe, random"):
        read_search({"space": PLAIN, "objectives": [AP], "sampler": "tpee"}, "toy.yaml")
