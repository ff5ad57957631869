"""When all is done, on paper: jobs, shares, memory and several devices."""

import random
import time

import pytest

from sweeper.control.packing import Need
from sweeper.forecast.makespan import expected_finish
from sweeper.hardware.slots import Offer

ONE = Need()


@pytest.mark.parametrize(
    ("seconds", "n_devices", "finish_s"),
    [
        ([], 1, 0.0),
        ([3.0, 4.0], 1, 7.0),
        ([3.0, 4.0], 2, 4.0),
        ([1.0, 1.0, 2.0], 2, 2.0),  # in the given order it would be 3
        ([5.0], 8, 5.0),
        ([4.0, 3.0, 3.0, 2.0, 2.0, 2.0], 2, 8.0),
    ],
)
def test_longest_first(seconds: list[float], n_devices: int, finish_s: float) -> None:
    assert expected_finish([(job_s, ONE) for job_s in seconds], [Offer(1)] * n_devices) == finish_s


def test_shares_hold_several_jobs() -> None:
    jobs = [(2.0, ONE)] * 6
    assert expected_finish(jobs, [Offer(3)]) == 4.0


def test_memory_decides_how_many_jobs_share() -> None:
    jobs = [(2.0, Need(1, 10.0))] * 4
    assert expected_finish(jobs, [Offer(8, 24.0)]) == 4.0
    assert expected_finish(jobs, [Offer(8, 80.0)]) == 2.0


def test_a_small_job_goes_beside_a_large_one_that_two_large_ones_do_not_fit() -> None:
    jobs = [(5.0, Need(1, 15.0)), (5.0, Need(1, 15.0)), (4.0, Need(1, 5.0)), (4.0, Need(1, 5.0))]
    assert expected_finish(jobs, [Offer(8, 24.0)]) == 10.0


def test_a_job_of_unknown_size_or_too_large_runs_alone() -> None:
    assert expected_finish([(2.0, ONE), (2.0, Need(1, 1.0))], [Offer(8, 24.0)]) == 4.0
    assert expected_finish([(2.0, Need(1, 99.0))], [Offer(8, 24.0)]) == 2.0


def test_a_job_on_several_devices_waits_for_them_to_be_empty() -> None:
    jobs = [(6.0, ONE), (4.0, Need(2))]
    assert expected_finish(jobs, [Offer(1)] * 2) == 10.0
    assert expected_finish(jobs, [Offer(1)] * 3) == 6.0


def test_too_few_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="wants 2, got 1"):
        expected_finish([(1.0, Need(2))], [Offer(1)])


@pytest.mark.parametrize("n_devices", [2, 4, 8])
def test_near_the_lower_bound(n_devices: int) -> None:
    seconds = [random.Random(1).lognormvariate(8, 0.7) for _ in range(60)]
    bound = max(sum(seconds) / n_devices, *seconds)
    finish_s = expected_finish([(job_s, ONE) for job_s in seconds], [Offer(1)] * n_devices)
    assert bound <= finish_s <= 1.1 * bound


def test_ten_thousand_jobs_take_no_time() -> None:
    draw = random.Random(2)
    jobs = [(draw.random(), Need(1, draw.choice([2.0, 5.0, 11.0, 17.0]))) for _ in range(10_000)]
    began = time.process_time()
    expected_finish(jobs, [Offer(8, 24.0)] * 8)
    assert time.process_time() - began < 3.0
