"""Jobs played through a schedule by a clock that moves by hand, and what may never happen in one."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runners.contract.states import AttemptOutcome, JobState
from sweeper.control.attempt_ends import AttemptEnded
from sweeper.control.events import (
    DeviceOpened,
    DevicesExpected,
    End,
    Event,
    Instruction,
    JobAdded,
    Start,
    Stop,
)
from sweeper.control.packing import Need
from sweeper.control.schedule import Schedule

COMPLETED = AttemptOutcome.COMPLETED


def ended(job_id: str, outcome: AttemptOutcome = COMPLETED, **details: object) -> AttemptEnded:
    return AttemptEnded(job_id, outcome, **details)  # type: ignore[arg-type]


def added(*jobs: str | JobAdded, devices: Iterable[DeviceOpened] = ()) -> tuple[Schedule, list[Instruction]]:
    """Return a schedule that knows these jobs and devices, and what it wants to have done."""
    schedule = Schedule()
    told: list[Instruction] = []
    for job in jobs:
        told += schedule.handle(JobAdded(job) if isinstance(job, str) else job)
    opened = list(devices)
    if opened:
        told += schedule.handle(DevicesExpected(tuple(device.device for device in opened)))
    for device in opened:
        if not any(isinstance(instruction, End) for instruction in told):
            told += schedule.handle(device)
    return schedule, told


def one_share_each(n_devices: int) -> list[DeviceOpened]:
    return [DeviceOpened(number) for number in range(n_devices)]


def makespan(expected_s: Mapping[str, float], actual_s: Mapping[str, float], devices: Iterable[DeviceOpened]) -> float:
    """Return when the last job ends if every instruction is carried out at once and each job takes its actual time."""
    schedule, told = added(*(JobAdded(job, expected_s=s) for job, s in expected_s.items()), devices=devices)
    now_s, running = 0.0, list[tuple[float, str]]()
    while not any(isinstance(instruction, End) for instruction in told):
        for instruction in told:
            if isinstance(instruction, Start):
                heapq.heappush(running, (now_s + actual_s[instruction.job_id], instruction.job_id))
        now_s, job_id = heapq.heappop(running)
        told = list(schedule.handle(ended(job_id)))
    return now_s


@dataclass
class Watched:
    """A schedule, beside it what its instructions have come to, and a check after each event.

    Attributes:
        schedule: the one that is watched.
        needs: of each job, as it is placed.
        offers: shares and memory of each device that is open.
    """

    schedule: Schedule
    needs: dict[str, Need]
    offers: dict[int, tuple[int, float]] = field(default_factory=dict)
    held: dict[str, Start] = field(default_factory=dict)
    told_to_stop: set[str] = field(default_factory=set)
    has_ended: bool = False
    terminal: dict[str, JobState] = field(default_factory=dict)

    def handle(self, event: Event, may_leave: str | None = None) -> None:
        """Let the schedule handle an event, and check what it makes of it.

        Args:
            event: what happens.
            may_leave: the job that this event may take out of a terminal state.
        """
        if isinstance(event, AttemptEnded):
            del self.held[event.job_id]
            self.told_to_stop.discard(event.job_id)
        elif isinstance(event, DeviceOpened):
            self.offers[event.device] = event.n_shares, event.memory_gb
        for instruction in self.schedule.handle(event):
            assert not self.has_ended, instruction
            self._obey(instruction)
        self._check(may_leave)

    def _obey(self, instruction: Instruction) -> None:
        if isinstance(instruction, Start):
            assert instruction.job_id not in self.held
            self.held[instruction.job_id] = instruction
        elif isinstance(instruction, Stop):
            assert instruction.job_id in self.held
            self.told_to_stop.add(instruction.job_id)
        elif isinstance(instruction, End):
            assert not self.held
            self.has_ended = True
        else:
            assert instruction.device in self.offers
            del self.offers[instruction.device]
            assert not self._on(instruction.device)

    def _on(self, device: int) -> list[Start]:
        return [start for start in self.held.values() if device in start.devices]

    def _check(self, may_leave: str | None) -> None:
        states = self.schedule.states
        assert {job_id for job_id, state in states.items() if state is JobState.RUNNING} == set(self.held)
        for job_id, state in self.terminal.items():
            assert states[job_id] is state or job_id == may_leave, (job_id, state, states[job_id])
        self.terminal = {job_id: state for job_id, state in states.items() if state.is_terminal}
        assert not set(self.schedule.waiting_jobs()) & {*self.held, *self.terminal}
        for device, (n_shares, memory_gb) in self.offers.items():
            jobs = self._on(device)
            shares = [start.share for start in jobs]
            assert len(set(shares)) == len(shares) <= n_shares
            assert all(0 <= share < n_shares for share in shares)
            needs = [self.needs[start.job_id] for start in jobs]
            if len(jobs) > 1:
                assert all(need.n_devices == 1 for need in needs)
                if memory_gb:
                    assert all(need.memory_gb for need in needs)
                    assert sum(need.memory_gb for need in needs) <= memory_gb + 1e-9
        for start in self.held.values():
            assert len(set(start.devices)) == self.needs[start.job_id].n_devices
            assert set(start.devices) <= self.offers.keys()
