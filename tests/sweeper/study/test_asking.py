"""What a study asks for: points of a conditional space, better ones as it learns, none twice and none excluded."""

import itertools
import statistics
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runners.contract.dimensions import Value
from runners.contract.search import Search
from runners.contract.states import JobState
from sweeper.study.optuna_study import Asked, Study
from tests.sweeper.study.searches import CONDITIONAL, FINITE, N_EPOCHS, PLAIN, plain_ap, record_of, search_of

SAMPLERS = ("tpe", "random", "cmaes", "nsgaii", "qmc")


def run(study: Study, n: int, first: int = 0) -> list[Asked]:
    """Ask for points and tell each one's AP, a batch size away from 16 being bad; every seventh fails."""
    asked = []
    for number in range(first, first + n):
        one = study.ask()
        assert one is not None
        asked.append(one)
        ap = (
            plain_ap(one.params) if "optimizer" not in one.params else 1 / (1 + abs(int(one.params["batch_size"]) - 16))
        )
        state = JobState.FAILED if number % 7 == 6 else JobState.COMPLETED
        study.tell(one.handle, record_of(number, one.params, ap, state))
    return asked


def best_ap(sampler: str, seed: int, n: int = 60) -> float:
    study = Study(search_of(PLAIN, sampler=sampler, seed=seed, n_trials=n), N_EPOCHS)
    return max(plain_ap(one.params) for one in run(study, n))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_point_has_exactly_the_dimensions_that_apply_and_reads_back_to_the_same_numbers(
    sampler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    search = search_of(sampler=sampler, n_trials=200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked = run(Study(search, N_EPOCHS), 200)
    assert capfd.readouterr() == ("", "")
    assert {one.point["optimizer"] for one in asked} == {"sgd", "adam", "adamw"}
    for one in asked:
        applying = list(search.active(one.point))
        assert [dimension.name for dimension in applying] == list(one.params)
        assert all(dimension.holds(one.point[dimension.key]) for dimension in applying)
        for dimension in applying:
            value = one.params[dimension.name]
            read = OverridesParser.create().parse_override(f"{dimension.key}={one.point[dimension.key]}").value()
            assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsgaii"])
def test_a_sampler_that_learns_finds_better_than_chance_does(sampler: str) -> None:
    by_chance = statistics.median(best_ap("random", seed) for seed in range(9))
    n_better = sum(best_ap(sampler, seed) > by_chance for seed in range(3))
    assert n_better == 3


def test_a_sequence_covers_the_space_more_evenly_than_chance_does() -> None:
    def emptiest(sampler: str) -> float:
        lrs = sorted(
            float(one.params["optimizer.momentum"]) for one in run(Study(search_of(PLAIN, sampler=sampler), 1), 64)
        )
        return max(after - before for before, after in itertools.pairwise(lrs))

    assert emptiest("qmc") < 0.5 * emptiest("random")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_asks_for_the_same_and_another_one_for_others(sampler: str) -> None:
    def points(seed: int, n_told: int = 0) -> list[Mapping[str, Value]]:
        return [one.params for one in run(Study(search_of(sampler=sampler, seed=seed), N_EPOCHS, n_told), 12)]

    assert points(1) == points(1)
    assert points(1)[-1] != points(2)[-1]
    if sampler != "qmc":
        assert points(1)[-1] != points(1, n_told=5)[-1]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_excluded_is_never_asked_for_though_it_would_be_best(sampler: str) -> None:
    exclude = [{"optimizer": "sgd", "batch_size": 16}, {"optimizer": ["adam", "adamw"], "batch_size": [8, 16]}]
    search = search_of(sampler=sampler, exclude=exclude)
    asked = run(Study(search, N_EPOCHS), 25)
    assert not [one.point for one in asked if search.is_excluded(one.point)]
    assert {one.point["optimizer"] for one in asked} >= {"sgd", "adam"}


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii", "qmc", "grid"])
def test_a_space_that_has_an_end_is_gone_through_without_repetition_and_then_there_is_nothing(sampler: str) -> None:
    search = search_of(FINITE, sampler=sampler, exclude=[{"optimizer": "adamw", "batch_size": 24}])
    study = Study(search, N_EPOCHS)
    # sgd with three momenta, three batch sizes each; adamw with two batch sizes.
    asked = run(study, 11)
    assert sorted(map(str, (dict(one.point) for one in asked))) == sorted(map(str, search.grid()))
    assert study.ask() is None


def test_a_grid_keeps_its_order_and_goes_on_behind_what_is_known() -> None:
    search = search_of(FINITE, sampler="grid")
    first = run(Study(search, N_EPOCHS), 12)
    assert [one.point for one in first] == search.grid()
    study = Study(search, N_EPOCHS)
    study.add(record_of(0, first[0].params, 0.1))
    study.open(first[2].params)
    asked = study.ask()
    assert asked is not None
    assert asked.point == first[1].point


def test_a_step_that_just_fits_is_no_mistake_and_its_values_are_written_as_a_grid_has_them() -> None:
    # 0.9 - 0.8 is a little less than 0.1 for a computer, and 0.8 + 0.05 a little more than 0.85.
    for step, values in ((0.1, {"0.8", "0.9"}), (0.05, {"0.8", "0.85", "0.9"})):
        space = {"optimizer.momentum": {"low": 0.8, "high": 0.9, "step": step}, "batch_size": {"choices": [8, 16, 32]}}
        study = Study(search_of(space, sampler="random"), N_EPOCHS)
        asked = [study.ask() for _ in range(3 * len(values))]
        assert {one.point["optimizer.momentum"] for one in asked if one is not None} == values


def test_trials_that_run_side_by_side_keep_apart() -> None:
    study = Study(search_of(PLAIN), N_EPOCHS)
    run(study, 12)
    running = [study.ask() for _ in range(8)]
    assert len({tuple(one.params.items()) for one in running if one is not None}) == 8


def test_good_warm_trials_draw_the_sampler_to_them() -> None:
    search = search_of(PLAIN, seed=1)

    def distance(asked: list[Asked]) -> float:
        return statistics.mean(abs(float(one.params["optimizer.momentum"]) - 0.6) for one in asked)

    cold = Study(search, N_EPOCHS)
    warm = Study(search, N_EPOCHS)
    for number in range(30):
        momentum = 0.5 + 0.48 * number / 30
        params = {"optimizer.lr": 0.02, "optimizer.momentum": momentum, "optimizer.weight_decay": 1e-4}
        warm.add(record_of(number, params, ap=0.5 - abs(momentum - 0.6), origin="warm"))
    assert distance([warm.ask() or pytest.fail("no point") for _ in range(10)]) < 0.5 * distance(
        [cold.ask() or pytest.fail("no point") for _ in range(10)]
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_built_anew_asks_for_nothing_that_was_asked_for_before(sampler: str) -> None:
    search = search_of(CONDITIONAL, sampler=sampler, seed=2)
    study = Study(search, N_EPOCHS)
    before = run(study, 20)
    anew = rebuilt(search, study)
    after = run(anew, 20, first=20)
    assert not {str(one.params) for one in before} & {str(one.params) for one in after}


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsgaii"])
def test_a_study_built_anew_has_not_forgotten_what_was_learnt(sampler: str) -> None:
    early: list[float] = []
    late: list[float] = []
    for seed in range(3):
        search = search_of(PLAIN, sampler=sampler, seed=seed, n_trials=60)
        study = Study(search, N_EPOCHS)
        early += [plain_ap(one.params) for one in run(study, 45)[:15]]
        late += [plain_ap(one.params) for one in run(rebuilt(search, study), 15, first=45)]
    assert statistics.mean(late) > 1.3 * statistics.mean(early)


def rebuilt(search: Search, study: Study) -> Study:
    anew = Study(search, N_EPOCHS, n_told=len(study.records))
    for record in study.records:
        anew.add(record)
    return anew


def test_several_objectives_are_searched_by_all_samplers_that_know_them() -> None:
    settings: dict[str, Any] = {"objectives": ["val/bbox_mAP_50", "cost/peak_memory_gb"], "n_trials": 40}
    for sampler in ("tpe", "nsgaii", "random", "qmc"):
        study = Study(search_of(PLAIN, sampler=sampler, **settings), N_EPOCHS)
        for number in range(20):
            one = study.ask()
            assert one is not None
            memory = 10 * float(one.params["optimizer.momentum"])
            study.tell(one.handle, record_of(number, one.params, plain_ap(one.params), memory=memory))
        assert len(study.records) == 20
