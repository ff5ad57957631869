"""A study takes in whatever becomes of a trial, and is built anew from what was told."""

import math
import statistics
from collections.abc import Mapping

import pytest

from runners.contract.dimensions import Value
from runners.contract.states import JobState
from sweeper.study.optuna_study import Asked, Study
from tests.sweeper.study.searches import (
    AP,
    CONDITIONAL,
    MEMORY,
    N_EPOCHS,
    PLAIN,
    best_of,
    curve_of,
    front_of,
    plain_ap,
    record_of,
    search_of,
)

SAMPLERS = ("tpe", "random", "cmaes", "nsgaii", "qmc")
PAUSING = {"name": "successive_halving", "pauses": True}


def ask(study: Study) -> Asked:
    asked = study.ask()
    assert asked is not None
    return asked


def told(study: Study, n: int, first: int = 0, **more: float) -> list[Asked]:
    result = []
    for number in range(first, first + n):
        result.append(ask(study))
        study.tell(result[-1].handle, record_of(number, result[-1].params, plain_ap(result[-1].params), **more))
    return result


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_is_built_anew_from_its_records_and_what_runs_goes_on(sampler: str) -> None:
    search = search_of(PLAIN, sampler=sampler, pruner="median")
    old = Study(search, N_EPOCHS)
    told(old, 15)
    running = ask(old)
    new = Study(search, N_EPOCHS, n_told=15)
    for record in old.records:
        new.add(record)
    handle = new.open(running.params)
    assert new.records == old.records
    assert (best_of(new, 3), front_of(new)) == (best_of(old, 3), front_of(old))
    assert not new.report(handle, 1, 0.1)
    new.tell(handle, record_of(15, running.params, ap=0.99))
    assert best_of(new)[0].trial.number == 15
    assert ask(new).params != running.params


@pytest.mark.parametrize(
    ("sampler", "objectives"),
    [
        *[(sampler, [AP]) for sampler in SAMPLERS],
        *[(sampler, [AP, MEMORY]) for sampler in SAMPLERS if sampler != "cmaes"],
    ],
)
def test_however_trials_end_the_next_one_is_asked_for(sampler: str, objectives: list[str]) -> None:
    study = Study(search_of(PLAIN, sampler=sampler, objectives=objectives, pruner=PAUSING), N_EPOCHS)
    ends = (JobState.FAILED, JobState.CANCELLED, JobState.PRUNED, JobState.COMPLETED, JobState.REUSED)
    n_ended = 0
    for state in ends:
        for n_epochs in (0, 1, 2):
            asked = ask(study)
            curve = {epoch: 0.2 for epoch in range(1, n_epochs + 1)}
            for epoch, value in curve.items():
                study.report(asked.handle, epoch, value)
            study.tell(asked.handle, record_of(n_ended, asked.params, 0.5, state, memory=3.0, curve=curve))
            n_ended += 1
    told(study, 4, first=n_ended, memory=4.0)
    assert len(study.records) == n_ended + 4
    assert len(best_of(study, 100)) == 6 + 4


@pytest.mark.parametrize("values", [{}, {AP: math.nan}, {AP: math.inf}, {MEMORY: 3.0}])
def test_a_completed_trial_without_its_objective_counts_for_nothing(values: Mapping[str, float]) -> None:
    study = Study(search_of(PLAIN), N_EPOCHS)
    asked = ask(study)
    record = record_of(0, asked.params)
    study.tell(asked.handle, type(record)(record.trial, record.job_id, record.state, values))
    assert best_of(study) == []
    told(study, 1, first=1)
    assert [record.trial.number for record in best_of(study, 5)] == [1]


def test_the_best_keeps_all_limits() -> None:
    study = Study(search_of(PLAIN, constraints={MEMORY: {"max": 8}}), N_EPOCHS)
    for number, (ap, violation) in enumerate([(0.3, -1.0), (0.9, 0.5), (0.4, 0.0), (0.2, -4.0)]):
        asked = ask(study)
        study.tell(asked.handle, record_of(number, asked.params, ap, constraints={MEMORY: violation}))
    assert [record.values[AP] for record in best_of(study, 10)] == [0.4, 0.3, 0.2]


def test_tpe_keeps_to_limits_where_the_best_would_break_them() -> None:
    def mean_momentum(limited: bool) -> float:
        study = Study(search_of(PLAIN, constraints={MEMORY: {"max": 7}} if limited else {}), N_EPOCHS)
        asked = []
        for number in range(50):
            asked.append(ask(study))
            momentum = float(asked[-1].params["optimizer.momentum"])
            broken = {MEMORY: 10 * momentum - 7} if limited else {}
            study.tell(asked[-1].handle, record_of(number, asked[-1].params, momentum, constraints=broken))
        return statistics.mean(float(one.params["optimizer.momentum"]) for one in asked[-15:])

    assert mean_momentum(limited=True) < 0.75 < 0.85 < mean_momentum(limited=False)


