"""When a sweep will be done: its jobs placed on devices in thought, the longest first. No schedule, only its clock."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sweeper.control.packing import Need
from sweeper.hardware.slots import Offer


@dataclass
class _Device:
    offer: Offer
    held: dict[int, float] = field(default_factory=dict)  # job -> memory
    is_whole: bool = False

    def fits(self, memory_gb: float) -> bool:
        if self.is_whole or len(self.held) >= self.offer.n_shares:
            return False
        if not self.held or not self.offer.memory_gb:
            return True
        is_known = memory_gb > 0.0 and all(self.held.values())
        return is_known and memory_gb <= self.offer.memory_gb - sum(self.held.values())


def expected_finish(jobs: Sequence[tuple[float, Need]], devices: Sequence[Offer]) -> float:
    """Return the seconds until the last job is done.

    Whenever something is free, the longest waiting job that fits is started. Jobs that share a device are taken to run
    as fast as alone, which holds as far as they leave it idle.

    Args:
        jobs: for each its expected seconds and what it occupies.
        devices: what each device offers.

    Raises:
        ValueError: there is no device, or a job wants more of them than there are.
    """
    most = max((need.n_devices for _, need in jobs), default=1)
    if most > len(devices):
        raise ValueError(f"devices: a job wants {most}, got {len(devices)}")
    ordered = sorted(range(len(jobs)), key=lambda number: -jobs[number][0])
    # Jobs with the same need wait in one line, so that only the heads of a few lines are looked at.
    waiting: dict[tuple[int, float], deque[int]] = {}
    for number in ordered:
        need = jobs[number][1]
        waiting.setdefault((need.n_devices, need.memory_gb), deque()).append(number)
    states = [_Device(offer) for offer in devices]
    running: list[tuple[float, int, list[_Device]]] = []
    now = 0.0
    while waiting or running:
        while placed := _place_longest(waiting, states, jobs):
            number, chosen = placed
            heapq.heappush(running, (now + jobs[number][0], number, chosen))
        now, number, chosen = heapq.heappop(running)
        for device in chosen:
            del device.held[number]
            device.is_whole = False
    return now


def _place_longest(
    waiting: dict[tuple[int, float], deque[int]], states: Sequence[_Device], jobs: Sequence[tuple[float, Need]]
) -> tuple[int, list[_Device]] | None:
    """Start the longest waiting job that fits; return its number and devices."""
    for key in sorted(waiting, key=lambda key: -jobs[waiting[key][0]][0]):
        n_devices, memory_gb = key
        if n_devices == 1:
            fitting = [device for device in states if device.fits(memory_gb)]
        else:
            fitting = [device for device in states if not device.held]
        chosen = sorted(fitting, key=lambda device: len(device.held))[:n_devices]
        if len(chosen) < n_devices:
            continue
        number = waiting[key].popleft()
        if not waiting[key]:
            del waiting[key]
        for device in chosen:
            device.held[number] = memory_gb
            device.is_whole = n_devices > 1
        return number, chosen
    return None
