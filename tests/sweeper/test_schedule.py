"""These events in, exactly these instructions out."""

import pytest

from runners.contract.states import AttemptOutcome, JobState
from sweeper.schedule import AttemptEnded, End, JobAdded, Schedule, SlotOpened, Start, Stop, StopAsked

COMPLETED, FAILED = AttemptOutcome.COMPLETED, AttemptOutcome.FAILED


def opened(n_jobs: int, n_slots: int) -> tuple[Schedule, list[object]]:
    schedule = Schedule()
    instructions: list[object] = []
    for number in range(1, n_jobs + 1):
        instructions += schedule.handle(JobAdded(f"{number:04d}"))
    for slot in range(n_slots):
        instructions += schedule.handle(SlotOpened(slot))
    return schedule, instructions


def test_jobs_start_in_the_order_of_the_plan_one_per_slot() -> None:
    _, instructions = opened(3, 2)
    assert instructions == [Start("0001", 0), Start("0002", 1)]


def test_a_freed_slot_is_filled_at_once_whatever_the_other_slots_do() -> None:
    schedule, _ = opened(4, 2)
    assert schedule.handle(AttemptEnded("0002", COMPLETED)) == [Start("0003", 1)]
    assert schedule.handle(AttemptEnded("0003", COMPLETED)) == [Start("0004", 1)]
    assert schedule.states["0001"] is JobState.RUNNING


def test_a_failed_job_stops_no_other_and_the_sweep_ends_with_1() -> None:
    schedule, _ = opened(2, 1)
    assert schedule.handle(AttemptEnded("0001", FAILED)) == [Start("0002", 0)]
    assert schedule.handle(AttemptEnded("0002", COMPLETED)) == [End(1)]
    assert schedule.states == {"0001": JobState.FAILED, "0002": JobState.COMPLETED}


def test_a_stalled_attempt_is_a_failure() -> None:
    schedule, _ = opened(1, 1)
    assert schedule.handle(AttemptEnded("0001", AttemptOutcome.STALLED)) == [End(1)]


def test_a_lost_job_goes_on_before_others_begin_and_fails_at_the_third_loss() -> None:
    schedule, _ = opened(2, 1)
    lost = AttemptEnded("0001", AttemptOutcome.LOST)
    assert schedule.handle(lost) == [Start("0001", 0)]
    assert schedule.handle(lost) == [Start("0001", 0)]
    assert schedule.state_after(lost) is JobState.FAILED
    assert schedule.handle(lost) == [Start("0002", 0)]
    assert schedule.states["0001"] is JobState.FAILED


def test_what_an_earlier_controller_finished_is_never_started_again() -> None:
    schedule = Schedule()
    for job_id, state in (("0001", JobState.COMPLETED), ("0002", JobState.PAUSED), ("0003", JobState.FAILED)):
        assert schedule.handle(JobAdded(job_id, state)) == []
    assert schedule.handle(SlotOpened(0)) == [Start("0002", 0)]
    assert schedule.handle(AttemptEnded("0002", COMPLETED)) == [End(1)]


def test_a_finished_sweep_ends_as_soon_as_it_is_looked_at() -> None:
    schedule = Schedule()
    schedule.handle(JobAdded("0001", JobState.COMPLETED))
    assert schedule.handle(SlotOpened(0)) == [End(0)]


def test_a_job_that_was_left_running_has_to_be_ended_first() -> None:
    with pytest.raises(ValueError, match="was left running"):
        Schedule().handle(JobAdded("0001", JobState.RUNNING))


def test_all_done_ends_with_0_once() -> None:
    schedule, _ = opened(1, 3)
    assert schedule.handle(AttemptEnded("0001", COMPLETED)) == [End(0)]


def test_a_stop_reaches_every_running_job_and_starts_nothing_more() -> None:
    schedule, _ = opened(3, 2)
    assert schedule.handle(StopAsked("interrupt")) == [Stop("0001", "interrupt"), Stop("0002", "interrupt")]
    assert schedule.handle(AttemptEnded("0001", AttemptOutcome.INTERRUPTED)) == []
    assert schedule.handle(AttemptEnded("0002", AttemptOutcome.COMPLETED)) == [End(3)]
    assert [state.value for state in schedule.states.values()] == ["PAUSED", "COMPLETED", "PLANNED"]


def test_impossible_events_are_refused_with_the_state_in_the_message() -> None:
    schedule, _ = opened(2, 1)
    with pytest.raises(ValueError, match=r"0002 ended completed without running \(state PLANNED\)"):
        schedule.handle(AttemptEnded("0002", COMPLETED))
    with pytest.raises(ValueError, match="0001 was added before"):
        schedule.handle(JobAdded("0001"))
    with pytest.raises(ValueError, match="slot 0 was opened before"):
        schedule.handle(SlotOpened(0))
