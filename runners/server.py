"""The warm server: imports PyTorch and MMDetection once and forks a process per attempt.

JSON lines on stdin, a pipe or a Unix socket:
- ``{"op":"start","attempt":"<folder>","env":{..},"leases":[..]}``: the job inherits these leases and no others
- ``{"op":"terminate","attempt":..}``: TERM to the job's own pid; its data loader workers must live while it saves
- ``{"op":"kill","attempt":..}``: KILL to its group
- ``{"op":"dump","attempt":..}``: its Python stacks into its log
- ``{"op":"hold","lease":"<name>"}``: keep the descriptor that came with this line (a device's lock; sockets only)
- ``{"op":"release","lease":"<name>"}``: close it here; jobs that inherited it hold it until they are gone

JSON lines on stdout, each with ``at``, seconds since the epoch:
- ``{"event":"ready"}``
- ``{"event":"started","attempt":..,"pid":n}``
- ``{"event":"exited","attempt":..,"returncode":n}``: negative: the signal; with ``message``: not started. Nothing of
  the job's process group is left by then
- ``{"event":"refused","request":..,"message":..}``: a request that makes no sense

The end of stdin means that the controller is gone: TERM to the jobs, a grace period, KILL, exit. A lease is a
descriptor with a lock on it, open here and in the jobs that it was given to: a device is free exactly when its last
user is gone.
"""

import argparse
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import stat
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder
from runners.process import die_with_parent, enter_attempt

GRACE_S = 10.0
_CHUNK_BYTES = 65536
_N_DESCRIPTORS = 64
# How long the rest of a group may take to die of KILL before its job is told as gone all the same; how often we look.
_GROUP_S = 5.0
_GROUP_POLL_S = 0.05

JOB = "runners.job"
RunAttempt = Callable[[AttemptFolder], int]


