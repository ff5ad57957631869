"""Standard output for as long as somebody looks at it: no sweep ends because its terminal was closed."""

import contextlib
import io
import os
import sys
from typing import TextIO


class Screen(io.TextIOBase):
    """Writes to a stream until that fails, and to nowhere from then on.

    Args:
        stream: a terminal, a pipe or a file; sys.stdout if None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        # A terminal that has hung up is none any more: it tells itself from one that lives on behind a broken pipe.
        self._errors = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the stream's."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write a text; a screen that is gone takes everything."""
        try:
            self._stream.write(text)
        except OSError:
            self._forget()
        return len(text)

    def flush(self) -> None:
        """Have everything written."""
        try:
            self._stream.flush()
        except OSError:
            self._forget()

    def _forget(self) -> None:
        """Put nowhere in the place of what is gone, for what the stream still holds and for error messages."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            if self._errors is not None and not self._errors.isatty():
                os.dup2(nowhere, self._errors.fileno())
            os.close(nowhere)
