"""The devices that a sweep wants and those that it has: leased one by one, as they become free."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from sweeper.executors.base import Executor
from sweeper.hardware.devices import DeviceSilentError, UserQuery, query_users
from sweeper.hardware.lease import LeaseHeldError, describe_process, take_lease
from sweeper.hardware.slots import Device

# How often a device that was not to be had is asked for again.
RETRY_S = 5.0


class DevicePool:
    """Leases devices and hands the leases to the executor.

    Args:
        devices: what the sweep wants; a device's number is its place in this list.
        executor: inherits the leases.
        busy: whether a GPU that a foreign process computes on is waited for, or shared.
        users: asks who computes on a device.
        clock: monotonic seconds.

    Attributes:
        devices: all of them, there or not.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        executor: Executor,
        busy: Literal["wait", "use"] = "wait",
        users: UserQuery = query_users,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.devices = list(devices)
        self._executor = executor
        self._busy = busy
        self._users = users
        self._clock = clock
        self._wanted = set(range(len(devices)))
        self._open: set[int] = set()
        self._descriptors: dict[str, int] = {}
        self._uses: Counter[str] = Counter()
        self._obstacles: dict[int, str] = {}
        self._next_try_s = 0.0

    def acquire(self) -> list[int]:
        """Return the numbers of devices that can be used from now on; asks at most every few seconds."""
        missing = sorted(self._wanted - self._open)
        if not missing or self._clock() < self._next_try_s:
            return []
        self._next_try_s = self._clock() + RETRY_S
        opened = [number for number in missing if self._take(number)]
        self._open.update(opened)
        return opened

    @property
    def obstacles(self) -> dict[int, str]:
        """Why a wanted device is not there, by its number."""
        return dict(self._obstacles)

    @property
    def open_numbers(self) -> list[int]:
        """The devices that the sweep has now."""
        return sorted(self._open)

    def is_open(self, number: int) -> bool:
        """Whether the sweep has this device."""
        return number in self._open

    def lease_names(self, numbers: Iterable[int]) -> list[str]:
        """Return the leases that a job on these devices has to inherit."""
        return list(dict.fromkeys(self.devices[number].node for number in numbers if self.devices[number].node))

    def want(self, number: int) -> None:
        """Ask for a device again that was given back."""
        self._wanted.add(number)
        self._next_try_s = 0.0

    def give_back(self, number: int) -> None:
        """Let go of a device; it is not asked for again until it is wanted."""
        self._wanted.discard(number)
        self._obstacles.pop(number, None)
        if number in self._open:
            self._open.remove(number)
            self._drop(self.devices[number].node)

    def close(self) -> None:
        """Let go of everything once the executor is closed; devices stay held as long as a job lives that has them."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def _take(self, number: int) -> bool:
        device = self.devices[number]
        try:
            users = self._users(device) if self._busy == "wait" else []
        except DeviceSilentError as error:
            self._obstacles[number] = f"{device.label} ({device.name}) does not answer: {error}"
            return False
        if users:
            self._obstacles[number] = f"{device.label} ({device.name}) is used by {describe_process(users[0])}"
            return False
        if device.node and device.node not in self._descriptors:
            try:
                descriptor = take_lease(device.node)
            except LeaseHeldError as error:
                self._obstacles[number] = f"{device.label} ({device.name}) is {error}"
                return False
            self._descriptors[device.node] = descriptor
            self._executor.hold(device.node, descriptor)
        self._uses[device.node] += 1
        self._obstacles.pop(number, None)
        return True

    def _drop(self, node: str) -> None:
        self._uses[node] -= 1
        if node and not self._uses[node]:
            self._executor.release(node)
            os.close(self._descriptors.pop(node))
