"""The warm server: imports PyTorch and MMDetection once and forks a process per attempt.

JSON lines on stdin:
- ``{"op":"start","attempt":"<folder>","env":{..}}``
- ``{"op":"terminate","attempt":..}``: TERM to the job's own pid; its data loader workers must live while it saves
- ``{"op":"kill","attempt":..}``: KILL to its group

JSON lines on stdout, each with ``at``, seconds since the epoch:
- ``{"event":"ready"}``
- ``{"event":"started","attempt":..,"pid":n}``
- ``{"event":"exited","attempt":..,"returncode":n}``: negative: the signal; with ``message``: not started
- ``{"event":"refused","request":..,"message":..}``: a request that makes no sense

The end of stdin means that the controller is gone: TERM to the jobs, a grace period, KILL, exit. Descriptors that the
server inherited (device leases) stay open in the jobs, so a device is free exactly when its last user is gone.
"""

import argparse
import gc
import json
import os
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder
from runners.process import die_with_parent, enter_attempt

GRACE_S = 10.0
_CHUNK_BYTES = 65536


class Server:
    """Starts, signals and reaps jobs; never waits for anything but its selector.

    Args:
        grace_s: seconds between TERM and KILL once stdin has ended.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._pids: dict[str, int] = {}
        self._incoming = b""
        self._outgoing = b""
        self._is_input_open = True
        self._kill_at: float | None = None
        self._selector = selectors.DefaultSelector()
        # A signal makes a byte readable here, so that the end of a child wakes the selector.
        self._wakeup, wakeup_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_end, False)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        self._wakeup_end = wakeup_end
        os.set_blocking(0, False)
        os.set_blocking(1, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._close_input())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to answer
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer requests until stdin has ended and every job is gone."""
        self._tell("ready")
        while self._is_input_open or self._pids:
            for key, _ in self._selector.select(self._timeout_s()):
                if key.fd == 0:
                    self._read_requests()
                elif key.fd == 1:
                    self._write_events()
                else:
                    _drain(self._wakeup)
            self._reap()
            self._kill_after_grace()
        self._write_events()

    def _timeout_s(self) -> float | None:
        return None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())

    def _read_requests(self) -> None:
        try:
            chunk = os.read(0, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            self._close_input()
            return
        *lines, self._incoming = (self._incoming + chunk).split(b"\n")
        for line in lines:
            self._answer(line)

    def _answer(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            op, attempt = request["op"], str(request["attempt"])
            if op == "start":
                self._start_or_tell(attempt, {str(key): str(value) for key, value in request.get("env", {}).items()})
            elif op in ("terminate", "kill"):
                self._signal(attempt, kill=op == "kill")
            else:
                raise ValueError(f"unknown op {op!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._tell("refused", request=line.decode("utf-8", "replace"), message=f"{type(error).__name__}: {error}")

    def _start_or_tell(self, attempt: str, env: dict[str, str]) -> None:
        """Start a job; one that cannot start has exited, so that its controller never waits for it."""
        try:
            self._start(attempt, env)
        except OSError as error:
            self._tell("exited", attempt=attempt, returncode=1, message=f"not started: {error}")

    def _start(self, attempt: str, env: dict[str, str]) -> None:
        folder = AttemptFolder(Path(attempt))
        if not folder.spec.is_file():
            raise FileNotFoundError(f"no {folder.spec}")
        if attempt in self._pids:
            raise ValueError("this attempt is running already")
        server_pid = os.getpid()
        # A TERM that comes before the job listens has to wait for it, or it would end the job without a result.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            self._become_job(folder, env, server_pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._pids[attempt] = pid
        self._tell("started", attempt=attempt, pid=pid)

    def _become_job(self, folder: AttemptFolder, env: dict[str, str], server_pid: int) -> None:
        """Run the job in the forked child; never returns."""
        returncode = 1
        try:
            os.setsid()
            die_with_parent(server_pid)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            os.close(self._wakeup)
            os.close(self._wakeup_end)
            enter_attempt(folder, env)
            from runners.job import run_attempt

            returncode = run_attempt(folder)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit: the server's own stack and exit handlers are no business of its children.
            os._exit(returncode)

    def _signal(self, attempt: str, *, kill: bool) -> None:
        pid = self._pids.get(attempt)
        if pid is None:  # it ended while the request was on its way
            return
        try:
            if kill:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            # Between fork and setsid there is no group of that number yet.
            os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)

    def _reap(self) -> None:
        for attempt, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[attempt]
                self._tell("exited", attempt=attempt, returncode=os.waitstatus_to_exitcode(status))

    def _close_input(self) -> None:
        if not self._is_input_open:
            return
        self._is_input_open = False
        self._selector.unregister(0)
        self._kill_at = time.monotonic() + self._grace_s
        for attempt in list(self._pids):
            self._signal(attempt, kill=False)

    def _kill_after_grace(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            for attempt in list(self._pids):
                self._signal(attempt, kill=True)
            self._kill_at = time.monotonic() + self._grace_s

    def _tell(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values, "at": time.time()}, ensure_ascii=False)
        self._outgoing += line.encode("utf-8") + b"\n"
        self._write_events()

    def _write_events(self) -> None:
        """Write as much as the pipe takes; the selector asks again for the rest."""
        try:
            while self._outgoing:
                self._outgoing = self._outgoing[os.write(1, self._outgoing) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._outgoing = b""  # nobody listens any more; the end of stdin follows
        is_watched = 1 in self._selector.get_map()
        if self._outgoing and not is_watched:
            self._selector.register(1, selectors.EVENT_WRITE)
        elif not self._outgoing and is_watched:
            self._selector.unregister(1)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, _CHUNK_BYTES):
            pass
    except BlockingIOError:
        pass


def main() -> None:
    """Preload, then serve."""
    parser = argparse.ArgumentParser(prog="python -m runners.server", description=__doc__)
    parser.add_argument("--grace-s", type=float, default=GRACE_S, help="seconds from TERM to KILL at the end of stdin")
    arguments = parser.parse_args()

    from runners.preload import preload

    # What libraries print while they are imported must not land among the events.
    events = os.dup(1)
    os.dup2(2, 1)
    preload()
    # What was imported lives for ever: keep the collector from touching, and so copying, pages shared with the jobs.
    gc.collect()
    gc.freeze()
    os.dup2(events, 1)
    os.close(events)
    Server(arguments.grace_s).serve()
    # Nothing is left to clean up, and taking the imported libraries apart would keep devices leased for seconds.
    os._exit(0)


if __name__ == "__main__":
    main()
