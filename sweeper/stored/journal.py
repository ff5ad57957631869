"""The journal: the one truth about a sweep. Events are appended and synced; state is a fold over them."""

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from runners.contract.errors import UserError
from runners.contract.failpoints import failpoint
from sweeper.stored.processes import is_alive


class SweepOwnedError(UserError):
    """Another controller owns the sweep."""

    exit_code = 4


class JournalDamagedError(UserError):
    """A line of a journal, not the last one, is no event."""


class JournalNotWrittenError(UserError):
    """An event could not be written; what follows from it must not be done."""

    exit_code = 3


class Journal:
    """An open journal, owned by one controller at a time.

    Args:
        path: ``journal.jsonl``; made if missing.
        clock: wall-clock seconds since the epoch.

    Raises:
        SweepOwnedError: another process holds the journal.
        JournalDamagedError: it holds something else than events.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = FileLock(f"{path}.lock", mode=0o666 & ~_umask())
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SweepOwnedError(
                f"sweep in {path.parent}: {_owner_words(path)} owns it; look with detsweep status, end it with "
                "detsweep stop"
            ) from None
        except OSError as error:
            raise UserError(f"sweep in {path.parent}: cannot be locked ({error.strerror})") from None
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._cut_torn_tail()
        except JournalDamagedError:
            self.close()
            raise

    def _cut_torn_tail(self) -> None:
        whole = max((behind for _, behind in _read_events(self._path)), default=0)
        os.ftruncate(self._descriptor, whole)
        self._size = whole

    def append(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append an event and return it once it is on the disk.

        Raises:
            JournalNotWrittenError: the disk is full or failing; the journal ends with the event before.
        """
        return self.append_all([(event, fields)])[0]

    def append_all(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Append several events, which reach the disk together.

        Raises:
            JournalNotWrittenError: as `append`.
        """
        return self._append(events, is_waited_for=True)

    def note(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append an event that means something only while this machine runs, and return it.

        It outlives this process, and reaches the disk with the next event that is waited for.

        Raises:
            JournalNotWrittenError: as `append`.
        """
        return self._append([(event, fields)], is_waited_for=False)[0]

    def _append(self, events: Sequence[tuple[str, Mapping[str, Any]]], is_waited_for: bool) -> list[dict[str, Any]]:
        records = [{"at": self._clock(), "event": event, **fields} for event, fields in events]
        lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records]
        line = "".join(lines).encode("utf-8")
        failpoint("journal.append.before")
        try:
            if os.write(self._descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if is_waited_for:
                os.fsync(self._descriptor)
        except OSError as error:
            # Half a line would be taken for a torn end, and the next event would stand on it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise JournalNotWrittenError(
                f"journal cannot be written in {self._path}: {error.strerror}; make room or mend the disk, then go on "
                "with detsweep resume"
            ) from error
        self._size += len(line)
        failpoint("journal.append.after")
        return records

    def close(self) -> None:
        """Give the journal up."""
        os.close(self._descriptor)
        self._lock.release()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal that another process may own; a torn last line is left out.

    Raises:
        JournalDamagedError: a line is no event.
    """
    for record, _ in _read_events(path):
        yield record


def _read_events(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield (event, offset behind it)."""
    if not path.exists():
        return
    with path.open("rb") as file:
        offset = 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                record = json.loads(line)
                if not isinstance(record, dict) or "event" not in record or "at" not in record:
                    raise ValueError("no event")
            except ValueError:
                raise JournalDamagedError(
                    f"journal damaged at line {number} in {path}: {line[:40]!r}; detsweep verify "
                    f"{path.parent} --rebuild-journal writes a new one from the job folders"
                ) from None
            yield record, offset


def _owner_words(path: Path) -> str:
    """Return who controls a sweep, as far as its journal tells."""
    owner = None
    with contextlib.suppress(JournalDamagedError):
        owner = next((e for e in reversed(list(read_journal(path))) if e["event"] == "sweep_started"), None)
    # Whoever has followed a dead one may not have come to say so.
    is_gone = owner and owner["host"] == socket.gethostname() and not is_alive(owner["pid"], owner["born_at"])
    if owner is None or is_gone:
        return "another detsweep process"
    since = datetime.fromtimestamp(owner["at"]).strftime("%Y-%m-%d %H:%M:%S")
    return f"pid {owner['pid']} on {owner['host']} (since {since})"


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
