"""The journal: the one truth about a sweep. Events are appended and synced; state is a fold over them."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from runners.contract.errors import UserError
from runners.contract.failpoints import failpoint
from runners.contract.jsonfile import read_lines


class SweepOwnedError(UserError):
    """Another controller owns the sweep."""

    exit_code = 4


class Journal:
    """An open journal, owned by one controller at a time.

    Args:
        path: ``journal.jsonl``; made if missing.
        clock: wall-clock seconds since the epoch.

    Raises:
        SweepOwnedError: another process holds the journal.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = FileLock(f"{path}.lock", mode=0o600)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SweepOwnedError(
                f"sweep in {path.parent}: another detsweep process owns it; wait for it, or stop that one first"
            ) from None
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._cut_torn_tail()

    def _cut_torn_tail(self) -> None:
        whole = max((behind for _, behind in read_lines(self._path)), default=0)
        os.ftruncate(self._descriptor, whole)

    def append(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append an event and return it once it is on the disk."""
        record = {"at": self._clock(), "event": event, **fields}
        failpoint("journal.append.before")
        os.write(
            self._descriptor, (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8")
        )
        os.fsync(self._descriptor)
        failpoint("journal.append.after")
        return record

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
    """Yield the events of a journal that another process may own; a torn last line is left out."""
    for record, _ in read_lines(path):
        yield record
