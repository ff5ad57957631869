"""What an executor is: something that runs attempts and says when they started and ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from runners.contract.folder import AttemptFolder


@dataclass(frozen=True)
class Started:
    """An attempt's process lives.

    Attributes:
        attempt: its folder.
        pid: the process, also the number of its session and group.
    """

    attempt: AttemptFolder
    pid: int


@dataclass(frozen=True)
class Exited:
    """An attempt's process is gone; what it achieved stands in its folder.

    Attributes:
        attempt: its folder.
        returncode: exit status, or the negative number of the signal that ended it.
        message: why it could not even start, or what took it along.
        is_own_fault: False if it went because something else did.
    """

    attempt: AttemptFolder
    returncode: int
    message: str = ""
    is_own_fault: bool = True


ExecutorEvent = Started | Exited


class Executor(Protocol):
    """Runs attempts; `wait` is the only method that may block."""

    def start(self, attempt: AttemptFolder, environment: Mapping[str, str], leases: Sequence[str] = ()) -> None:
        """Start an attempt whose ``spec.json`` is written; its processes inherit the named leases."""

    def terminate(self, attempt: AttemptFolder) -> None:
        """Send TERM to the attempt's own process, which saves and ends; its data loader workers must live meanwhile."""

    def kill(self, attempt: AttemptFolder) -> None:
        """Send KILL to the whole group of the attempt."""

    def dump(self, attempt: AttemptFolder) -> None:
        """Have the attempt's process write the stacks of its threads into its log."""

    def hold(self, lease: str, descriptor: int) -> None:
        """Take a locked descriptor over, for the attempts to come; it stays the caller's to close."""

    def release(self, lease: str) -> None:
        """Let go of a lease; attempts that inherited it hold it until they are gone."""

    def wait(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """Wait until something happens, at most `timeout_s` seconds, and return it."""

    def close(self) -> None:
        """End everything that still runs; nothing outlives this call."""
