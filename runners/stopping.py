"""Stopping an attempt in good order: by the controller's stop file, or by a signal to this process."""

import signal
import time
from types import FrameType
from typing import Literal, cast, get_args

from runners.contract.folder import AttemptFolder

StopReason = Literal["prune", "interrupt", "cancel"]

_POLL_S = 0.5


class StopTraining(Exception):  # noqa: N818 - like StopIteration, no error
    """Somebody asked this attempt to end; not an error.

    Attributes:
        reason: prune, interrupt or cancel.
    """

    def __init__(self, reason: StopReason) -> None:
        super().__init__(f"asked to stop: {reason}")
        self.reason: StopReason = reason


class StopRequest:
    """Looks out for a request to stop; training asks it between iterations.

    Args:
        folder: the attempt, whose ``stop`` file holds the reason.
    """

    def __init__(self, folder: AttemptFolder) -> None:
        self._path = folder.stop
        self._is_signalled = False
        self._next_poll = 0.0

    def listen(self) -> None:
        """Take TERM and the first Ctrl-C as a request to save and stop; a second Ctrl-C kills."""
        signal.signal(signal.SIGTERM, self._take_signal)
        signal.signal(signal.SIGINT, self._take_signal)
        # The warm server forks with TERM held back until here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def raise_if_asked(self) -> None:
        """Raise `StopTraining` if a stop was asked for.

        Raises:
            StopTraining: with the reason.
        """
        if self._is_signalled:
            # Who sends TERM has written down why before, unless the disk was full or it is somebody else.
            raise StopTraining(self._written() or "interrupt")
        # The file is looked for by the clock and not by the iteration: the folder may lie on a slow network.
        if time.monotonic() < self._next_poll:
            return
        self._next_poll = time.monotonic() + _POLL_S
        reason = self._written()
        if reason is not None:
            raise StopTraining(reason)

    def _written(self) -> StopReason | None:
        return _reason(self._path.read_text(encoding="utf-8")) if self._path.exists() else None

    def _take_signal(self, number: int, _frame: FrameType | None) -> None:
        self._is_signalled = True
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _reason(text: str) -> StopReason:
    reason = text.strip()
    if reason not in get_args(StopReason):
        raise ValueError(f"stop file: wanted one of {', '.join(get_args(StopReason))}, found {reason!r}")
    return cast(StopReason, reason)
