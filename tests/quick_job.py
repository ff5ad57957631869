"""A job that looks like training from outside and takes a second: ``detsweep train ... entry=tests.quick_job``.

It keeps the folder contract (records, states with digests, best weights, stop file and TERM, result), goes on from
where an attempt before it stopped, and ends with numbers that depend on the seed and on every iteration having been
done once, in order. `Play` says how long it takes and what goes wrong; it travels in the environment, which jobs
inherit.
"""

import ctypes
import hashlib
import json
import math
import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from runners.attempt_log import AttemptLog
from runners.checkpoints import remove_checkpoints, replacing_file
from runners.contract.checkpoint_files import StateFile, files_of, is_valid, read_digests, write_digests
from runners.contract.digest import sha256_of
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure
from runners.contract.states import AttemptOutcome, FailureKind
from runners.failures import DiskError
from runners.stopping import StopRequest, StopTraining

VARIABLE = "DETSWEEP_QUICK_JOB"
_EXIT_CODES = {AttemptOutcome.COMPLETED: 0, AttemptOutcome.PRUNED: 0, AttemptOutcome.INTERRUPTED: 3}
_N_STATES = 2
_LARGE_BYTES = 400_000_000


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        what: a key of `_FAULTS`, or the value of a `FailureKind`: the attempt then fails with that kind.
        job: only in this job.
        attempts: only in these attempts.
        iteration: when, from 1, counted over all epochs.
        above_batch: only where more images go through the model at once.
        device: only where CUDA_VISIBLE_DEVICES is this.
    """

    what: str
    job: str | None = None
    attempts: tuple[int, ...] | None = None
    iteration: int = 1
    above_batch: int = 0
    device: str | None = None


@dataclass(frozen=True)
class Play:
    """How jobs behave.

    Attributes:
        n_iterations: of an epoch.
        iteration_s: seconds of an iteration.
        n_checkpoint_bytes: size of a full state.
        learns: AP rises by the epoch towards what the optimizer's rate allows, instead of being any number.
        faults: what goes wrong.
    """

    n_iterations: int = 4
    iteration_s: float = 0.01
    n_checkpoint_bytes: int = 2000
    learns: bool = False
    faults: tuple[Fault, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return what a controller's environment needs for this."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> "Play":
        """Return what the environment says; the defaults where it says nothing."""
        values = json.loads(os.environ.get(VARIABLE, "{}"))
        return cls(**{**values, "faults": tuple(Fault(**fault) for fault in values.get("faults", ()))})


class _FailedError(Exception):
    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def run_attempt(folder: AttemptFolder) -> int:
    """Execute an attempt; returns the exit code as `runners.job.run_attempt` does."""
    started = time.monotonic()
    stop = StopRequest(folder)
    stop.listen()
    try:
        spec = AttemptSpec.read(folder)
        config = yaml.safe_load(folder.job.config.read_text(encoding="utf-8"))
        job = _QuickJob(folder, spec, config, stop)
        result = job.train(started) if spec.mode == "train" else job.measure(started)
    except DiskError as error:
        result = _failed(folder, FailureKind.DISK, str(error))
    except _FailedError as error:
        result = _failed(folder, error.kind, str(error))
    except OSError as error:
        result = _failed(folder, FailureKind.DISK, f"cannot write: {error.strerror}")
    except Exception as error:
        traceback.print_exc()
        result = _failed(folder, FailureKind.BUG, f"{type(error).__name__}: {error}")
    result.write(folder)
    if result.checkpoint is not None and spec.keep == "best":
        remove_checkpoints(folder.job.checkpoints, keep={folder.job.path / result.checkpoint})
    return _EXIT_CODES.get(result.outcome, 1)


def _failed(folder: AttemptFolder, kind: FailureKind, message: str) -> AttemptResult:
    print(f"{kind.value}: {message}", flush=True)
    failure = Failure(kind, message)
    return AttemptResult(folder.number, AttemptOutcome.FAILED, failure=failure, finished_at=time.time())


class _QuickJob:
    def __init__(self, folder: AttemptFolder, spec: AttemptSpec, config: Mapping[str, Any], stop: StopRequest) -> None:
        self._folder, self._spec, self._config, self._stop = folder, spec, config, stop
        self._play = Play.from_environment()
        self._log = AttemptLog(folder, config["n_epochs"], config["n_epochs"] * self._play.n_iterations)
        self._iteration = 0
        self._chain = f"seed {config['seed']}"
        self._best: dict[str, Any] = {"epoch": 0, "value": -1.0}
        self._states: list[Path] = []
        if spec.resume is not None:
            self._go_on_from(folder.job.path / spec.resume)

    def train(self, started: float) -> AttemptResult:
        """Do what is left of the epochs; on a stop save first."""
        checkpoints = self._folder.job.checkpoints
        n_epochs, n_iterations = self._config["n_epochs"], self._play.n_iterations
        try:
            for epoch in range(self._iteration // n_iterations + 1, n_epochs + 1):
                self._log.advance("train", epoch=epoch)
                while self._iteration < epoch * n_iterations:
                    self._stop.raise_if_asked()
                    self._iterate(epoch)
                self._end_epoch(epoch)
        except StopTraining as stopped:
            if stopped.reason != "prune":
                self._save(self._iteration // n_iterations)
            return self._stopped(stopped)
        published = checkpoints / f"a{self._spec.attempt}_best.pth"
        source = next(path for path in checkpoints.glob(f"a*_best_epoch_{self._best['epoch']}.pth"))
        with replacing_file(published) as file:
            file.write(source.read_bytes())
        metrics = {
            "best/epoch": float(self._best["epoch"]),
            "best/val/bbox_mAP_50": self._best["value"],
            "best/train/loss": self._number("loss"),
            "test/bbox_mAP_50": self._number("test"),
            **self._costs(started),
        }
        return AttemptResult(
            attempt=self._spec.attempt,
            outcome=AttemptOutcome.COMPLETED,
            metrics=metrics,
            best_epoch=self._best["epoch"],
            checkpoint=str(published.relative_to(self._folder.job.path)),
            checkpoint_sha256=sha256_of(published),
            notes=["a quick job: nothing was trained"],
            finished_at=time.time(),
        )

    def _stopped(self, stopped: StopTraining) -> AttemptResult:
        """Tell what is known so far, as a real job does."""
        is_known = self._best["epoch"] > 0
        return AttemptResult(
            attempt=self._spec.attempt,
            outcome=AttemptOutcome.PRUNED if stopped.reason == "prune" else AttemptOutcome.INTERRUPTED,
            metrics={"best/val/bbox_mAP_50": self._best["value"]} if is_known else {},
            best_epoch=self._best["epoch"] or None,
            finished_at=time.time(),
        )

    def measure(self, started: float) -> AttemptResult:
        """Do what a check or a probe asks for."""
        self._log.advance("train", epoch=1, iteration=1)
        return AttemptResult(
            self._spec.attempt, AttemptOutcome.COMPLETED, metrics=self._costs(started), finished_at=time.time()
        )

    def _iterate(self, epoch: int) -> None:
        for fault in self._play.faults:
            is_meant = (
                fault.job in (None, self._folder.job.job_id)
                and (fault.attempts is None or self._spec.attempt in fault.attempts)
                and fault.iteration == self._iteration + 1
                and self._spec.batch_per_step > fault.above_batch
                and fault.device in (None, os.environ.get("CUDA_VISIBLE_DEVICES"))
            )
            if is_meant:
                _break(fault.what, self._iteration + 1)
        time.sleep(self._play.iteration_s)
        self._iteration += 1
        self._chain = hashlib.sha256(f"{self._chain} {self._iteration}".encode()).hexdigest()
        self._log.advance(
            "train", {"iter/loss": self._number("loss")}, step=self._iteration, epoch=epoch, iteration=self._iteration
        )

    def _end_epoch(self, epoch: int) -> None:
        self._log.advance("train", {"train/loss": self._number("loss")}, epoch=epoch, iteration=self._iteration)
        value = self._number("val")
        self._log.advance("val", {"val/bbox_mAP_50": value, "val/loss": self._number("val loss")})
        if value > self._best["value"]:
            self._best = {"epoch": epoch, "value": value}
            with replacing_file(self._best_path()) as file:
                file.write(json.dumps(self._best).encode())
        self._save(epoch)

    def _save(self, n_epochs_done: int) -> None:
        folder = self._folder.job.checkpoints
        is_between = self._iteration == n_epochs_done * self._play.n_iterations
        state = StateFile(folder, self._spec.attempt, n_epochs_done, None if is_between else self._iteration)
        path = folder / state.name
        content = {"iteration": self._iteration, "chain": self._chain, "best": self._best}
        with replacing_file(path) as file:
            file.write(json.dumps(content).encode().ljust(self._play.n_checkpoint_bytes))
        digests = {path.name: sha256_of(path)}
        best = next(folder.glob(f"a*_best_epoch_{self._best['epoch']}.pth"), None)
        if best is not None:
            digests[best.name] = sha256_of(best)
        write_digests(path, digests)
        self._states = [*(kept for kept in self._states if kept != path), path][-_N_STATES:]
        remove_checkpoints(folder, keep=set().union(*map(files_of, self._states)))

    def _go_on_from(self, path: Path) -> None:
        if not is_valid(path):
            raise _FailedError(FailureKind.USER, f"incomplete checkpoint in resume: {path.name}")
        state = json.loads(path.read_bytes())
        self._iteration, self._chain, self._best = state["iteration"], state["chain"], state["best"]
        self._states = [path]
        assert len(read_digests(path)) == (2 if self._best["epoch"] else 1)

    def _best_path(self) -> Path:
        return self._folder.job.checkpoints / f"a{self._spec.attempt}_best_epoch_{self._best['epoch']}.pth"

    def _number(self, what: str) -> float:
        """Return a value in 0-1 that depends on all iterations so far; AP of a job that learns hardly does."""
        if self._play.learns and what in ("val", "test"):
            n_epochs = self._iteration / self._play.n_iterations
            return reachable_ap(self._config["optimizer"]) * (1 - math.exp(-n_epochs / 3)) + 0.01 * self._hash(what)
        return self._hash(what)

    def _hash(self, what: str) -> float:
        return int(hashlib.sha256(f"{self._chain} {what}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF

    def _costs(self, started: float) -> dict[str, float]:
        return {
            "cost/peak_host_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
            "cost/iteration_s": max(self._play.iteration_s, 0.001),
            "cost/images_per_s": self._spec.batch_per_step / max(self._play.iteration_s, 0.001),
            "cost/wall_s": time.monotonic() - started,
        }


def reachable_ap(optimizer: Mapping[str, Any]) -> float:
    """Return what AP a job that learns comes to, 0-0.8, best at a rate of 0.08 for SGD and 0.004 for all others."""
    best = 0.08 if optimizer["name"] == "sgd" else 0.004
    return 0.8 * math.exp(-(math.log10(optimizer["lr"] / best) ** 2))


def _break(what: str, iteration: int) -> None:
    """Let something go wrong in this process, now."""
    print(f"breaking: {what} at iteration {iteration}", flush=True)
    if what in _FAULTS:
        _FAULTS[what]()
        return
    kind = FailureKind(what)
    message = (
        f"loss is NaN at iteration {iteration}" if kind is FailureKind.DIVERGED else f"a {what} that was asked for"
    )
    raise _FailedError(kind, message)


def _raise() -> None:
    raise RuntimeError("an exception that was asked for")


def _hang() -> None:
    """Sleep for ever while another thread shows that the process lives."""

    def beat() -> None:
        while True:
            Path("heartbeat").touch()
            time.sleep(0.05)

    threading.Thread(target=beat, daemon=True).start()
    while True:
        time.sleep(3600)


def _ignore_stops() -> None:
    """Take no notice of TERM or of a stop file from now on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    StopRequest.raise_if_asked = lambda self: None  # type: ignore[method-assign]


def _leave_an_orphan() -> None:
    """Fork a child that ignores TERM, and be killed."""
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path("orphan").write_text(str(os.getpid()))
        while True:
            time.sleep(3600)
    while not Path("orphan").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def _take_memory() -> None:
    """Hold memory for longer than the controller waits to look, and be killed as the kernel kills."""
    held = bytearray(_LARGE_BYTES)
    held[:: resource.getpagesize()] = b"x" * len(held[:: resource.getpagesize()])
    time.sleep(2.5)
    os.kill(os.getpid(), signal.SIGKILL)


def _write_nonsense() -> None:
    """Write a line into the records that is none."""
    newest = max(Path("attempts").iterdir(), key=lambda path: int(path.name))
    with (newest / "metrics.jsonl").open("ab") as file:
        file.write(b"\x00\xff no record\n")


_FAULTS = {
    "raise": _raise,
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "hang": _hang,
    "freeze": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "ignore stops": _ignore_stops,
    "orphan": _leave_an_orphan,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "take memory": _take_memory,
    "nonsense": _write_nonsense,
    "quit": lambda: os._exit(5),
}
