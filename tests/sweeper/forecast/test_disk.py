"""What a sweep writes, and that a disk without the room for it refuses the sweep."""

from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.records import KeptCheckpoints
from sweeper.forecast.disk import DiskNeed, check_space, resting_bytes, sweep_disk
from sweeper.forecast.workload import Workload, read_workload
from tests.sweeper.estimated_jobs import job_config

R50_BYTES = 41.753e6 * 4
# 200 predicted images, in two files of val and in those of the end; 10 epochs of log.
SMALL = pytest.approx(0.0, abs=30e6)


def work(*overrides: str, n_epochs: int = 10) -> Workload:
    n_images = {"train": 100, "val": 100, "test": 100}
    return read_workload(job_config(f"n_epochs={n_epochs}", *overrides), n_images, 8, 2)


@pytest.mark.parametrize(
    ("keep", "n_weights"),
    # SGD: a state is the parameters and one momentum for each.
    [("best", 1), ("best+last", 1 + 2), ("all", 10 * (1 + 2))],
)
def test_what_stays(keep: KeptCheckpoints, n_weights: int) -> None:
    need = sweep_disk([work()] * 3, keep, n_at_once=1)
    assert need.stays - 3 * n_weights * R50_BYTES == pytest.approx(0.0, abs=3 * 30e6)


def test_adam_keeps_two_numbers_for_each_parameter() -> None:
    need = sweep_disk([work("optimizer=adamw")], "best+last", n_at_once=1)
    assert need.stays - (1 + 3) * R50_BYTES == SMALL


def test_only_jobs_that_run_hold_their_states() -> None:
    one = sweep_disk([work()] * 10, "best", n_at_once=1)
    four = sweep_disk([work()] * 10, "best", n_at_once=4)
    assert four.stays == one.stays
    # Four states of two numbers and two weights more than what stays.
    assert one.peak - one.stays == pytest.approx(10 * R50_BYTES)
    assert four.peak - four.stays == pytest.approx(4 * 10 * R50_BYTES)


def test_trials_that_rest_hold_their_states() -> None:
    small = work()
    ending, resting = sweep_disk([small] * 10, "best", 1), sweep_disk([small] * 10, "best", 1, may_rest=True)
    assert resting.stays == pytest.approx(10 * resting_bytes(small))
    assert resting.stays > ending.stays
    assert resting.peak > ending.peak


def test_the_largest_jobs_may_run_together() -> None:
    mixed = sweep_disk([work("backbone=resnet18"), work("backbone=resnet101"), work()], "best", n_at_once=1)
    assert mixed.peak - mixed.stays == pytest.approx(10 * 60.745e6 * 4, rel=1e-3)


@pytest.mark.parametrize("keep", ["best", "best+last", "all"])
def test_the_peak_is_never_below_what_stays(keep: KeptCheckpoints) -> None:
    need = sweep_disk([work(n_epochs=1), work(n_epochs=24)], keep, n_at_once=8)
    assert need.peak > need.stays > 0


def test_a_full_disk_refuses_the_sweep_in_one_line(tmp_path: Path) -> None:
    need = DiskNeed(stays=10e9, peak=40e9, n_jobs=12, keep="all")
    asked = []

    def free(folder: Path) -> int:
        asked.append(folder)
        return int(3.14e9)

    with pytest.raises(UserError) as refusal:
        check_space(tmp_path / "not" / "yet", need, free)
    assert asked == [tmp_path]
    (line,) = refusal.value.problems
    assert "needs about 40 GB (12 jobs, keep=all), 3.1 GB free" in line
    assert "keep=best" in line
    assert "check_disk=false" in line
    check_space(tmp_path, need, lambda _: 41_000_000_000)


def test_the_disk_itself_is_asked(tmp_path: Path) -> None:
    check_space(tmp_path, DiskNeed(1.0, 1.0, 1, "best"))
    with pytest.raises(UserError, match="needs about 1000000 TB"):
        check_space(tmp_path, DiskNeed(1.0, 1e18, 1, "best"))
