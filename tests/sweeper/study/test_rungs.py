"""The pausing rungs: nobody trains twice, the best is never lost, and the default never waits."""

import math
import random
from collections.abc import Callable

import pytest

from sweeper.study.rungs import Rungs, first_rung, rung_epochs

N_EPOCHS = 12


def play(
    rungs: Rungs, values: dict[str, Callable[[int], float]], n_slots: int, choose: random.Random
) -> dict[str, list[int]]:
    """Train trials on so many slots, in an order that chance decides; return the epochs that each one trained."""
    coming = list(values)
    running: list[str] = []
    trained: dict[str, list[int]] = {job_id: [] for job_id in values}
    while True:
        while len(running) < n_slots:
            job_id = rungs.promotable()
            if job_id is not None:
                rungs.promote(job_id)
            elif coming:
                job_id = coming.pop(0)
            elif not running and (job_id := rungs.last_chance()) is not None:
                rungs.promote(job_id)
            if job_id is None:
                break
            running.append(job_id)
        if not running:
            return trained
        job_id = choose.choice(running)
        epoch = len(trained[job_id]) + 1
        trained[job_id].append(epoch)
        if epoch == N_EPOCHS or rungs.reach(job_id, epoch, values[job_id](epoch)):
            running.remove(job_id)


def steady(height: float) -> Callable[[int], float]:
    """Return a curve whose order among others is the same at every epoch."""
    return lambda epoch: height * (1 - math.exp(-epoch / 4))


@pytest.mark.parametrize("n_slots", [1, 3, 8])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_curves_that_never_cross_is_trained_to_the_end(seed: int, n_slots: int) -> None:
    chance = random.Random(seed)
    n_trials = chance.randint(1, 40)
    heights = {f"{number:04d}": chance.random() for number in range(n_trials)}
    trained = play(Rungs(N_EPOCHS), {job_id: steady(height) for job_id, height in heights.items()}, n_slots, chance)
    finished = [job_id for job_id, epochs in trained.items() if len(epochs) == N_EPOCHS]
    assert max(heights, key=heights.__getitem__) in finished


@pytest.mark.parametrize("seed", range(8))
def test_every_trial_goes_on_from_where_it_rested_and_rests_only_at_rungs(seed: int) -> None:
    chance = random.Random(seed)
    noise = random.Random(seed + 100)
    values = {f"{number:04d}": lambda epoch: epoch + noise.gauss(0, 3) for number in range(30)}
    rungs = Rungs(N_EPOCHS)
    trained = play(rungs, values, 4, chance)
    for epochs in trained.values():
        assert epochs == list(range(1, len(epochs) + 1))
        assert len(epochs) in (*rungs.epochs, N_EPOCHS)
    assert sum(map(len, trained.values())) < 0.6 * 30 * N_EPOCHS


@pytest.mark.parametrize("seed", range(8))
def test_who_was_promoted_is_never_held_there_again_and_is_among_the_best_third_of_that_moment(seed: int) -> None:
    chance = random.Random(seed)
    rungs = Rungs(N_EPOCHS)
    values: dict[str, float] = {}
    promoted: set[str] = set()
    for number in range(60):
        job_id = f"{number:04d}"
        values[job_id] = chance.random()
        if not rungs.reach(job_id, 1, values[job_id]):
            promoted.add(job_id)
        while (waiting := rungs.promotable()) is not None:
            assert waiting not in promoted
            rungs.promote(waiting)
            promoted.add(waiting)
        order = sorted(values, key=values.__getitem__, reverse=True)
        assert set(order[: len(values) // 3]) <= promoted
        assert all(not rungs.reach(known, 1, -1.0) for known in promoted)
        assert set(rungs.waiting) == set(values) - promoted


def test_the_default_never_waits_and_takes_nobody_s_place() -> None:
    rungs = Rungs(N_EPOCHS)
    rungs.let_pass("0000")
    assert [rungs.reach("0000", epoch, 0.9) for epoch in range(1, N_EPOCHS + 1)] == [False] * N_EPOCHS
    assert rungs.reach("0001", 1, 0.5)
    assert rungs.reach("0002", 1, 0.6)
    assert rungs.promotable() is None  # one in three of two is nobody, whoever else has been here
    assert rungs.reach("0003", 1, 0.1)
    assert rungs.promotable() == "0002"


def test_the_highest_rung_is_served_first() -> None:
    rungs = Rungs(N_EPOCHS)
    for number, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]):
        rungs.reach(f"{number:04d}", 1, value)
    for job_id in ("0008", "0007"):
        rungs.promote(job_id)
        rungs.reach(job_id, 3, 0.5)
    rungs.reach("0006", 3, 0.1)
    assert rungs.promotable() == "0008"
    rungs.promote("0008")
    assert rungs.promotable() is None


