"""A search through the real controller whose jobs are played from a table of curves, while the clock is moved by hand.

Controller, schedule, journal, search, study, rungs and folders are detsweep's own. Not real are: the training, the
clock, and the composition of configs, which takes no simulated time and would take most of the real.
"""

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.search_curves import VAL_AP50, Curve, Point, Table
from runners.contract.checkpoint_files import StateFile, write_digests
from runners.contract.digest import sha256_of
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, MetricRecord
from runners.contract.search import Search
from runners.contract.states import AttemptOutcome
from runners.contract.trials import Trial
from runners.contract.yamlfile import load_yaml
from sweeper.control.controller import Controller
from sweeper.control.schedule import EXIT_DONE, EXIT_RESUMABLE
from sweeper.executors.base import Executor, ExecutorEvent, Exited
from sweeper.hardware.device_pool import DevicePool
from sweeper.hardware.devices import CPU
from sweeper.hardware.machine import Machine
from sweeper.hardware.slots import Offer
from sweeper.planning.axes import Axes
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.stored.journal import Journal
from sweeper.stored.requests import ask
from sweeper.stored.sweep_folder import write_sweep
from sweeper.study.search_run import SearchRun
from sweeper.study.trial_jobs import TrialJobs
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.view.progress import Display

# Where every search begins: what mmdet trains ResNets with, at the same batch.
DEFAULT: Mapping[str, str] = {
    "optimizer": "sgd",
    "optimizer.lr": "0.02",
    "optimizer.weight_decay": "0.0001",
    "optimizer.momentum": "0.9",
}
# What the controller reads of a job's config.
PLAIN: dict[str, Any] = {
    "choices": {},
    "dataset": {"name": "none", "root": ""},
    "optimizer": {"lr": 0.02},
    "lr_effective": 0.02,
    "batch_size": 4,
}
DATASET = PreparedDataset({}, {}, [], "f" * 64, {}, {}, [])
IN_MEMORY = Path("/dev/shm")
# So often in a row the controller may wait for nothing.
MOST_IDLE = 100


@dataclass(frozen=True)
class Spent:
    """What a search has taken when a good point had been trained to its end, or, if it never was, when it was over.

    Attributes:
        is_found: whether it came to that.
        epochs: trained by all trials until then, begun ones by their share.
        wall_s: simulated seconds.
        n_trials: that had begun.
        is_best: whether the best number that the search had seen by then was a good point's.
    """

    is_found: bool
    epochs: float
    wall_s: float
    n_trials: int
    is_best: bool


@dataclass
class _Playing:
    """An attempt that lives.

    Attributes:
        folder: its own.
        point: of the table.
        curve: that it plays.
        epoch: complete ones.
        since_s: when the epoch it is in began.
        due_s: when that epoch ends.
    """

    folder: AttemptFolder
    point: Point
    curve: Curve
    epoch: int
    since_s: float
    due_s: float


