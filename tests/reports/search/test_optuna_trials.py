"""Trials as Optuna keeps them: states, values, parameters inside and outside of the space, limits, importance."""

import dataclasses
import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from reports.search.optuna_trials import build_study, distribution_of, frozen, importances
from runners.contract.dimensions import Dimension
from runners.contract.states import JobState
from runners.contract.trials import Trial, TrialRecord
from tests.reports.search.search_writing import point, search_of, strength

AP = "val/bbox_mAP_50"
LR = "optimizer.lr (sgd)"


def record(number: int = 0, state: JobState = JobState.COMPLETED, **more: object) -> TrialRecord:
    """Return a trial of the written search with its value."""
    params = point(number)
    values = {AP: strength(params)} if state is JobState.COMPLETED else {}
    curve = {1: 0.2, 2: 0.3}
    known = TrialRecord(
        Trial(number, params), f"{number + 1:04d}", state, values, curve, started_at=1e9, ended_at=1e9 + 60
    )
    return dataclasses.replace(known, **more)  # type: ignore[arg-type]


def test_dimensions_become_distributions() -> None:
    sgd_lr, adamw_lr = (one for one in search_of().dimensions if one.key == "optimizer.lr")
    assert distribution_of(search_of().dimensions[0]) == CategoricalDistribution(("sgd", "adamw"))
    assert distribution_of(sgd_lr) == FloatDistribution(0.002, 0.2, log=True)
    assert distribution_of(adamw_lr) == FloatDistribution(1e-5, 1e-3, log=True)
    assert distribution_of(Dimension("n", "n", "int", 2, 8, 2)) == IntDistribution(2, 8, step=2)
    assert distribution_of(Dimension("n", "n", "float", 0.0, 1.0, 0.25)) == FloatDistribution(0.0, 1.0, step=0.25)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (JobState.COMPLETED, TrialState.COMPLETE),
        (JobState.PRUNED, TrialState.PRUNED),
        (JobState.FAILED, TrialState.FAIL),
        (JobState.CANCELLED, TrialState.FAIL),
        (JobState.SKIPPED, TrialState.FAIL),
        (JobState.RUNNING, TrialState.RUNNING),
        (JobState.PAUSED, TrialState.RUNNING),
        (JobState.PLANNED, TrialState.WAITING),
    ],
)
def test_states_become_optunas(state: JobState, expected: TrialState) -> None:
    assert frozen(record(state=state), search_of()).state is expected
    (trial,) = build_study(search_of(), [record(state=state)]).trials
    assert trial.state is expected


def test_a_reused_trial_is_a_complete_one() -> None:
    trial = frozen(record(state=JobState.REUSED, values={AP: 0.5}), search_of())
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)


def test_a_pruned_trial_keeps_what_it_reached_and_why() -> None:
    trial = frozen(record(state=JobState.PRUNED, reason="below the others"), search_of())
    assert trial.value == 0.3
    assert trial.intermediate_values == {1: 0.2, 2: 0.3}
    assert trial.user_attrs["reason"] == "below the others"
    assert trial.duration is not None
    assert trial.duration.total_seconds() == 60


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_completed_trial_without_a_number_has_failed_for_optuna(value: float) -> None:
    assert frozen(record(values={AP: value}), search_of()).state is TrialState.FAIL
    assert frozen(record(values={}), search_of()).state is TrialState.FAIL


def test_values_are_as_recorded_or_in_points() -> None:
    search = search_of(objectives={AP: "maximize", "cost/wall_s": "minimize"}, pruner="none")
    told = record(values={AP: 0.5, "cost/wall_s": 60.0})
    assert frozen(told, search).values == [0.5, 60.0]
    in_points = frozen(told, search, in_points=True)
    assert in_points.values == [50.0, 60.0]
    assert in_points.intermediate_values == {1: 20.0, 2: 30.0}


def test_a_value_outside_of_the_space_widens_it_for_that_trial_or_stands_beside_it() -> None:
    wide = record(trial=Trial(0, {**point(0), LR: 0.5}))
    assert frozen(wide, search_of()).distributions[LR] == FloatDistribution(0.002, 0.5, log=True)
    odd = record(trial=Trial(0, {"optimizer": "lion", LR: 0.0, "optimizer.momentum": 0.9, "other": "x"}))
    trial = frozen(odd, search_of())
    assert trial.params == {"optimizer.momentum": 0.9}
    assert trial.user_attrs["outside of the space"] == {"optimizer": "lion", LR: 0.0, "other": "x"}
    study = build_study(search_of(), [record(), wide, odd])
    assert [len(one.params) for one in study.trials] == [4, 4, 1]


def test_the_best_of_a_study_keeps_all_limits() -> None:
    limit = "cost/peak_memory_gb"
    strong = record(1, constraints={limit: 2.0})
    study = build_study(search_of(constraints={limit: {"max": 20}}), [record(0, constraints={limit: -1.0}), strong])
    assert strong.values[AP] > study.trials[0].value
    assert study.best_trial.number == 0
    assert study.trials[1].constraints == {limit: 2.0}


def test_importance_names_what_the_trials_differ_by() -> None:
    search = search_of()
    records = [record(number) for number in range(40)]
    shares = importances(build_study(search, records), search)[AP]
    assert max(shares, key=lambda name: shares[name]) == "optimizer.lr (adamw)"
    assert sum(shares.values()) == pytest.approx(1.0)
    # Less is better of what is minimized: the same numbers turned round matter the same.
    turned = search_of(objectives={"val/loss": "minimize"})
    losses = [dataclasses.replace(one, values={"val/loss": 1 - one.values[AP]}) for one in records]
    assert importances(build_study(turned, losses), turned)["val/loss"] == pytest.approx(shares)


def test_importance_of_too_little_is_none() -> None:
    search = search_of()
    assert importances(build_study(search, []), search) == {}
    assert importances(build_study(search, [record()]), search) == {}
    assert importances(build_study(search, [record(), record()]), search) == {}


def test_optuna_keeps_its_voice_for_others(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    build_study(search_of(), [record()])
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")