def test_a_loss_is_better_the_lower_it_is() -> None:
    rungs = Rungs(N_EPOCHS, "minimize")
    assert [rungs.reach(name, 1, loss) for name, loss in (("a", 3.0), ("b", 1.0), ("c", 2.0))] == [True, True, True]
    assert rungs.promotable() == "b"


def test_a_value_that_is_no_number_is_never_promoted() -> None:
    rungs = Rungs(N_EPOCHS)
    assert [rungs.reach(f"{number}", 1, math.nan) for number in range(4)] == [True] * 4
    assert rungs.promotable() is None
    assert rungs.last_chance() is None
    assert rungs.standing("3") == "place 4 of 4 after epoch 1"


def test_the_next_best_takes_the_place_of_one_that_failed() -> None:
    rungs = Rungs(N_EPOCHS)
    for name, value in (("a", 0.1), ("b", 0.3), ("c", 0.2), ("d", 0.0)):
        rungs.reach(name, 1, value)
    rungs.promote("b")
    assert rungs.promotable() is None
    rungs.drop("b")
    assert rungs.promotable() == "c"


def test_an_epoch_told_twice_changes_nothing() -> None:
    rungs = Rungs(N_EPOCHS)
    assert rungs.reach("a", 1, 0.1)
    assert rungs.reach("a", 1, 0.9)
    assert rungs.reach("b", 1, 0.2)
    assert not rungs.reach("c", 1, 0.5)
    assert rungs.standing("c") == "place 1 of 3 after epoch 1"


def test_who_is_measured_every_other_epoch_is_judged_at_the_next_one() -> None:
    rungs = Rungs(N_EPOCHS)
    assert rungs.reach("a", 2, 0.1)
    rungs.promote("a")
    assert rungs.reach("a", 4, 0.2)
    assert rungs.waiting == ("a",)


@pytest.mark.parametrize(
    ("n_epochs", "first", "factor", "expected"),
    [(12, 1, 3, (1, 3, 9)), (24, 2, 3, (2, 6, 18)), (1, 1, 3, ()), (9, 1, 3, (1, 3)), (12, 2, 4, (2, 8))],
)
def test_rungs_lie_before_the_last_epoch(n_epochs: int, first: int, factor: int, expected: tuple[int, ...]) -> None:
    assert rung_epochs(n_epochs, first, factor) == expected


def test_a_first_rung_costs_a_ninth_of_a_training() -> None:
    assert [first_rung(n_epochs) for n_epochs in (1, 3, 12, 24, 36, 100)] == [1, 1, 1, 2, 4, 11]


def test_a_single_epoch_holds_nobody() -> None:
    assert not Rungs(1).reach("a", 1, 0.0)


@pytest.mark.parametrize(("first", "factor"), [(0, 3), (1, 1)])
def test_numbers_out_of_range_are_refused(first: int, factor: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        Rungs(N_EPOCHS, min_resource=first, reduction_factor=factor)


def test_a_search_says_which_rungs_it_wants() -> None:
    node = {"name": "successive_halving", "pauses": True, "min_resource": 2, "reduction_factor": 2}
    assert Rungs.of(node, N_EPOCHS, "maximize").epochs == (2, 4, 8)
    assert Rungs.of({"name": "successive_halving", "pauses": True}, N_EPOCHS, "maximize").epochs == (1, 3, 9)
