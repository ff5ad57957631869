"""These events in, exactly these instructions out."""

import pytest

from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.attempt_ends import Tries
from sweeper.control.events import (
    DeviceOpened,
    DevicesExpected,
    End,
    Estimated,
    Event,
    JobAdded,
    JobCancelled,
    JobHeld,
    JobMovedUp,
    JobReleased,
    Start,
    Stop,
    StopAsked,
)
from sweeper.control.packing import Need
from sweeper.control.schedule import Schedule
from tests.sweeper.schedule_play import COMPLETED, added, ended, one_share_each

FAILED, INTERRUPTED, LOST = AttemptOutcome.FAILED, AttemptOutcome.INTERRUPTED, AttemptOutcome.LOST
ONE = one_share_each(1)
TWO = one_share_each(2)


def starts(*pairs: tuple[str, int]) -> list[Start]:
    return [Start(job_id, (device,)) for job_id, device in pairs]


def test_jobs_of_which_nothing_is_known_start_in_the_order_of_the_plan_one_per_device() -> None:
    _, told = added("0001", "0002", "0003", devices=TWO)
    assert told == starts(("0001", 0), ("0002", 1))


def test_the_longest_expected_job_starts_first_and_equal_ones_in_the_order_of_the_plan() -> None:
    expected = {"0001": 10.0, "0002": 30.0, "0003": 20.0, "0004": 30.0, "0005": 20.0}
    schedule, told = added(*(JobAdded(job, expected_s=s) for job, s in expected.items()), devices=ONE)
    assert told == starts(("0002", 0))
    assert schedule.waiting_jobs() == ["0004", "0003", "0005", "0001"]


def test_a_freed_device_is_filled_at_once_whatever_the_others_do() -> None:
    schedule, _ = added("0001", "0002", "0003", "0004", devices=TWO)
    assert schedule.handle(ended("0002")) == starts(("0003", 1))
    assert schedule.handle(ended("0003")) == starts(("0004", 1))
    assert schedule.states["0001"] is JobState.RUNNING


def test_an_estimate_reorders_what_waits_and_leaves_what_runs() -> None:
    schedule, _ = added("0001", "0002", "0003", devices=ONE)
    assert schedule.handle(Estimated("0001", Need(), 99.0)) == []
    assert schedule.handle(Estimated("0003", Need(), 5.0)) == []
    assert schedule.waiting_jobs() == ["0003", "0002"]
    assert schedule.expectation_of("0003") == (Need(), 5.0)
    assert schedule.handle(ended("0001")) == starts(("0003", 0))
    assert schedule.handle(Estimated("0001", Need(), 1.0)) == []
    assert schedule.state_of("0001") is JobState.COMPLETED


def test_an_estimate_that_lets_a_job_fit_starts_it() -> None:
    schedule, _ = added(
        JobAdded("0001", need=Need(1, 10.0)),
        JobAdded("0002", need=Need(1, 20.0)),
        devices=[DeviceOpened(0, 8, 24.0)],
    )
    assert schedule.handle(Estimated("0002", Need(1, 14.0), 0.0)) == [Start("0002", (0,), 1)]


def test_a_job_that_has_begun_goes_on_before_others_begin() -> None:
    schedule = Schedule()
    for job_id, state in (("0001", JobState.COMPLETED), ("0002", JobState.PLANNED), ("0003", JobState.PAUSED)):
        schedule.handle(JobAdded(job_id, state, expected_s=100.0 if job_id == "0002" else 1.0))
    schedule.handle(DevicesExpected((0,)))
    assert schedule.handle(DeviceOpened(0)) == starts(("0003", 0))


def test_what_a_user_moves_up_starts_before_all_else_the_last_of_it_first() -> None:
    schedule, _ = added("0001", "0002", JobAdded("0003", JobState.PAUSED), "0004", devices=ONE)
    # 0003 began before the device opened, so it runs.
    assert schedule.handle(JobMovedUp("0002")) == []
    assert schedule.handle(JobMovedUp("0004")) == []
    assert schedule.waiting_jobs() == ["0004", "0002", "0001"]
    assert schedule.handle(ended("0003", INTERRUPTED)) == starts(("0004", 0))
    assert schedule.waiting_jobs() == ["0002", "0003", "0001"]


def test_all_done_ends_with_0_once() -> None:
    schedule, _ = added("0001", devices=one_share_each(3))
    assert schedule.handle(ended("0001")) == [End(0)]


def test_a_finished_sweep_ends_as_soon_as_it_is_looked_at() -> None:
    schedule = Schedule()
    assert schedule.handle(JobAdded("0001", JobState.COMPLETED)) == []
    assert schedule.handle(DevicesExpected((0,))) == [End(0)]


