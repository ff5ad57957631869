"""Every pruner gives up what is clearly bad and never the best, and a study built anew decides as the old one."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import TrialRecord
from sweeper.study.optuna_study import Study
from tests.sweeper.study.searches import AP, MEMORY, N_EPOCHS, PLAIN, best_of, curve_of, front_of, record_of, search_of

PRUNERS: Mapping[str, Mapping[str, Any]] = {
    "median": {},
    "percentile": {"percentile": 40.0},
    "successive_halving": {"pauses": False},
    "hyperband": {},
    "threshold": {"lower": 5},
    "patient": {"patience": 1},
    "patient of median": {"patience": 0, "wrapped_pruner": {"name": "median"}},
}
FALLING = {epoch: 0.04 - 0.003 * epoch for epoch in range(1, N_EPOCHS + 1)}


def pruning(name: str, **settings: Any) -> Search:
    return search_of(PLAIN, pruner={"name": name.partition(" ")[0], **PRUNERS[name]}, sampler="random", **settings)


def point(number: int) -> dict[str, float]:
    return {"optimizer.lr": 1e-3 * (1 + number), "optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-4}


def train(study: Study, number: int, curve: Mapping[int, float], **more: Any) -> TrialRecord:
    """Train one trial until it is given up or has come to its end."""
    handle = study.open(point(number))
    for epoch, value in curve.items():
        if study.report(handle, epoch, value):
            seen = {known: curve[known] for known in range(1, epoch + 1)}
            record = record_of(number, point(number), state=JobState.PRUNED, curve=seen)
            break
    else:
        record = record_of(number, point(number), curve[max(curve)], curve=curve, **more)
    study.tell(handle, record)
    return record


def heights(n: int, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [chance.uniform(0.1, 0.5) for _ in range(n)]


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_curve_is_given_up_and_the_best_never(name: str, seed: int) -> None:
    study = Study(pruning(name), N_EPOCHS)
    aps = heights(20, seed)
    records = [train(study, number, curve_of(ap)) for number, ap in enumerate(aps)]
    best = records[aps.index(max(aps))]
    assert best.state is JobState.COMPLETED
    assert best_of(study) == [best]
    # Hyperband's last bracket lets trials go as far as the ninth epoch, and it draws brackets.
    bad = [train(study, number, FALLING) for number in range(20, 23)]
    assert all(record.state is JobState.PRUNED for record in bad)


def test_nobody_is_given_up_without_a_pruner_or_where_rungs_decide() -> None:
    for node in ({"name": "none"}, {"name": "successive_halving", "pauses": True}):
        study = Study(search_of(PLAIN, pruner=node), N_EPOCHS)
        records = [train(study, number, curve_of(ap)) for number, ap in enumerate([0.5, 0.4, 0.3, 0.01])]
        assert {record.state for record in records} == {JobState.COMPLETED}


def test_a_training_that_has_come_to_its_end_is_not_given_up() -> None:
    # The last rung of successive halving lies on the last epoch here.
    study = Study(pruning("successive_halving"), 9)
    train(study, 0, curve_of(0.5, 9))
    handle = study.open(point(1))
    assert [study.report(handle, epoch, 0.01) for epoch in range(8, 10)] == [True, False]


def test_precision_is_compared_with_a_threshold_in_points() -> None:
    study = Study(search_of(PLAIN, pruner={"name": "threshold", "lower": 5, "n_warmup_steps": 1}), N_EPOCHS)
    assert not study.report(study.open(point(0)), 1, 0.06)
    assert study.report(study.open(point(1)), 1, 0.04)


def test_a_loss_prunes_a_search_for_precision() -> None:
    search = pruning("median", prune_by="val/loss")
    study = Study(search, N_EPOCHS)
    for number in range(6):
        handle = study.open(point(number))
        curve = {epoch: 2.0 / epoch for epoch in range(1, N_EPOCHS + 1)}
        assert not any(study.report(handle, epoch, loss) for epoch, loss in curve.items())
        study.tell(handle, record_of(number, point(number), 0.3, curve=curve))
    assert not study.report(study.open(point(6)), 6, 0.1)
    assert study.report(study.open(point(7)), 6, 1.9)


def test_several_objectives_are_pruned_by_one_metric() -> None:
    search = search_of(PLAIN, objectives=[AP, MEMORY], prune_by=AP, pruner="median", sampler="tpe", n_trials=30)
    study = Study(search, N_EPOCHS)
    ended = []
    for number, ap in enumerate(heights(24)):
        asked = study.ask()
        assert asked is not None
        curve = curve_of(ap)
        last = next((epoch for epoch in curve if study.report(asked.handle, epoch, curve[epoch])), None)
        state = JobState.COMPLETED if last is None else JobState.PRUNED
        more = {"ap": ap, "memory": 4.0 + number} if last is None else {}
        ended.append(record_of(number, asked.params, state=state, curve=curve, **more))
        study.tell(asked.handle, ended[-1])
    n_pruned = sum(record.state is JobState.PRUNED for record in ended)
    assert 5 < n_pruned < 20
    assert best_of(study)[0].values[AP] == max(heights(24))
    assert best_of(study)[0] in front_of(study)


def test_a_default_outside_of_the_space_counts_for_the_pruner() -> None:
    search = search_of(PLAIN, pruner={"name": "median", "n_startup_trials": 1})
    alone, told = Study(search, N_EPOCHS), Study(search, N_EPOCHS)
    outside = {"optimizer.lr": 30.0, "optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-4}
    handle = told.open(outside)
    for epoch, value in curve_of(0.5).items():
        told.report(handle, epoch, value)
    told.tell(handle, record_of(0, outside, 0.5, origin="default", curve=curve_of(0.5)))
    assert [study.report(study.open(point(1)), 5, 0.01) for study in (alone, told)] == [False, True]
    assert best_of(told)[0].trial.origin == "default"


@pytest.mark.parametrize("name", PRUNERS)
def test_a_study_built_anew_decides_as_the_old_one_would_have(name: str) -> None:
    search = pruning(name)
    old = Study(search, N_EPOCHS)
    for number, ap in enumerate(heights(16)):
        train(old, number, curve_of(ap))
    running = old.open(point(16))
    assert not old.report(running, 1, 0.9)
    new = Study(search, N_EPOCHS, n_told=16)
    for record in old.records:
        new.add(record)
    resumed = new.open(point(16))
    new.report(resumed, 1, 0.9)
    for number, ap in enumerate(heights(12, seed=5), start=17):
        assert train(old, number, curve_of(ap)).state is train(new, number, curve_of(ap)).state
    for epoch in range(2, N_EPOCHS + 1):
        assert old.report(running, epoch, 0.2) is new.report(resumed, epoch, 0.2)
