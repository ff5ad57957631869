"""Runs a command and ends it, with all that it has started, as soon as whoever asked for it is gone.

Started as ``python -I follower.py COMMAND ...`` in a session of its own, so it may import nothing of ours. Its standard
input is a pipe whose other end is the asker's: it closes when that one ends, however it ends.
"""

import os
import select
import signal
import subprocess
import sys
import time

INPUT = 0
POLL_S = 0.1
TERM_S = 5.0


def follow(command: list[str]) -> int:
    """Run a command until it ends, and return its exit status, 128 + number for a signal."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    # What is sent to the group is for the command and its children; this process has to see them end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while process.poll() is None:
        has_ended, _, _ = select.select([INPUT], [], [], POLL_S)
        if has_ended and not os.read(INPUT, 1):
            _end(process)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + TERM_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    # Its children may be slower than itself. This ends the present process too, which is the last of them.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(follow(sys.argv[1:]))