def test_the_front_of_two_objectives_holds_those_that_nothing_beats() -> None:
    study = Study(search_of(PLAIN, objectives=[AP, MEMORY]), N_EPOCHS)
    for number, (ap, memory) in enumerate([(0.5, 8.0), (0.4, 4.0), (0.4, 6.0), (0.3, 4.0), (0.5, 8.0), (0.1, 1.0)]):
        asked = ask(study)
        study.tell(asked.handle, record_of(number, asked.params, ap, memory=memory))
    assert [record.trial.number for record in front_of(study)] == [0, 1, 5]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "outside",
    [
        {"optimizer.lr": 30.0, "optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-4},
        {"optimizer.lr": 0.1, "optimizer.momentum": 0.9},
        {"optimizer.lr": 0.1, "optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-4, "optimizer": "sgd"},
    ],
    ids=["out of range", "too few", "too many"],
)
def test_a_point_outside_of_the_space_is_taken_in_and_the_sampler_told_nothing(
    sampler: str, outside: dict[str, Value]
) -> None:
    search = search_of(PLAIN, sampler=sampler, pruner=PAUSING)
    plain, with_default = Study(search, N_EPOCHS), Study(search, N_EPOCHS)
    handle = with_default.open(outside)
    with_default.report(handle, 1, 0.1)
    with_default.tell(handle, record_of(0, outside, 0.9, origin="default"))
    with_default.add(record_of(1, outside, 0.8, origin="warm"))
    assert [one.params for one in told(plain, 15)] == [one.params for one in told(with_default, 15, first=2)]
    assert best_of(with_default)[0].trial.origin == "default"


def test_a_default_inside_of_a_conditional_space_is_known_to_the_sampler() -> None:
    default = {"optimizer": "sgd", "optimizer.lr (sgd)": 0.02, "optimizer.momentum": 0.9}
    default |= {"optimizer.weight_decay": 1e-4, "batch_size": 16}
    search = search_of(CONDITIONAL, sampler={"name": "tpe", "n_startup_trials": 1})
    study = Study(search, N_EPOCHS)
    study.tell(study.open(default), record_of(0, default, 0.5, origin="default"))
    # With one trial told, the sampler's own choice is around it, not all over the space.
    asked = [ask(study) for _ in range(30)]
    assert sum(one.params["optimizer"] == "sgd" for one in asked) > 12


def test_a_confirming_trial_tells_the_study_nothing() -> None:
    study = Study(search_of(PLAIN), N_EPOCHS)
    study.add(record_of(0, told(Study(search_of(PLAIN), N_EPOCHS), 1)[0].params, 0.9, origin="confirm"))
    assert study.records == ()
    assert best_of(study) == []


def standing_study(pruner: str | Mapping[str, object] = PAUSING) -> Study:
    """Return a study whose 24 trials measured one epoch each and have not ended; a momentum of 0.6 is best."""
    study = Study(search_of(PLAIN, pruner=pruner, n_trials=50), N_EPOCHS)
    for number in range(24):
        momentum = 0.5 + 0.02 * number
        params = {"optimizer.lr": 0.02, "optimizer.momentum": momentum, "optimizer.weight_decay": 1e-4}
        study.report(study.open(params), 1, 0.3 - abs(momentum - 0.6))
    return study


def off(study: Study) -> float:
    """Return how far from a momentum of 0.6 the next points lie, on average."""
    return statistics.mean(abs(float(ask(study).params["optimizer.momentum"]) - 0.6) for _ in range(10))


def test_where_trials_rest_the_sampler_learns_from_all_that_have_not_ended() -> None:
    assert off(standing_study()) < 0.5 * off(standing_study(pruner="none"))


def test_trials_are_compared_at_rungs_and_not_between_them() -> None:
    """The worst have gone on to the second epoch; the second rung is the third."""
    at_rung, between = standing_study(), standing_study()
    for handle in range(17, 25):
        between.report(handle, 2, 0.9)
    assert [ask(at_rung).params for _ in range(5)] == [ask(between).params for _ in range(5)]
    for handle in range(17, 25):
        between.report(handle, 3, 0.9)
    assert off(between) > 2 * off(at_rung)


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.PRUNED])
def test_a_trial_that_has_ended_counts_as_what_it_became_and_as_nothing_else(state: JobState) -> None:
    """The sampler goes on as if it had known nothing before, though those that were best then end as the worst."""
    rested = standing_study()
    direct = Study(search_of(PLAIN, pruner=PAUSING, n_trials=50), N_EPOCHS)
    for number, handle in enumerate(range(1, 25)):
        momentum = 0.5 + 0.02 * number
        params = {"optimizer.lr": 0.02, "optimizer.momentum": momentum, "optimizer.weight_decay": 1e-4}
        record = record_of(number, params, momentum, state, curve=curve_of(momentum))
        rested.tell(handle, record)
        direct.add(record)
    asked = [ask(rested).params for _ in range(5)]
    assert asked == [ask(direct).params for _ in range(5)]
    assert statistics.mean(float(params["optimizer.momentum"]) for params in asked) > 0.8
