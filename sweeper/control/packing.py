"""Which devices a job gets: shares, memory and whole devices, as arithmetic. No device is touched here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

# A device that fails twice is taken out: once may be the job's doing.
MAX_DEVICE_ERRORS = 2


@dataclass(frozen=True)
class Need:
    """What a job occupies.

    Attributes:
        n_devices: whole devices if it is more than one, else a share of one.
        memory_gb: of each device, in 1e9 bytes; 0 where it is not known, or does not decide.
    """

    n_devices: int = 1
    memory_gb: float = 0.0


class _Phase(Enum):
    EXPECTED = "expected"
    OPEN = "open"
    CLOSING = "closing"
    GONE = "gone"


@dataclass(frozen=True)
class _Held:
    """What one job holds of a device."""

    share: int
    memory_gb: float
    is_whole: bool


@dataclass
class _Room:
    """One device of the sweep."""

    number: int
    phase: _Phase = _Phase.EXPECTED
    n_shares: int = 1
    memory_gb: float = 0.0
    jobs: dict[str, _Held] = field(default_factory=dict)
    n_errors: int = 0
    is_gone_when_empty: bool = False

    @property
    def has_share(self) -> bool:
        is_whole = any(held.is_whole for held in self.jobs.values())
        return self.phase is _Phase.OPEN and len(self.jobs) < self.n_shares and not is_whole

    @property
    def free_gb(self) -> float:
        return self.memory_gb - sum(held.memory_gb for held in self.jobs.values())

    def fits(self, need: Need) -> bool:
        """Whether a share is free and memory suffices; alone on a device a job may try whatever was expected of it."""
        if not self.has_share or not self.jobs or not self.memory_gb:
            return self.has_share
        # Where memory decides, a job of unknown size takes the device alone.
        has_unknown = any(held.memory_gb == 0.0 for held in self.jobs.values())
        return need.memory_gb > 0.0 and not has_unknown and need.memory_gb <= self.free_gb

    def free_share(self) -> int:
        taken = {held.share for held in self.jobs.values()}
        return next(share for share in range(self.n_shares) if share not in taken)


class Packing:
    """The devices of a sweep and the jobs on them."""

    def __init__(self) -> None:
        self._rooms: dict[int, _Room] = {}
        self._reserved: set[int] = set()

    @property
    def was_told_of_devices(self) -> bool:
        """Whether any device was ever named."""
        return bool(self._rooms)

    def could_fit(self, need: Need) -> bool:
        """Whether a job could ever be placed on what is there or may come back."""
        return sum(room.phase is not _Phase.GONE for room in self._rooms.values()) >= need.n_devices

    def expect(self, device: int) -> None:
        """Know of a device that may not be there yet; one that was about to be given back is kept."""
        room = self._rooms.setdefault(device, _Room(device))
        if room.phase is _Phase.GONE:
            room.phase = _Phase.EXPECTED
        elif room.phase is _Phase.CLOSING and not room.is_gone_when_empty:
            room.phase = _Phase.OPEN

    def open(self, device: int, n_shares: int, memory_gb: float) -> None:
        """Let a device take jobs.

        Raises:
            ValueError: it is open.
        """
        room = self._rooms.setdefault(device, _Room(device))
        if room.phase in (_Phase.OPEN, _Phase.CLOSING):
            raise ValueError(f"device {device} was opened before")
        room.phase, room.n_shares, room.memory_gb = _Phase.OPEN, n_shares, memory_gb
        room.n_errors, room.is_gone_when_empty = 0, False

    def close(self, device: int, is_gone: bool) -> list[str]:
        """Let a device take no more jobs; return those that are on it."""
        room = self._rooms[device]
        if room.phase is _Phase.EXPECTED and is_gone:
            room.phase = _Phase.GONE
        if room.phase is not _Phase.OPEN:
            room.is_gone_when_empty |= is_gone
            return []
        room.phase, room.is_gone_when_empty = _Phase.CLOSING, is_gone
        return list(room.jobs)

    def pop_empty(self) -> list[tuple[int, bool]]:
        """Return the closing devices that no job is on any more, and which are gone; they are closed with this."""
        empty = [room for room in self._rooms.values() if room.phase is _Phase.CLOSING and not room.jobs]
        for room in empty:
            room.phase = _Phase.GONE if room.is_gone_when_empty else _Phase.EXPECTED
        return [(room.number, room.is_gone_when_empty) for room in empty]

    def note_error(self, devices: Sequence[int]) -> list[int]:
        """Count an error of each device; return those that have to be taken out."""
        for device in devices:
            self._rooms[device].n_errors += 1
        return [device for device in devices if self._rooms[device].n_errors == MAX_DEVICE_ERRORS]

    def begin_round(self) -> None:
        """Forget what was reserved in the last round of placing."""
        self._reserved.clear()

    def has_room(self) -> bool:
        """Whether any device has a share left that is not reserved."""
        return any(room.has_share and room.number not in self._reserved for room in self._rooms.values())

    def place(self, job_id: str, need: Need, is_urgent: bool = False) -> tuple[tuple[int, ...], int] | None:
        """Put a job on devices; return their numbers and its share of the first, or None if it has to wait.

        A job that wants several devices, or that somebody asked to have next, and finds too little room has the devices
        with the fewest jobs kept free for it, so that smaller jobs behind it in the line do not keep it waiting for
        ever.
        """
        rooms = [room for room in self._rooms.values() if room.number not in self._reserved]
        if need.n_devices == 1:
            fitting = [room for room in rooms if room.fits(need)]
            # Spread over the devices first; then where most memory is left.
            chosen = sorted(fitting, key=lambda room: (len(room.jobs), -room.free_gb, room.number))[:1]
            if not chosen and is_urgent:
                self._reserved |= {room.number for room in _emptiest(rooms)[:1]}
        else:
            chosen = _emptiest(rooms)[: need.n_devices]
            if len(chosen) == need.n_devices and any(room.jobs for room in chosen):
                self._reserved |= {room.number for room in chosen}
                chosen = []
        if len(chosen) < need.n_devices:
            return None
        share = chosen[0].free_share()
        for room in chosen:
            room.jobs[job_id] = _Held(share, need.memory_gb, need.n_devices > 1)
        return tuple(room.number for room in chosen), share

    def leave(self, job_id: str, devices: Sequence[int]) -> None:
        """Take a job off its devices."""
        for device in devices:
            del self._rooms[device].jobs[job_id]


def _emptiest(rooms: Sequence[_Room]) -> list[_Room]:
    """Return the open ones, those with the fewest jobs first."""
    usable = [room for room in rooms if room.phase is _Phase.OPEN]
    return sorted(usable, key=lambda room: (len(room.jobs), room.number))
