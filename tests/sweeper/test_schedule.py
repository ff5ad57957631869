"""These events in, exactly these instructions out."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.attempt_ends import Tries
from sweeper.events import (
    Close,
    DeviceClosing,
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
from sweeper.packing import Need
from sweeper.schedule import Schedule
from tests.sweeper.schedule_play import COMPLETED, Watched, added, ended, makespan, one_share_each

FAILED, INTERRUPTED, LOST = AttemptOutcome.FAILED, AttemptOutcome.INTERRUPTED, AttemptOutcome.LOST
ONE = one_share_each(1)
TWO = one_share_each(2)
TRACE = Path(__file__).parents[2] / "benchmarks" / "idle_trace.csv"


def starts(*pairs: tuple[str, int]) -> list[Start]:
    return [Start(job_id, (device,)) for job_id, device in pairs]


# ---- order


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


# ---- ends


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


# ---- tries


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


# ---- what users ask of one job


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


# ---- devices that come and go


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


# ---- several devices for one job


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


# ---- the whole of it


def recorded() -> tuple[dict[str, float], dict[str, float]]:
    """Return expected and actual minutes of the study's 60 jobs."""
    rows = list(csv.DictReader(TRACE.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 60
    return (
        {row["title"]: float(row["expected_min"]) for row in rows},
        {row["title"]: float(row["actual_min"]) for row in rows},
    )


def in_batches(actual: Sequence[float], width: int) -> float:
    """Return the makespan where each batch waits for its slowest job."""
    return sum(max(actual[at : at + width]) for at in range(0, len(actual), width))


@pytest.mark.parametrize("width", [2, 4, 8])
def test_no_device_idles_while_the_studys_jobs_run(width: int) -> None:
    expected, actual = recorded()
    bound = max(sum(actual.values()) / width, max(actual.values()))
    ordered = makespan(expected, actual, one_share_each(width))
    assert ordered <= 1.03 * bound
    assert in_batches(list(actual.values()), width) > 1.1 * bound
    # Without an idea of how long they take, the order of the plan is all there is.
    assert makespan(dict.fromkeys(actual, 0.0), actual, one_share_each(width)) > ordered


def test_ten_thousand_jobs_are_run_in_the_order_of_their_expected_time() -> None:
    rng = random.Random(0)
    expected = {f"{number:05d}": rng.random() for number in range(10_000)}
    schedule, told = added(*(JobAdded(job, expected_s=s) for job, s in expected.items()), devices=one_share_each(8))
    order = [instruction.job_id for instruction in told if isinstance(instruction, Start)]
    for job_id in schedule.waiting_jobs():
        assert schedule.handle(Estimated(job_id, Need(), expected[job_id])) == []
    at = 0
    while at < len(order):
        told = list(schedule.handle(ended(order[at])))
        order += [instruction.job_id for instruction in told if isinstance(instruction, Start)]
        at += 1
    assert told == [End(0)]
    assert order == sorted(expected, key=lambda job_id: -expected[job_id])


ENDS = [
    (COMPLETED, None),
    (COMPLETED, None),
    (INTERRUPTED, None),
    (LOST, FailureKind.LOST),
    (LOST, FailureKind.OOM),
    (AttemptOutcome.STALLED, FailureKind.STALLED),
    (FAILED, FailureKind.OOM),
    (FAILED, FailureKind.DEVICE),
    (FAILED, FailureKind.BUG),
]


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_no_share_is_used_twice_and_no_job_is_lost(seed: int) -> None:
    rng = random.Random(seed)
    n_devices = rng.randint(1, 4)
    memory_gb = rng.choice([0.0, 22.8, 76.0])
    needs = {
        f"{number:04d}": Need(rng.choice([1, 1, 1, min(2, n_devices)]), rng.choice([0.0, 3.0, 8.0, 30.0]))
        for number in range(1, rng.randint(2, 25))
    }
    watched = Watched(Schedule(), needs)
    for job_id, need in needs.items():
        watched.handle(JobAdded(job_id, need=need, expected_s=rng.random()))
    watched.handle(DevicesExpected(tuple(range(n_devices))))
    for _ in range(400):
        if watched.has_ended:
            break
        _let_something_happen(rng, watched, needs, n_devices, memory_gb)
    # The rest of it goes well: every device comes, every job completes.
    if not watched.has_ended:
        watched.handle(DevicesExpected(tuple(range(n_devices))))
    while not watched.has_ended:
        for device in set(range(n_devices)) - watched.offers.keys():
            if not watched.has_ended:
                watched.handle(DeviceOpened(device, 3, memory_gb))
        for job_id in list(watched.held):
            watched.handle(ended(job_id))
    open_states = [state for state in watched.schedule.states.values() if not state.is_terminal]
    assert (watched.schedule.exit_code() == 3) == bool(open_states)


def _let_something_happen(
    rng: random.Random, watched: Watched, needs: dict[str, Need], n_devices: int, memory_gb: float
) -> None:
    job_id, device = rng.choice(list(needs)), rng.randrange(n_devices)
    what = rng.random()
    if what < 0.45 and watched.held:
        job_id = rng.choice(list(watched.held))
        outcome, kind = (INTERRUPTED, None) if job_id in watched.told_to_stop else rng.choice(ENDS)
        watched.handle(ended(job_id, outcome, kind=kind, can_halve=rng.random() < 0.5))
    elif what < 0.65 and device not in watched.offers:
        watched.handle(DeviceOpened(device, rng.randint(1, 3), memory_gb))
    elif what < 0.72:
        watched.handle(DeviceClosing(device, is_gone=rng.random() < 0.3))
    elif what < 0.80:
        watched.handle(DevicesExpected((device,)))
    elif what < 0.90:
        need = Need(needs[job_id].n_devices, rng.choice([0.0, 2.0, 12.0]))
        if watched.schedule.state_of(job_id) in (JobState.PLANNED, JobState.PAUSED):
            needs[job_id] = need
        watched.handle(Estimated(job_id, need, rng.random()))
    else:
        wish = rng.choice([JobHeld, JobReleased, JobReleased, JobMovedUp, JobCancelled])
        watched.handle(wish(job_id), may_leave=job_id if wish is JobReleased else None)