def test_a_failed_job_stops_no_other_and_the_sweep_ends_with_1() -> None:
    schedule, _ = added("0001", "0002", devices=ONE)
    assert schedule.handle(ended("0001", FAILED, kind=FailureKind.BUG)) == starts(("0002", 0))
    assert schedule.handle(ended("0002")) == [End(1)]
    assert schedule.states == {"0001": JobState.FAILED, "0002": JobState.COMPLETED}


def test_what_an_earlier_controller_ended_is_never_started_again() -> None:
    terminal = [state for state in JobState if state.is_terminal]
    schedule, told = added(*(JobAdded(state.value, state) for state in terminal), devices=ONE)
    assert told == [End(1)]  # FAILED is among them
    assert list(schedule.states.values()) == terminal


def test_a_job_that_was_left_running_has_to_be_ended_first() -> None:
    with pytest.raises(ValueError, match="was left running"):
        Schedule().handle(JobAdded("0001", JobState.RUNNING))


def test_impossible_events_are_refused_with_the_state_in_the_message() -> None:
    schedule, _ = added("0001", "0002", devices=ONE)
    with pytest.raises(ValueError, match=r"0002 ended completed without running \(state PLANNED\)"):
        schedule.handle(ended("0002"))
    with pytest.raises(ValueError, match=r"0009 ended completed without running \(state unknown\)"):
        schedule.handle(ended("0009"))
    with pytest.raises(ValueError, match="0001 was added before"):
        schedule.handle(JobAdded("0001"))
    with pytest.raises(ValueError, match="device 0 was opened before"):
        schedule.handle(DeviceOpened(0))


def test_a_stop_reaches_every_running_job_and_starts_nothing_more() -> None:
    schedule, _ = added("0001", "0002", "0003", devices=TWO)
    assert schedule.handle(StopAsked("interrupt")) == [Stop("0001", "interrupt"), Stop("0002", "interrupt")]
    assert schedule.handle(ended("0001", INTERRUPTED)) == []
    assert schedule.handle(ended("0002")) == [End(3)]
    assert [state.value for state in schedule.states.values()] == ["PAUSED", "COMPLETED", "PLANNED"]


def test_a_job_that_vanishes_while_it_is_stopped_is_not_blamed() -> None:
    schedule, _ = added("0001", devices=ONE)
    schedule.handle(StopAsked("interrupt"))
    assert schedule.handle(ended("0001", LOST)) == [End(3)]
    assert schedule.tries_of("0001") == Tries()


def test_a_full_disk_starts_nothing_more_lets_the_others_finish_and_ends_with_3() -> None:
    schedule, _ = added("0001", "0002", "0003", devices=TWO)
    assert schedule.handle(ended("0001", FAILED, kind=FailureKind.DISK)) == []
    assert schedule.states["0001"] is JobState.PAUSED
    assert schedule.tries_of("0001") == Tries()
    assert schedule.handle(ended("0002")) == [End(3)]
    assert schedule.states["0002"] is JobState.COMPLETED


def test_a_lost_job_goes_on_before_others_begin_and_fails_at_the_third_loss() -> None:
    schedule, _ = added("0001", "0002", devices=ONE)
    for _ in range(2):
        assert schedule.handle(ended("0001", LOST)) == starts(("0001", 0))
    assert schedule.after(ended("0001", LOST)).state is JobState.FAILED
    assert schedule.state_of("0001") is JobState.RUNNING  # asking changed nothing
    assert schedule.handle(ended("0001", LOST)) == starts(("0002", 0))
    assert schedule.states["0001"] is JobState.FAILED


def test_how_many_losses_are_put_up_with_is_a_setting() -> None:
    schedule = Schedule(max_losses=1)
    schedule.handle(JobAdded("0001"))
    schedule.handle(DeviceOpened(0))
    assert schedule.handle(ended("0001", LOST)) == [End(1)]


def test_losses_of_an_earlier_controller_count() -> None:
    schedule, _ = added(JobAdded("0001", JobState.PAUSED, tries=Tries(n_losses=2)), devices=ONE)
    assert schedule.handle(ended("0001", LOST)) == [End(1)]


def test_device_memory_that_was_short_is_tried_once_more_with_half_the_images() -> None:
    schedule, _ = added("0001", devices=ONE)
    short = ended("0001", FAILED, kind=FailureKind.OOM, can_halve=True)
    assert schedule.handle(short) == [Start("0001", (0,), is_halved=True)]
    # Interrupted for another reason it stays halved.
    assert schedule.handle(ended("0001", INTERRUPTED)) == [Start("0001", (0,), is_halved=True)]
    assert schedule.handle(short) == [End(1)]


