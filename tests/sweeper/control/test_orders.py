"""What users ask becomes events of the schedule, wishes of the pool and lines of the journal."""

from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.states import AttemptOutcome, JobState
from sweeper.control.attempt_ends import AttemptEnded
from sweeper.control.events import (
    DeviceClosing,
    DeviceOpened,
    DevicesExpected,
    Event,
    JobAdded,
    JobCancelled,
    JobHeld,
    JobMovedUp,
    JobReleased,
    StopAsked,
)
from sweeper.control.orders import Orders, handle_and_note
from sweeper.control.schedule import Schedule
from sweeper.hardware.device_pool import DevicePool
from sweeper.hardware.slots import Device
from sweeper.stored.journal import JournalNotWrittenError
from sweeper.stored.requests import Request, ask, read_requests
from tests.sweeper.fake_executor import PlayedExecutor

JOBS = ("0001", "0002")


class Heard:
    """Stands for the controller: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.said: list[str] = []
        self.error: Exception | None = None

    def tell(self, event: str, **fields: Any) -> None:
        self.told.append((event, fields))

    def say(self, line: str) -> None:
        self.said.append(line)

    def knows(self, job_id: str) -> bool:
        return job_id in JOBS

    def add_jobs(self, request: Request) -> list[JobAdded]:
        if self.error is not None:
            raise self.error
        return [JobAdded(job) for job in request.arguments["jobs"]]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path)


@pytest.fixture
def pool() -> DevicePool:
    """GPUs 1 and 3, and two instances of GPU 5."""
    whole = [Device("cuda", index, f"GPU-{index}", "H200", "", 141.0) for index in (1, 3)]
    instances = [Device("cuda", 5, f"MIG-{n}", "A100 MIG", "", 10.0, n) for n in (0, 1)]
    return DevicePool([*whole, *instances], PlayedExecutor(lambda attempt: None), users=lambda device: [])


def read(sweep: SweepFolder, pool: DevicePool, heard: Heard, started_at: float = 0.0) -> list[Event]:
    return Orders(sweep, pool, started_at).read(heard)


@pytest.mark.parametrize(
    ("op", "arguments", "events"),
    [
        ("stop", {}, [StopAsked("interrupt")]),
        ("stop", {"job": "0001"}, [JobCancelled("0001")]),
        ("pause", {"job": "0001"}, [JobHeld("0001")]),
        ("continue", {"job": "0001"}, [JobReleased("0001")]),
        ("retry", {"job": "0002"}, [JobReleased("0002")]),
        ("next", {"job": "0002"}, [JobMovedUp("0002")]),
        ("pause", {}, [DeviceClosing(number) for number in range(4)]),
        ("continue", {}, [DevicesExpected((0, 1, 2, 3))]),
        ("gpus", {"minus": [3], "plus": []}, [DeviceClosing(1)]),
        ("gpus", {"minus": [5], "plus": [1]}, [DeviceClosing(2), DeviceClosing(3), DevicesExpected((0,))]),
        ("gpus", {"plus": [3]}, [DevicesExpected((1,))]),
        ("add", {"jobs": ["0003"], "datasets": [], "axes": {}}, [JobAdded("0003")]),
    ],
)
def test_each_wish_becomes_its_events_and_is_journalled_before_it_is_dropped(
    sweep: SweepFolder, pool: DevicePool, heard: Heard, op: str, arguments: dict[str, Any], events: list[Event]
) -> None:
    ask(sweep, op, **arguments)
    (request,) = read_requests(sweep)
    assert read(sweep, pool, heard) == events
    assert heard.told[0] == ("requested", {"name": request.name, "op": op, **arguments})
    assert read_requests(sweep) == []
    assert read(sweep, pool, heard) == []


def test_the_journal_says_when_the_whole_queue_rests_and_goes_on(
    sweep: SweepFolder, pool: DevicePool, heard: Heard
) -> None:
    for op in ("pause", "continue", "stop"):
        ask(sweep, op)
    read(sweep, pool, heard)
    assert [name for name, _ in heard.told if name != "requested"] == ["paused", "continued", "stop_asked"]


def test_a_request_stays_if_the_journal_does_not_take_it(sweep: SweepFolder, pool: DevicePool, heard: Heard) -> None:
    def tell(event: str, **fields: Any) -> None:
        raise JournalNotWrittenError("disk full")

    heard.tell = tell  # type: ignore[method-assign]
    ask(sweep, "stop")
    with pytest.raises(JournalNotWrittenError):
        read(sweep, pool, heard)
    assert len(read_requests(sweep)) == 1


def test_an_end_that_was_meant_for_an_earlier_controller_is_dropped(
    sweep: SweepFolder, pool: DevicePool, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    for op, arguments in [("stop", {}), ("pause", {}), ("next", {"job": "0002"}), ("stop", {"job": "0001"})]:
        ask(sweep, op, **arguments)
    events = read(sweep, pool, heard, started_at=2000.0)
    # What is about one job holds whoever controls the sweep.
    assert sorted(map(repr, events)) == sorted(map(repr, [JobMovedUp("0002"), JobCancelled("0001")]))
    assert len(heard.told) == 2
    assert read_requests(sweep) == []


@pytest.mark.parametrize(
    ("op", "arguments", "said"),
    [
        ("stop", {"job": "0099"}, "request to stop: there is no job 0099"),
        ("gpus", {"minus": [7, 9]}, "no GPU 7, 9 in this sweep; it has gpu1, gpu3, gpu5:0, gpu5:1"),
        ("next", {}, "it names no job"),
        ("retry", {}, "it names no job"),
        ("add", {}, "KeyError('jobs')"),
        ("add", {"job": "0001"}, "KeyError('add')"),
        ("gpus", {"minus": 1}, "TypeError"),
    ],
)
def test_a_wish_that_makes_no_sense_is_told_and_ends_no_sweep(
    sweep: SweepFolder, pool: DevicePool, heard: Heard, op: str, arguments: dict[str, Any], said: str
) -> None:
    ask(sweep, op, **arguments)
    assert read(sweep, pool, heard) == []
    assert said in heard.said[0]
    assert read_requests(sweep) == []


def test_jobs_that_cannot_be_added_end_no_sweep_but_a_full_disk_does(
    sweep: SweepFolder, pool: DevicePool, heard: Heard
) -> None:
    heard.error = UserError("config of a job in jobs/0009: gone")
    ask(sweep, "add", jobs=[])
    assert read(sweep, pool, heard) == []
    assert "config of a job in jobs/0009: gone" in heard.said[0]
    heard.error = JournalNotWrittenError("disk full")
    ask(sweep, "add", jobs=[])
    with pytest.raises(JournalNotWrittenError):
        read(sweep, pool, heard)


# ---- what a wish does to the pool and the journal


class Played:
    """A schedule with two jobs, one of them running on the first device, and its pool; the others are in use."""

    def __init__(self) -> None:
        devices = [Device("cuda", index, f"GPU-{index}", "H200", "", 141.0) for index in (0, 1)]
        self.busy = {1}
        self.pool = DevicePool(
            devices, PlayedExecutor(lambda attempt: None), users=lambda device: [1] if device.index in self.busy else []
        )
        self.heard = Heard()
        self.schedule = Schedule()
        for job in JOBS:
            self.handle(JobAdded(job))
        self.handle(DevicesExpected((0, 1)))
        assert self.pool.acquire() == [0]
        self.handle(DeviceOpened(0))

    def handle(self, event: Event) -> list[str]:
        """Handle an event; return the names of the events that this writes."""
        before = len(self.heard.told)
        handle_and_note(event, self.schedule, self.pool, self.heard.tell)
        return [f"{name} {fields['job']} {fields['state']}" for name, fields in self.heard.told[before:]]


@pytest.fixture
def played() -> Played:
    return Played()


def test_what_is_done_to_a_waiting_job_is_journalled(played: Played) -> None:
    assert played.handle(JobHeld("0002")) == ["postponed 0002 PAUSED"]
    assert played.handle(JobReleased("0002")) == []
    assert played.handle(JobCancelled("0002")) == ["cancelled 0002 CANCELLED"]
    assert played.handle(JobCancelled("0002")) == []
    assert played.handle(JobReleased("0002")) == ["retried 0002 PLANNED"]


def test_what_is_done_to_a_running_job_is_told_by_its_end(played: Played) -> None:
    assert played.handle(JobHeld("0001")) == []
    assert played.handle(JobCancelled("0001")) == []
    assert played.handle(AttemptEnded("0001", AttemptOutcome.INTERRUPTED)) == []
    assert played.schedule.state_of("0001") is JobState.CANCELLED


def test_a_device_that_is_waited_for_is_given_up_at_once_and_one_that_is_there_when_it_is_empty(
    played: Played,
) -> None:
    played.handle(DeviceClosing(0))
    assert played.pool.is_open(0)  # its job still saves
    assert 1 in played.pool.obstacles
    played.handle(DeviceClosing(1))
    assert played.pool.obstacles == {}
    played.busy.clear()
    played.handle(DevicesExpected((0,)))
    assert played.pool.acquire() == []


def test_whoever_asks_last_is_obeyed(played: Played) -> None:
    played.busy.clear()
    for event in (DevicesExpected((1,)), DeviceClosing(1)):
        played.handle(event)
    assert played.pool.acquire() == []
    for event in (DeviceClosing(1), DevicesExpected((1,))):
        played.handle(event)
    assert played.pool.acquire() == [1]
