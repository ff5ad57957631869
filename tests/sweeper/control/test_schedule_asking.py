"""A schedule that asks for jobs wherever a place is free and none waits."""

from runners.contract.states import AttemptOutcome, JobState
from sweeper.control.events import (
    Ask,
    AskingEnded,
    DeviceClosing,
    DeviceOpened,
    DevicesExpected,
    End,
    Instruction,
    JobAdded,
    JobHeld,
    JobPruned,
    JobReleased,
    Start,
    Stop,
    StopAsked,
)
from sweeper.control.schedule import EXIT_DONE, EXIT_RESUMABLE, Schedule
from tests.sweeper.schedule_play import ended

INTERRUPTED = AttemptOutcome.INTERRUPTED


def asking(*jobs: JobAdded, n_shares: int = 2) -> tuple[Schedule, list[Instruction]]:
    schedule = Schedule(is_asking=True)
    told: list[Instruction] = []
    for job in jobs:
        told += schedule.handle(job)
    told += schedule.handle(DevicesExpected((0,)))
    told += schedule.handle(DeviceOpened(0, n_shares))
    return schedule, told


def test_it_asks_once_for_a_free_place_and_again_when_that_is_filled() -> None:
    schedule, told = asking(JobAdded("0001"))
    assert told == [Start("0001", (0,), 0), Ask()]
    assert list(schedule.handle(JobAdded("0002"))) == [Start("0002", (0,), 1)]
    assert list(schedule.handle(ended("0001"))) == [Ask()]


def test_who_waits_goes_before_anything_new() -> None:
    schedule, told = asking(JobAdded("0001"), JobAdded("0002"), JobAdded("0003"))
    assert told == [Start("0001", (0,), 0), Start("0002", (0,), 1)]
    assert list(schedule.handle(ended("0002"))) == [Start("0003", (0,), 1)]


def test_a_job_that_rests_leaves_its_place_and_goes_on_when_it_is_let_go() -> None:
    schedule, _ = asking(JobAdded("0001"), n_shares=1)
    assert list(schedule.handle(JobHeld("0001"))) == [Stop("0001", "interrupt")]
    assert list(schedule.handle(ended("0001", INTERRUPTED))) == [Ask()]
    assert schedule.state_of("0001") is JobState.PAUSED
    assert schedule.waiting_jobs() == []
    assert list(schedule.handle(JobReleased("0001"))) == [Start("0001", (0,), 0)]


def test_one_that_an_earlier_controller_let_rest_is_not_started_by_itself() -> None:
    schedule, told = asking(JobAdded("0001", JobState.PAUSED, is_held=True), n_shares=1)
    assert told == [Ask()]
    assert list(schedule.handle(JobReleased("0001"))) == [Start("0001", (0,), 0)]


def test_a_running_job_that_is_given_up_is_pruned_however_it_ends() -> None:
    for outcome in (AttemptOutcome.PRUNED, INTERRUPTED, AttemptOutcome.LOST, AttemptOutcome.FAILED):
        schedule, _ = asking(JobAdded("0001"), n_shares=1)
        assert list(schedule.handle(JobPruned("0001"))) == [Stop("0001", "prune")]
        schedule.handle(ended("0001", outcome))
        assert schedule.state_of("0001") is JobState.PRUNED


def test_one_that_was_done_before_it_heard_of_it_is_completed() -> None:
    schedule, _ = asking(JobAdded("0001"), n_shares=1)
    schedule.handle(JobPruned("0001"))
    schedule.handle(ended("0001"))
    assert schedule.state_of("0001") is JobState.COMPLETED


def test_one_that_rests_is_pruned_where_it_stands() -> None:
    schedule, _ = asking(JobAdded("0001", JobState.PAUSED, is_held=True), n_shares=1)
    assert list(schedule.handle(JobPruned("0001"))) == [Ask()]
    assert schedule.state_of("0001") is JobState.PRUNED
    assert list(schedule.handle(JobReleased("0001"))) == [Ask()]
    assert schedule.state_of("0001") is JobState.PRUNED


def test_it_ends_when_nothing_more_comes_and_nothing_runs() -> None:
    schedule, _ = asking(JobAdded("0001"), n_shares=1)
    assert list(schedule.handle(AskingEnded())) == []
    assert list(schedule.handle(ended("0001"))) == [End(EXIT_DONE)]


def test_who_still_rests_at_the_end_is_something_left_to_do() -> None:
    schedule, _ = asking(JobAdded("0001", JobState.PAUSED, is_held=True))
    assert list(schedule.handle(AskingEnded())) == [End(EXIT_RESUMABLE)]


def test_a_search_that_is_stopped_is_not_finished_even_where_no_job_is_open() -> None:
    schedule, _ = asking(JobAdded("0001"), n_shares=1)
    schedule.handle(StopAsked("interrupt"))
    assert list(schedule.handle(ended("0001"))) == [End(EXIT_RESUMABLE)]


def test_without_any_device_left_nobody_is_asked_for_ever() -> None:
    schedule, _ = asking(JobAdded("0001"), n_shares=1)
    schedule.handle(DeviceClosing(0, is_gone=True))
    assert list(schedule.handle(ended("0001")))[-1] == End(EXIT_RESUMABLE)