class Server:
    """Starts, signals and reaps jobs; never waits for anything but its selector.

    Args:
        run_attempt: executes an attempt in the forked process and returns its exit code.
        grace_s: seconds between TERM and KILL once stdin has ended.
        controller_pid: who started the server; once it is gone, nothing more is started.
    """

    def __init__(self, run_attempt: RunAttempt, grace_s: float, controller_pid: int) -> None:
        self._run_attempt = run_attempt
        self._grace_s = grace_s
        self._controller_pid = controller_pid
        self._pids: dict[str, int] = {}
        # Jobs that are gone while others of their group are not: (group, exit code, when not to wait any longer).
        self._dying: dict[str, tuple[int, int, float]] = {}
        self._socket = socket.socket(fileno=os.dup(0)) if stat.S_ISSOCK(os.fstat(0).st_mode) else None
        self._received: deque[int] = deque()
        self._leases: dict[str, int] = {}
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
        while self._is_input_open or self._pids or self._dying:
            for key, _ in self._selector.select(self._timeout_s()):
                if key.fd == 0:
                    self._read_requests()
                elif key.fd == 1:
                    self._write_events()
                else:
                    _drain(self._wakeup)
            self._reap()
            self._tell_the_dead()
            self._kill_after_grace()
        self._write_events()

    def _timeout_s(self) -> float | None:
        if self._dying:
            return _GROUP_POLL_S
        return None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())

    def _read_requests(self) -> None:
        try:
            chunk = self._receive()
        except BlockingIOError:
            return
        except ConnectionResetError:  # the other side is gone with something unread
            chunk = b""
        if not chunk:
            self._close_input()
            return
        *lines, self._incoming = (self._incoming + chunk).split(b"\n")
        for line in lines:
            self._answer(line)

    def _receive(self) -> bytes:
        if self._socket is None:
            return os.read(0, _CHUNK_BYTES)
        chunk, descriptors, _, _ = socket.recv_fds(self._socket, _CHUNK_BYTES, _N_DESCRIPTORS)
        self._received += descriptors
        return chunk

    def _answer(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            op = request["op"]
            if op == "start":
                env = {str(key): str(value) for key, value in request.get("env", {}).items()}
                self._start_or_tell(str(request["attempt"]), env, [str(name) for name in request.get("leases", [])])
            elif op in ("terminate", "kill", "dump"):
                number = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL, "dump": signal.SIGUSR1}[op]
                self._signal(str(request["attempt"]), number)
            elif op == "hold":
                self._leases[str(request["lease"])] = self._received.popleft()
            elif op == "release":
                os.close(self._leases.pop(str(request["lease"])))
            else:
                raise ValueError(f"unknown op {op!r}")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            self._tell("refused", request=line.decode("utf-8", "replace"), message=f"{type(error).__name__}: {error}")

    def _start_or_tell(self, attempt: str, env: dict[str, str], leases: list[str]) -> None:
        """Start a job; one that cannot start has exited, so that its controller never waits for it."""
        try:
            self._start(attempt, env, leases)
        except OSError as error:
            self._tell("exited", attempt=attempt, returncode=1, message=f"not started: {error}")

    def _start(self, attempt: str, env: dict[str, str], leases: list[str]) -> None:
        if os.getppid() != self._controller_pid:
            # Its last requests came while the libraries were imported; another controller may go on with the job.
            raise ProcessLookupError("the controller is gone")
        unknown = [name for name in leases if name not in self._leases]
        if unknown:
            raise ValueError(f"no such lease: {', '.join(unknown)}")
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
            self._become_job(folder, env, leases, server_pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._pids[attempt] = pid
        self._tell("started", attempt=attempt, pid=pid)

    def _become_job(self, folder: AttemptFolder, env: dict[str, str], leases: list[str], server_pid: int) -> None:
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
            if self._socket is not None:
                self._socket.close()
            for name, descriptor in self._leases.items():
                if name not in leases:
                    os.close(descriptor)
            enter_attempt(folder, env)
            returncode = self._run_attempt(folder)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit: the server's own stack and exit handlers are no business of its children.
            os._exit(returncode)

    def _signal(self, attempt: str, number: signal.Signals) -> None:
        """Signal a job: KILL goes to its whole group, everything else to its own process."""
        pid = self._pids.get(attempt)
        if pid is None:  # it ended while the request was on its way
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            # Between fork and setsid there is no group of that number yet.
            os.kill(pid, number)

    def _reap(self) -> None:
        for attempt, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[attempt]
                # What it left behind may still use its device.
                _kill_group(pid)
                returncode = os.waitstatus_to_exitcode(status)
                self._dying[attempt] = pid, returncode, time.monotonic() + _GROUP_S

    def _tell_the_dead(self) -> None:
        for attempt, (group, returncode, deadline) in list(self._dying.items()):
            if not _kill_group(group) or time.monotonic() >= deadline:
                del self._dying[attempt]
                self._tell("exited", attempt=attempt, returncode=returncode)

    def _close_input(self) -> None:
        if not self._is_input_open:
            return
        self._is_input_open = False
        self._selector.unregister(0)
        self._kill_at = time.monotonic() + self._grace_s
        for attempt in list(self._pids):
            self._signal(attempt, signal.SIGTERM)

    def _kill_after_grace(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            for attempt in list(self._pids):
                self._signal(attempt, signal.SIGKILL)
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


def _kill_group(group: int) -> bool:
    """Send KILL to all that is left of a process group; return whether anything was."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _load(entry: str) -> RunAttempt:
    """Import the module that executes attempts, and everything that its jobs should not have to import."""
    if entry == JOB:
        from runners.preload import preload

        preload()
    run_attempt: RunAttempt = importlib.import_module(entry).run_attempt
    return run_attempt


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, _CHUNK_BYTES):
            pass
    except BlockingIOError:
        pass


def main() -> None:
    """Import what jobs need, then serve."""
    parser = argparse.ArgumentParser(prog="python -m runners.server", description=__doc__)
    parser.add_argument("--grace-s", type=float, default=GRACE_S, help="seconds from TERM to KILL at the end of stdin")
    parser.add_argument("--entry", default=JOB, help="the module whose run_attempt(folder) executes an attempt")
    told = "the process that asks; once it is gone nothing more is started (default: whoever started this)"
    parser.add_argument("--controller-pid", type=int, default=os.getppid(), help=told)
    arguments = parser.parse_args()

    # What libraries print while they are imported must not land among the events.
    events = os.dup(1)
    os.dup2(2, 1)
    run_attempt = _load(arguments.entry)
    # What was imported lives for ever: keep the collector from touching, and so copying, pages shared with the jobs.
    gc.collect()
    gc.freeze()
    os.dup2(events, 1)
    os.close(events)
    Server(run_attempt, arguments.grace_s, arguments.controller_pid).serve()
    # Nothing is left to clean up, and taking the imported libraries apart would keep devices leased for seconds.
    os._exit(0)


if __name__ == "__main__":
    main()
