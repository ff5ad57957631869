"""``--detach``: a controller in a session of its own, which a closed terminal does not reach.

The command forks. The child plans and trains, and writes into a file that has no name yet; the parent repeats on the
terminal what it writes, until the sweep stands on the disk and its journal is owned, or the child ends. From there on
the child writes to the sweep's ``controller.log``.
"""

import contextlib
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from runners.contract.folder import SweepFolder
from sweeper.project.places import find_places

FLAG = "--detach"
LOG = "controller.log"
POLL_S = 0.05
_CHUNK_BYTES = 65536

# Where a detached controller tells its parent that the sweep has begun.
_handshake: int | None = None


def run_detached(run: Callable[[], int]) -> int:
    """Run a controller in a process of its own.

    Args:
        run: plans and trains, and calls `notify_started` in between; returns the exit code.

    Returns:
        0 once the sweep has begun; the controller's exit code if it ended before that.
    """
    told, tell = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.close(told)
            _become_controller(run, tell, out, error)
        os.close(tell)
        folder, exit_code = _relay(child, told, [(out, sys.stdout), (error, sys.stderr)])
    if folder is None:
        return exit_code
    print("\n".join(_way_on(Path(folder), child)))
    return 0


def notify_started(sweep: SweepFolder) -> None:
    """Tell whoever detached this controller that the sweep is written and owned; does nothing in a terminal's own."""
    global _handshake
    if _handshake is None:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(sweep.path / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    for descriptor in (1, 2):
        os.write(log, _whole(descriptor))
        os.dup2(log, descriptor)
    os.close(log)
    with contextlib.suppress(BrokenPipeError):  # the terminal was closed while the plan was made
        os.write(_handshake, os.fsencode(sweep.path))
    os.close(_handshake)
    _handshake = None


def _become_controller(run: Callable[[], int], tell: int, out: BinaryIO, error: BinaryIO) -> None:
    """Run in the child; never returns."""
    global _handshake
    exit_code = 1
    try:
        os.setsid()
        # A shell starts background commands with Ctrl-C ignored; a request to stop must reach this one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(out.fileno(), 1)
        os.dup2(error.fileno(), 2)
        _handshake = tell
        exit_code = run()
    except KeyboardInterrupt:
        exit_code = 128 + signal.SIGINT
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not the way through the caller: whatever it would still do belongs to the parent.
        os._exit(exit_code)


def _relay(child: int, told: int, streams: list[tuple[BinaryIO, object]]) -> tuple[str | None, int]:
    """Repeat what the child writes until it has begun or ended; return the sweep's folder, or its exit code."""
    os.set_blocking(told, False)
    offsets = [0] * len(streams)

    def repeat() -> None:
        for number, (file, stream) in enumerate(streams):
            for chunk in _chunks(file.fileno(), offsets[number]):
                offsets[number] += len(chunk)
                stream.write(chunk.decode("utf-8", errors="replace"))  # type: ignore[attr-defined]
            stream.flush()  # type: ignore[attr-defined]

    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                folder = os.read(told, _CHUNK_BYTES)
                repeat()
                if folder:
                    return os.fsdecode(folder), 0
                break
            repeat()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        # Nothing has begun yet: the command is given up as a whole.
        os.kill(child, signal.SIGINT)
    finally:
        os.close(told)
    _, status = os.waitpid(child, 0)
    repeat()
    exit_code = os.waitstatus_to_exitcode(status)
    return None, exit_code if exit_code >= 0 else 128 - exit_code


def _way_on(folder: Path, child: int) -> list[str]:
    name = shlex.quote(folder.name)
    if folder.parent != find_places().output_dir:
        name = shlex.quote(str(folder))
    return [
        f"sweep {folder} runs in the background (process {child})",
        f"  detsweep attach {name}    its live table",
        f"  detsweep status {name}    where it stands",
        f"  detsweep stop {name}      let it save and end",
    ]


def _whole(descriptor: int) -> bytes:
    return b"".join(_chunks(descriptor, 0))


def _chunks(descriptor: int, offset: int) -> Iterator[bytes]:
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        offset += len(chunk)
        yield chunk
