"""How long the devices of a sweep were open, and for how much of that time a job was on them."""

from dataclasses import dataclass


@dataclass
class DeviceTime:
    """One device, under one controller.

    Attributes:
        label: ``gpu0``, ``cpu``.
        name: what it is, for people.
        n_shares: jobs side by side at most.
        opened_at: wall-clock seconds since the epoch; None while it is closed.
        open_s: seconds before that.
        busy_at: since when a job is on it; None while there is none.
        busy_s: seconds before that.
        n_jobs: on it now.
        reason: why it was closed.
    """

    label: str
    name: str = ""
    n_shares: int = 1
    opened_at: float | None = None
    open_s: float = 0.0
    busy_at: float | None = None
    busy_s: float = 0.0
    n_jobs: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it takes jobs."""
        return self.opened_at is not None

    def open(self, at: float, name: str, n_shares: int) -> None:
        """Let it take jobs."""
        self.opened_at = at if self.opened_at is None else self.opened_at
        self.name, self.n_shares, self.reason = name, n_shares, ""

    def close(self, at: float, reason: str) -> None:
        """Give it back."""
        self.open_s, self.busy_s = self.seconds(at)
        self.opened_at = self.busy_at = None
        self.n_jobs, self.reason = 0, reason

    def enter(self, at: float) -> None:
        """Put a job on it."""
        self.n_jobs += 1
        self.opened_at = at if self.opened_at is None else self.opened_at
        self.busy_at = at if self.busy_at is None else self.busy_at

    def leave(self, at: float) -> None:
        """Take a job off it."""
        self.n_jobs = max(0, self.n_jobs - 1)
        if self.n_jobs == 0 and self.busy_at is not None:
            self.busy_s += at - self.busy_at
            self.busy_at = None

    def seconds(self, now: float) -> tuple[float, float]:
        """Return for how long it was open, and busy, until a moment."""
        is_open, is_busy = self.opened_at, self.busy_at
        open_s = self.open_s + (0.0 if is_open is None else max(0.0, now - is_open))
        return open_s, self.busy_s + (0.0 if is_busy is None else max(0.0, now - is_busy))


def devices_of(slot: str) -> list[str]:
    """Return the devices that a slot's label names: ``gpu0+gpu1`` two, ``gpu0/1`` one, ``cpu/0`` the CPU."""
    return [part.partition("/")[0] for part in slot.split("+")] if slot else []
