"""Devices that come, go and break under the schedule, and jobs that need several of them."""

from runners.contract.states import AttemptOutcome, FailureKind
from sweeper.control.attempt_ends import Tries
from sweeper.control.events import (
    Close,
    DeviceClosing,
    DeviceOpened,
    DevicesExpected,
    End,
    JobAdded,
    Start,
    Stop,
)
from sweeper.control.packing import Need
from tests.sweeper.schedule_play import added, ended, one_share_each

FAILED, INTERRUPTED = AttemptOutcome.FAILED, AttemptOutcome.INTERRUPTED
ONE = one_share_each(1)
TWO = one_share_each(2)


def starts(*pairs: tuple[str, int]) -> list[Start]:
    return [Start(job_id, (device,)) for job_id, device in pairs]


def test_jobs_wait_for_a_device_that_is_expected() -> None:
    schedule, told = added("0001")
    assert told == []
    assert schedule.handle(DevicesExpected((0,))) == []
    assert schedule.handle(DeviceOpened(0)) == starts(("0001", 0))


def test_a_device_that_is_given_back_is_closed_once_its_job_has_saved_and_the_job_goes_on_elsewhere() -> None:
    schedule, _ = added("0001", "0002", "0003", devices=TWO)
    assert schedule.handle(DeviceClosing(0)) == [Stop("0001", "interrupt")]
    assert schedule.handle(ended("0002")) == starts(("0003", 1))
    assert schedule.handle(ended("0001", INTERRUPTED)) == [Close(0)]
    assert schedule.handle(ended("0003")) == starts(("0001", 1))
    assert schedule.tries_of("0001") == Tries()


def test_an_empty_device_is_closed_at_once() -> None:
    schedule, _ = added("0001", devices=TWO)
    assert schedule.handle(DeviceClosing(1)) == [Close(1)]
    assert schedule.handle(DeviceClosing(1)) == []


def test_a_sweep_without_devices_waits_for_them_to_be_taken_again() -> None:
    schedule, _ = added("0001", devices=ONE)
    schedule.handle(DeviceClosing(0))
    assert schedule.handle(ended("0001", INTERRUPTED)) == [Close(0)]
    assert schedule.handle(DevicesExpected((0,))) == []
    assert schedule.handle(DeviceOpened(0)) == starts(("0001", 0))


def test_a_device_that_is_wanted_again_while_its_job_still_saves_is_kept() -> None:
    schedule, _ = added("0001", devices=ONE)
    assert schedule.handle(DeviceClosing(0)) == [Stop("0001", "interrupt")]
    assert schedule.handle(DevicesExpected((0,))) == []
    assert schedule.handle(ended("0001", INTERRUPTED)) == starts(("0001", 0))


def test_a_device_is_taken_out_at_its_second_error_and_its_jobs_move() -> None:
    broken = {"outcome": FAILED, "kind": FailureKind.DEVICE}
    devices = [DeviceOpened(0, 2), DeviceOpened(1)]
    schedule, told = added("0001", "0002", "0003", "0004", devices=devices)
    assert told == [Start("0001", (0,), 0), Start("0002", (0,), 1), Start("0003", (1,), 0)]
    assert schedule.handle(ended("0001", **broken)) == [Start("0001", (0,), 0)]  # type: ignore[arg-type]
    assert schedule.handle(ended("0001", **broken)) == [Stop("0002", "interrupt")]  # type: ignore[arg-type]
    assert schedule.handle(ended("0002", INTERRUPTED)) == [Close(0, is_gone=True)]
    assert schedule.handle(ended("0003")) == [Start("0001", (1,), 0)]
    assert schedule.tries_of("0001") == Tries(n_losses=2)
    assert schedule.tries_of("0002") == Tries()


def test_without_a_device_that_works_the_sweep_ends_with_3() -> None:
    broken = {"outcome": FAILED, "kind": FailureKind.DEVICE}
    schedule, _ = added("0001", "0002", devices=ONE)
    schedule.handle(ended("0001", **broken))  # type: ignore[arg-type]
    assert schedule.handle(ended("0001", **broken)) == [Close(0, is_gone=True), End(3)]  # type: ignore[arg-type]
    assert [state.value for state in schedule.states.values()] == ["PAUSED", "PLANNED"]


def test_a_device_that_was_taken_out_is_tried_again_if_a_user_wants_it() -> None:
    schedule, _ = added("0001", "0002", devices=TWO)
    assert schedule.handle(DeviceClosing(0, is_gone=True)) == [Stop("0001", "interrupt")]
    assert schedule.handle(DevicesExpected((0,))) == []  # it is broken: its job leaves it first
    assert schedule.handle(ended("0001", INTERRUPTED)) == [Close(0, is_gone=True)]
    assert schedule.handle(DevicesExpected((0,))) == []
    assert schedule.handle(DeviceOpened(0)) == starts(("0001", 0))


def test_an_expected_device_that_breaks_is_not_waited_for() -> None:
    schedule, _ = added("0001")
    schedule.handle(DevicesExpected((0,)))
    assert schedule.handle(DeviceClosing(0, is_gone=True)) == [End(3)]


def test_a_job_that_needs_two_devices_waits_for_both() -> None:
    schedule, told = added(JobAdded("0001", need=Need(2)), devices=TWO)
    assert told == [Start("0001", (0, 1))]
    assert schedule.handle(ended("0001")) == [End(0)]


def test_more_devices_than_there_are_end_with_3() -> None:
    _, told = added(JobAdded("0001", need=Need(3)), devices=TWO)
    assert told == [End(3)]


def test_a_stream_of_small_jobs_does_not_keep_a_large_one_waiting_and_uses_what_it_leaves() -> None:
    small = [f"{number:04d}" for number in range(2, 9)]
    schedule, told = added(*small, devices=one_share_each(3))
    assert told == starts(("0002", 0), ("0003", 1), ("0004", 2))
    assert schedule.handle(JobAdded("0001", need=Need(2), expected_s=100.0)) == []
    # Two devices are kept free for it, the third is not.
    assert schedule.handle(ended("0002")) == []
    assert schedule.handle(ended("0004")) == [Start("0001", (0, 2))]
    assert schedule.handle(ended("0003")) == starts(("0005", 1))
    assert schedule.handle(ended("0005")) == starts(("0006", 1))
    assert schedule.handle(ended("0001")) == starts(("0007", 0), ("0008", 2))
