"""Training on several devices: the processes beside the job's own, forked from it and never outliving it."""

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure
from runners.contract.states import AttemptOutcome, FailureKind
from runners.failures import describe_failure
from runners.place import Place
from runners.process import append_output, die_with_parent

_POLL_S = 0.1
# One that dies takes others with it: what they say first may only be that a peer is gone.
_GATHER_S = 1.0
# The time that rank 0 has to notice by itself, and to end in good order, when another process has died.
_GIVE_UP_S = 20.0
# A pipe holds 64 KiB, and nobody reads it before its writer is gone.
_TRACEBACK_CHARACTERS = 16_000
_PEER_IS_GONE = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited", "remote error")

Follow = Callable[[Place], None]


def checked_split(spec: AttemptSpec) -> None:
    """Refuse a batch that does not come out even.

    Raises:
        UserError: devices do not share the images of a step equally.
    """
    if spec.batch_per_step % spec.n_devices:
        raise UserError(
            f"images that {spec.n_devices} devices cannot share in batch_per_step: {spec.batch_per_step}; "
            f"take a multiple of {spec.n_devices}"
        )


class Ranks:
    """The processes with ranks from 1 on; made by rank 0, before anything touches CUDA.

    Args:
        folder: the attempt; each process has a log of its own beside rank 0's.
        spec: the attempt's spec.
        follow: what each does until the training's end; its exceptions are failures of the attempt.
        situation: see `runners.failures.describe_failure`.
    """

    def __init__(self, folder: AttemptFolder, spec: AttemptSpec, follow: Follow, situation: str) -> None:
        self._folder = folder
        self._situation = situation
        self._rendezvous = Path(tempfile.mkdtemp(prefix="detsweep-"))
        self._lock = threading.Lock()
        self._pids: dict[int, int] = {}
        self._pipes: dict[int, int] = {}
        self._failures: dict[int, Failure] = {}
        self._has_failed = threading.Event()
        self._is_ending = False
        self.place = Place(0, spec.n_devices, self._rendezvous)
        devices = _visible_devices(spec)
        for rank in range(1, spec.n_devices):
            self._fork(Place(rank, spec.n_devices, self._rendezvous), devices, follow)
        if devices:
            os.environ["CUDA_VISIBLE_DEVICES"] = devices[0]
        # A thread: the main one may be waiting, deep in a library, for a process that is gone.
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def cause_of(self, error: Exception) -> Failure | None:
        """Return another process's failure if that is why rank 0 failed; None if the error is rank 0's own."""
        message = str(error)
        if not any(sign in message for sign in _PEER_IS_GONE):
            return None
        if not self._has_failed.wait(_GATHER_S):
            return None
        time.sleep(_GATHER_S)
        return self._first_cause()

    def end(self) -> None:
        """Kill what is left of them; rank 0 has saved what is to be kept."""
        with self._lock:
            self._is_ending = True
            self._kill()
        self._watcher.join()
        shutil.rmtree(self._rendezvous, ignore_errors=True)

    def _fork(self, place: Place, devices: list[str], follow: Follow) -> None:
        reader, writer = os.pipe()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._become(place, devices, follow, parent, writer)
        os.close(writer)
        self._pids[place.rank], self._pipes[place.rank] = pid, reader

    def _become(self, place: Place, devices: list[str], follow: Follow, parent: int, writer: int) -> None:
        """Follow rank 0 in the forked process; never returns."""
        returncode = 1
        try:
            die_with_parent(parent)
            # Rank 0 alone decides when to stop, and ends this process then.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            append_output(self._folder.path / f"log_{place.rank}.txt")
            if devices:
                os.environ["CUDA_VISIBLE_DEVICES"] = devices[place.rank]
            follow(place)
            returncode = 0
        except Exception as error:
            logging.getLogger(__name__).exception("rank %d failed", place.rank)
            failure = describe_failure(error, self._situation)
            told = {
                "kind": failure.kind.value,
                "message": failure.message,
                "traceback": failure.traceback[-_TRACEBACK_CHARACTERS:],
            }
            os.write(writer, json.dumps(told).encode())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(returncode)

    def _watch(self) -> None:
        give_up_at = None
        while True:
            with self._lock:
                self._reap()
                if self._is_ending and not self._pids:
                    return
            if self._failures and not self._is_ending:
                self._has_failed.set()
                give_up_at = give_up_at or time.monotonic() + _GIVE_UP_S
                if time.monotonic() >= give_up_at:
                    self._give_up()
            time.sleep(_POLL_S)

    def _reap(self) -> None:
        for rank, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._pids[rank]
            returncode = os.waitstatus_to_exitcode(status)
            with os.fdopen(self._pipes.pop(rank), "rb") as pipe:
                told = pipe.read()
            if returncode == 0 or self._is_ending:
                continue
            if told:
                values = json.loads(told)
                self._failures[rank] = Failure(**{**values, "kind": FailureKind(values["kind"])})
            else:
                how = f"killed by signal {-returncode}" if returncode < 0 else f"gone with exit code {returncode}"
                self._failures[rank] = Failure(FailureKind.LOST, f"the process of device {rank + 1} was {how}")

    def _first_cause(self) -> Failure:
        """Return the failure that is not only about a peer that is gone, if there is one."""
        failures = [self._failures[rank] for rank in sorted(self._failures)]
        own = [failure for failure in failures if not any(sign in failure.message for sign in _PEER_IS_GONE)]
        return (own or failures)[0]

    def _give_up(self) -> None:
        """End the attempt in rank 0's place, which does not come back from waiting."""
        failure = self._first_cause()
        AttemptResult(self._folder.number, AttemptOutcome.FAILED, failure=failure, finished_at=time.time()).write(
            self._folder
        )
        self._kill()
        shutil.rmtree(self._rendezvous, ignore_errors=True)
        os._exit(1)

    def _kill(self) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own


def _visible_devices(spec: AttemptSpec) -> list[str]:
    """Return what ``CUDA_VISIBLE_DEVICES`` is for each rank; nothing on the CPU.

    Raises:
        UserError: fewer devices are visible than the spec says.
    """
    if spec.device != "cuda":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(rank) for rank in range(spec.n_devices)] if visible is None else visible.split(",")
    if len(devices) < spec.n_devices:
        raise UserError(f"devices in spec.json: {spec.n_devices}, but CUDA_VISIBLE_DEVICES is {visible}")
    return devices
