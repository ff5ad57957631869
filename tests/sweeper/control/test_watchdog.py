"""Which attempts stand still, at literal times."""

import pytest

from runners.contract.records import MetricRecord
from sweeper.control.watchdog import Watchdog


def record(**progress: object) -> MetricRecord:
    return MetricRecord(0.0, 1, 1, {}, progress)


@pytest.fixture
def dog() -> Watchdog:
    dog = Watchdog(first_limit_s=100.0, limit_s=10.0)
    dog.start("0001", 0.0)
    return dog


def test_the_first_step_may_take_longer_than_the_others(dog: Watchdog) -> None:
    dog.record("0001", record(phase="build"), 5.0)
    assert dog.stalled(105.0) == {}
    assert dog.stalled(105.5) == {"0001": 100.5}
    dog.record("0001", record(phase="train", epoch=1, iteration=1), 106.0)
    assert dog.stalled(116.0) == {}
    assert dog.stalled(117.0) == {"0001": 11.0}


def test_only_progress_counts_and_no_sign_of_life(dog: Watchdog) -> None:
    step = record(phase="train", epoch=1, iteration=50)
    dog.record("0001", step, 1.0)
    dog.record("0001", step, 8.0)
    dog.record("0001", MetricRecord(9.0, 1, 50, {"iter/loss": 0.5}, step.progress), 9.0)
    assert dog.stalled(11.5) == {"0001": 10.5}


@pytest.mark.parametrize(
    "further",
    [{"iteration": 51}, {"epoch": 2}, {"phase": "val"}, {"batch": 7}],
    ids=lambda further: next(iter(further)),
)
def test_each_measure_of_progress_counts(dog: Watchdog, further: dict[str, object]) -> None:
    begun = {"phase": "train", "epoch": 1, "iteration": 50}
    dog.record("0001", record(**begun), 1.0)
    dog.record("0001", record(**{**begun, **further}), 9.0)
    assert dog.stalled(19.0) == {}
    assert dog.stalled(19.1) == {"0001": pytest.approx(10.1)}


def test_jobs_are_watched_apart_and_no_longer_than_they_run(dog: Watchdog) -> None:
    dog.start("0002", 50.0)
    assert dog.stalled(101.0) == {"0001": 101.0}
    dog.end("0001")
    assert dog.stalled(101.0) == {}
    dog.start("0001", 101.0)  # its next attempt begins anew
    assert dog.stalled(160.0) == {"0002": 110.0}