class ReplayExecutor(Executor):
    """Plays every attempt from its point's curve: records as time passes, honours what it is told, and ends.

    Args:
        table: the curves.
        draw: chooses which of a point's curves a trial has.
        on_found: called once, when a good point has been trained to its end.

    Attributes:
        now_s: simulated seconds; only `wait` moves them on.
        trained: job id and epoch of every epoch that was trained, in order.
        completed: job id, point and AP50 of all that came to their end, in order.
        n_starts: how often each job was started.
    """

    def __init__(self, table: Table, draw: random.Random, on_found: Callable[[], None]) -> None:
        self._table = table
        self._draw = draw
        self._on_found = on_found
        self._curves: dict[str, tuple[Point, Curve]] = {}
        self._playing: dict[str, _Playing] = {}
        self._exited: list[ExecutorEvent] = []
        self._n_idle = 0
        self._stopped_epochs = 0.0
        self._found: Spent | None = None
        self.now_s = 0.0
        self.trained: list[tuple[str, int]] = []
        self.completed: list[tuple[str, Point, float]] = []
        self.n_starts: Counter[str] = Counter()

    @property
    def spent(self) -> Spent:
        """What was taken until a good point was found, or until now."""
        return self._found or self._taken(is_found=False)

    def start(self, attempt: AttemptFolder, environment: Mapping[str, str], leases: Sequence[str] = ()) -> None:
        """Begin, or go on from the checkpoint that the spec names."""
        job_id = attempt.job.job_id
        self.n_starts[job_id] += 1
        if job_id not in self._curves:
            point = self._table.find(load_yaml(attempt.job.config.read_text(encoding="utf-8"))["point"])
            self._curves[job_id] = point, self._draw.choice(point.curves)
        point, curve = self._curves[job_id]
        resume = AttemptSpec.read(attempt).resume
        state = StateFile.named(Path(resume)) if resume else None
        epoch = state.n_epochs_done if state else 0
        since_s = self.now_s + curve.begin_s
        self._playing[job_id] = _Playing(attempt, point, curve, epoch, since_s, since_s + curve.epoch_s[epoch])

    def terminate(self, attempt: AttemptFolder) -> None:
        """Save and end, as the stop file says."""
        playing = self._playing.pop(attempt.job.job_id, None)
        if playing is None:
            return  # it has just come to its end
        self._stopped_epochs += self._share(playing)
        reason = attempt.stop.read_text(encoding="utf-8")
        state = attempt.job.checkpoints / StateFile(Path(), attempt.number, playing.epoch).name
        if playing.epoch:
            state.write_bytes(b"state")
            write_digests(state, {state.name: sha256_of(state)})
        outcome = AttemptOutcome.PRUNED if reason == "prune" else AttemptOutcome.INTERRUPTED
        AttemptResult(attempt.number, outcome).write(attempt)
        self._exited.append(Exited(attempt, 0))

    def kill(self, attempt: AttemptFolder) -> None:
        """Never needed: all that is told to stop does so."""
        raise RuntimeError(f"{attempt.path} would have been killed")

    def dump(self, attempt: AttemptFolder) -> None:
        """Never needed: nothing stands still."""
        raise RuntimeError(f"{attempt.path} is taken to stand still")

    def hold(self, lease: str, descriptor: int) -> None:
        """Take no notice: nothing is leased."""

    def release(self, lease: str) -> None:
        """Take no notice."""

    def wait(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """Let time pass until the next epoch ends, unless somebody has to be told of an end first."""
        self._n_idle = 0 if self._playing or self._exited else self._n_idle + 1
        if self._n_idle > MOST_IDLE:
            raise RuntimeError("nothing runs, and nothing is started")
        if not self._exited and self._playing:
            self.now_s = min(playing.due_s for playing in self._playing.values())
            for job_id, playing in list(self._playing.items()):
                if playing.due_s <= self.now_s:
                    self._end_epoch(job_id, playing)
        exited, self._exited = self._exited, []
        return exited

    def close(self) -> None:
        """Nothing is left to end."""

    def _end_epoch(self, job_id: str, playing: _Playing) -> None:
        playing.epoch += 1
        self.trained.append((job_id, playing.epoch))
        attempt, ap50 = playing.folder, playing.curve.ap50[playing.epoch - 1]
        progress = {"phase": "val", "epoch": playing.epoch, "n_epochs": self._table.n_epochs, "iteration": 1}
        MetricRecord(self.now_s, attempt.number, playing.epoch, {VAL_AP50: ap50}, progress).append(attempt)
        if playing.epoch < self._table.n_epochs:
            playing.since_s, playing.due_s = self.now_s, self.now_s + playing.curve.epoch_s[playing.epoch]
            return
        del self._playing[job_id]
        AttemptResult(attempt.number, AttemptOutcome.COMPLETED, metrics={VAL_AP50: ap50}).write(attempt)
        self._exited.append(Exited(attempt, 0))
        self.completed.append((job_id, playing.point, ap50))
        if self._found is None and self._table.is_good(playing.point):
            self._found = self._taken(is_found=True)
            self._on_found()

    def _taken(self, is_found: bool) -> Spent:
        begun = sum(map(self._share, self._playing.values()))
        best = max(self.completed, key=lambda completed: completed[2], default=None)
        return Spent(
            is_found=is_found,
            epochs=len(self.trained) + self._stopped_epochs + begun,
            wall_s=self.now_s,
            n_trials=len(self._curves),
            is_best=best is not None and self._table.is_good(best[1]),
        )

    def _share(self, playing: _Playing) -> float:
        """Return which part of its epoch an attempt has done."""
        return max(0.0, self.now_s - playing.since_s) / playing.curve.epoch_s[playing.epoch]


class PreparedJobs(TrialJobs):
    """Stands for the composition of jobs: a point becomes a job at once.

    Args:
        n_epochs: of a whole training.
    """

    def __init__(self, n_epochs: int) -> None:
        self._n_epochs = n_epochs
        self.entry = "benchmarks.replayed_search"

    def job(self, point: Mapping[str, str], trial: Trial | None = None) -> PlannedJob:
        """Return the job of a point; it has no number yet."""
        told = json.dumps(dict(point), sort_keys=True)
        config = {**PLAIN, "n_epochs": self._n_epochs, "point": dict(point)}
        return PlannedJob("", "job", [], dict(point), config, DATASET, told, told, trial)


@dataclass
class Quiet(Display):
    """Shows nothing, and keeps what was said.

    Attributes:
        lines: what was said.
    """

    lines: list[str] = field(default_factory=list)

    def event(self, event: Mapping[str, Any]) -> None:
        """Take no notice."""

    def record(self, job_id: str, record: MetricRecord) -> None:
        """Take no notice."""

    def say(self, line: str) -> None:
        """Keep it."""
        self.lines.append(line)


def replay(search: Search, table: Table, n_slots: int, seed: int, stops: bool = True) -> ReplayExecutor:
    """Run one search through the controller.

    Args:
        search: its sampler's seed among it.
        table: what its jobs are played from.
        n_slots: jobs side by side.
        seed: of the draw between a point's curves.
        stops: whether the search is told to stop as soon as a good point has been trained to its end.

    Returns:
        What played it, which knows what it has taken.

    Raises:
        RuntimeError: the controller ended otherwise than it should.
    """
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None) as name:
        sweep = SweepFolder(Path(name))
        sweep.jobs.mkdir()
        sweep.requests.mkdir()
        jobs = PreparedJobs(table.n_epochs)
        default = table.searched(DEFAULT)
        first = replace(jobs.job(default, Trial(0, search.params(default), "default")), job_id="0001")
        write_sweep(sweep, Plan([first], Axes({}, [], []), {"tracking": {"uri": None}}, []), "replay", [])

        def stop() -> None:
            if stops:
                ask(sweep, "stop")

        def clock() -> float:
            return executor.now_s

        executor = ReplayExecutor(table, random.Random(seed), stop)
        display = Quiet()
        pool = DevicePool([CPU], executor, clock=clock)
        machine = Machine(pool, executor, (Offer(n_slots),), n_slots)
        tracker = Tracker(TrackingSettings(None, "", None), sweep, display.say)
        with Journal(sweep.journal) as journal:
            run = SearchRun(search, sweep, [first], jobs, None, (), 0.0, display.say, clock)
            controller = Controller(
                {first.job_id: first}, sweep, machine, journal, tracker, display, search=run, clock=clock
            )
            exit_code = controller.run()
        pool.close()
    if exit_code not in (EXIT_DONE, EXIT_RESUMABLE) or (exit_code == EXIT_RESUMABLE and not stops):
        raise RuntimeError(f"the search ended with {exit_code}: {display.lines}")
    return executor
