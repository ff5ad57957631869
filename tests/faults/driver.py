"""Drives real sweeps of quick jobs, as a person at a terminal would, and breaks them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult
from sweeper.stored.journal import read_journal
from tests.faults.forked import Forked
from tests.faults.patched import PATCHES, patch_and_run
from tests.quick_job import Play

DETSWEEP = str(Path(sys.executable).with_name("detsweep"))
WORDS = (
    *("dataset=shapes", "dataset.shapes.n_train=8", "dataset.shapes.n_val=4", "dataset.shapes.n_test=4"),
    *("dataset.shapes.image_px=96", "image_size=96px", "backbone=resnet18", "width=narrow", "weights=none"),
    *("batch_size=4", "n_epochs=3", "entry=tests.quick_job"),
)
PATIENCE_S = 60.0


@dataclass
class Command:
    """A command line that runs, or has run."""

    process: subprocess.Popen[bytes] | Forked
    out: Path

    @property
    def said(self) -> str:
        """Everything it has printed so far."""
        return self.out.read_text(encoding="utf-8", errors="replace") if self.out.exists() else ""

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {PATIENCE_S} s: {self.said}") from None

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal to the whole process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End it as the kernel or a user with kill -9 would."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


class Driver:
    """One project folder with its sweeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[Command] = []
        self.is_unverifiable = False

    def begin(
        self,
        *words: str,
        play: Play | None = None,
        env: Mapping[str, str] | None = None,
        patches: Mapping[str, object] | None = None,
        prefix: Sequence[str] | None = None,
    ) -> Command:
        """Start a command line.

        Args:
            *words: a verb and its words.
            play: how jobs behave.
            env: more of its environment.
            patches: what is changed in it, see `tests.faults.patched`.
            prefix: words in front of the program; with any, it starts as cold as for a user.
        """
        environment = {**os.environ, **(play or Play()).environment(), **(env or {})}
        environment[PATCHES] = json.dumps(patches or {})
        out = self.folder / f"out-{len(self.commands)}.txt"
        process: subprocess.Popen[bytes] | Forked
        if prefix is None:
            process = Forked(lambda: patch_and_run(words), self.folder, environment, out)
        else:
            with out.open("wb") as file:
                process = subprocess.Popen(
                    [*prefix, DETSWEEP, *words],
                    cwd=self.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
        self.commands.append(Command(process, out))
        return self.commands[-1]

    def train(self, *words: str, **how: Any) -> Command:
        """Start a sweep of quick jobs; untracked and on the CPU unless the words say otherwise."""
        given = {word.partition("=")[0] for word in words}
        defaults = ("seed=0,1", "gpus=none", "tracking=off")
        chosen = [word for word in defaults if word.partition("=")[0] not in given]
        return self.begin("train", *WORDS, *chosen, *words, **how)

    def run(self, *words: str, **how: Any) -> Command:
        """Run a verb to its end."""
        command = self.begin(*words, **how)
        command.wait()
        return command

    def cut_the_power(self) -> None:
        """Kill the newest command line and all that it has started at once, so that no job can save."""
        command = self.commands[-1]
        everything = psutil.Process(command.process.pid).children(recursive=True)
        for process in everything:
            process.suspend()
        for process in everything:
            process.kill()
        command.kill()

    @property
    def sweeps(self) -> list[SweepFolder]:
        """The sweeps that there are, oldest first."""
        return [SweepFolder(path.parent) for path in sorted(self.folder.glob("outputs/*/sweep.yaml"))]

    @property
    def sweep(self) -> SweepFolder:
        """The only sweep."""
        (sweep,) = self.sweeps
        return sweep

    def events(self, kind: str | None = None, job: str | None = None) -> list[dict[str, Any]]:
        """Return the events of the only sweep; none before there is one."""
        found = list(read_journal(self.sweep.journal)) if self.sweeps else []
        return [e for e in found if kind in (None, e["event"]) and job in (None, e.get("job"))]

    @property
    def states(self) -> dict[str, str]:
        """The state of every job of the only sweep."""
        return self.states_of(self.sweep)

    def states_of(self, sweep: SweepFolder) -> dict[str, str]:
        """Return the state of every job of a sweep."""
        return {event["job"]: event["state"] for event in read_journal(sweep.journal) if "state" in event}

    def attempt(self, job: str, number: int) -> AttemptFolder:
        """Return an attempt's folder."""
        return AttemptFolder(self.sweep.job(job).attempts / str(number))

    def n_iterations(self, job: str, number: int = 1) -> int:
        """Return how many iterations an attempt has recorded."""
        if not self.sweeps or not (metrics := self.attempt(job, number).metrics).exists():
            return 0
        return metrics.read_text(encoding="utf-8").count('"iter/loss"')

    def has_checkpoint(self, job: str) -> bool:
        """Whether a job has a full state to go on from."""
        return bool(self.sweeps) and any(self.sweep.job(job).checkpoints.glob("a*_epoch_*.pth.sha256"))

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that the newest command line does."""
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            command = self.commands[-1]
            is_over = command.process.poll() is not None and not happened()
            assert not is_over, f"it ended with {command.process.returncode} before: {command.said}"
            assert time.monotonic() < deadline, f"waited in vain: {command.said}"
            time.sleep(0.02)

    def pid_of(self, job: str) -> int:
        """Return the process of a job's newest attempt, once it is known."""
        self.until(lambda: bool(self.events("process", job)))
        pid: int = self.events("process", job)[-1]["pid"]
        return pid

    def numbers(self, sweep: SweepFolder | None = None) -> dict[str, dict[str, float]]:
        """Return what each job has measured, costs left out: the same however often it was interrupted."""
        found = {}
        for job in (sweep or self.sweep).all_jobs():
            attempt = job.newest_attempt()
            result = AttemptResult.read(attempt) if attempt else None
            metrics = result.metrics if result else {}
            found[job.job_id] = {name: value for name, value in metrics.items() if not name.startswith("cost/")}
        return found

    def verify(self, sweep: SweepFolder | None = None, *words: str) -> dict[str, Any]:
        """Return what ``detsweep verify --json`` says of a sweep."""
        # In a process of its own: what a tracking store keeps open must not be handed down to the next one.
        command = self.run("verify", str((sweep or self.sweep).path), "--json", *words)
        assert command.process.returncode in (0, 1), command.said
        verdict: dict[str, Any] = json.loads(command.said)
        return verdict

    def verify_all(self) -> None:
        """Fail unless every sweep has kept its promises."""
        for sweep in self.sweeps:
            journal = sweep.journal.read_text(encoding="utf-8", errors="replace")
            assert not (found := self.verify(sweep)["violations"]), (found, journal)

    def close(self) -> None:
        """End what a failed test has left."""
        for command in self.commands:
            if command.process.poll() is None:
                for child in psutil.Process(command.process.pid).children(recursive=True):
                    child.kill()
                command.kill()


def lives(process: psutil.Process) -> bool:
    """Return whether a process still runs; one that nobody has reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for something that no command line does any more."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
