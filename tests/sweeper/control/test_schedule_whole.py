"""Whole sweeps through the schedule: a trace, ten thousand jobs, and whatever may happen, from printed seeds."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.events import (
    DeviceClosing,
    DeviceOpened,
    DevicesExpected,
    End,
    Estimated,
    JobAdded,
    JobCancelled,
    JobHeld,
    JobMovedUp,
    JobReleased,
    Start,
)
from sweeper.control.packing import Need
from sweeper.control.schedule import Schedule
from tests.sweeper.schedule_play import COMPLETED, Watched, added, ended, makespan, one_share_each

FAILED, INTERRUPTED, LOST = AttemptOutcome.FAILED, AttemptOutcome.INTERRUPTED, AttemptOutcome.LOST
TRACE = Path(__file__).parents[3] / "benchmarks" / "idle_trace.csv"


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