def test_a_waiting_job_that_is_held_waits_until_it_is_released() -> None:
    schedule, _ = added("0001", "0002", "0003", devices=ONE)
    assert schedule.handle(JobHeld("0002")) == []
    assert schedule.state_of("0002") is JobState.PAUSED
    assert schedule.handle(ended("0001")) == starts(("0003", 0))
    assert schedule.handle(JobReleased("0002")) == []
    assert schedule.handle(ended("0003")) == starts(("0002", 0))


def test_a_running_job_that_is_held_saves_and_is_not_started_again() -> None:
    schedule, _ = added("0001", "0002", devices=ONE)
    assert schedule.handle(JobHeld("0001")) == [Stop("0001", "interrupt")]
    assert schedule.handle(ended("0001", INTERRUPTED)) == starts(("0002", 0))
    assert schedule.waiting_jobs() == []
    assert schedule.handle(JobReleased("0001")) == []
    assert schedule.handle(ended("0002")) == starts(("0001", 0))


def test_a_job_that_is_released_while_it_still_saves_goes_on() -> None:
    schedule, _ = added("0001", devices=ONE)
    schedule.handle(JobHeld("0001"))
    assert schedule.handle(JobReleased("0001")) == []
    assert schedule.handle(ended("0001", INTERRUPTED)) == starts(("0001", 0))


def test_a_held_job_that_is_moved_up_is_released() -> None:
    schedule, _ = added("0001", "0002", "0003", devices=ONE)
    schedule.handle(JobHeld("0003"))
    schedule.handle(JobMovedUp("0003"))
    assert schedule.waiting_jobs() == ["0003", "0002"]


def test_a_sweep_of_which_only_held_jobs_are_left_ends_with_3() -> None:
    schedule, _ = added("0001", "0002", devices=ONE)
    schedule.handle(JobHeld("0002"))
    assert schedule.handle(ended("0001")) == [End(3)]


def test_a_waiting_job_that_is_cancelled_is_never_started() -> None:
    schedule, _ = added("0001", "0002", devices=ONE)
    assert schedule.handle(JobCancelled("0002")) == []
    assert schedule.state_of("0002") is JobState.CANCELLED
    assert schedule.handle(ended("0001")) == [End(0)]


@pytest.mark.parametrize(
    ("outcome", "kind", "state"),
    [
        (INTERRUPTED, None, JobState.CANCELLED),
        (LOST, FailureKind.LOST, JobState.CANCELLED),
        (FAILED, FailureKind.BUG, JobState.CANCELLED),
        (COMPLETED, None, JobState.COMPLETED),
        (AttemptOutcome.PRUNED, None, JobState.PRUNED),
    ],
)
def test_a_running_job_that_is_cancelled_ends_so_unless_it_was_done(
    outcome: AttemptOutcome, kind: FailureKind | None, state: JobState
) -> None:
    schedule, _ = added("0001", devices=ONE)
    assert schedule.handle(JobCancelled("0001")) == [Stop("0001", "cancel")]
    assert schedule.handle(ended("0001", outcome, kind=kind)) == [End(0)]
    assert schedule.state_of("0001") is state


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_failed_or_cancelled_job_is_tried_again_from_nought_if_a_user_asks(state: JobState) -> None:
    schedule, _ = added(JobAdded("0001", state, tries=Tries(n_losses=3)), "0002", devices=ONE)
    assert schedule.handle(JobReleased("0001")) == []
    assert schedule.state_of("0001") is JobState.PLANNED
    assert schedule.tries_of("0001") == Tries()
    assert schedule.handle(ended("0002")) == starts(("0001", 0))
    assert schedule.handle(ended("0001")) == [End(0)]


def test_a_cancelled_job_that_is_tried_again_can_be_cancelled_again() -> None:
    schedule, _ = added("0001", "0002", devices=TWO)
    schedule.handle(JobCancelled("0001"))
    schedule.handle(ended("0001", INTERRUPTED))
    assert schedule.handle(JobReleased("0001")) == starts(("0001", 0))
    assert schedule.handle(ended("0001", INTERRUPTED)) == starts(("0001", 0))  # the first wish is forgotten


@pytest.mark.parametrize("wish", [JobHeld, JobCancelled, JobMovedUp, JobReleased])
def test_a_wish_for_a_completed_job_changes_nothing(wish: type[Event]) -> None:
    schedule, _ = added(JobAdded("0001", JobState.COMPLETED), "0002", devices=ONE)
    assert schedule.handle(wish("0001")) == []  # type: ignore[call-arg, arg-type]
    assert schedule.state_of("0001") is JobState.COMPLETED
