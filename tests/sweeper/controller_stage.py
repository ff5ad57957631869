"""A sweep in its folder, run by a real controller whose executor plays the jobs; the clock moves by hand."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind
from sweeper.control.controller import Controller
from sweeper.control.packing import Need
from sweeper.hardware.device_pool import DevicePool
from sweeper.hardware.devices import CPU
from sweeper.hardware.machine import Machine
from sweeper.hardware.slots import Device, Offer, Slot
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import PlannedJob
from sweeper.stored.journal import Journal, read_journal
from sweeper.stored.requests import ask
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.view.progress import Progress
from sweeper.view.sweep_view import SweepView
from tests.sweeper.fake_executor import PlayedExecutor

DATASET = PreparedDataset({}, {}, ["a"], "f" * 64, {"train": 4}, {"val": True}, [])
CONFIG = {
    "choices": {"detector": "faster_rcnn", "dataset": "shapes"},
    "dataset": {"name": "shapes", "root": "data"},
    "optimizer": {"lr": 0.02},
    "lr_effective": 0.005,
    "batch_size": 4,
}
TICKS = 3000


class Estimates:
    """Expects what it is told of each job, and learns at the first end that all that is left takes as told then."""

    def __init__(self, first: dict[str, tuple[Need, float]], later: dict[str, tuple[Need, float]]) -> None:
        self._known, self._later = first, later

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        return self._known[job.job_id]

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        has_news, self._known = self._known is not self._later, self._later
        return has_news


class Stage:
    """A sweep in its folder, ready to be run; the clock moves by hand.

    Attributes:
        on_tick: called with the number of each wait, before it returns.
    """

    def __init__(self, folder: Path) -> None:
        self.sweep = SweepFolder(folder)
        self.sweep.requests.mkdir()
        self.now_s = 0.0
        self.n_ticks = 0
        self.out = io.StringIO()
        self.executor = PlayedExecutor(lambda attempt: None)
        self.executor.on_wait = self._tick
        self.on_tick: Callable[[int], None] = lambda number: None
        self.devices: list[Device] = [CPU]
        self.offer = Offer(1)
        self.busy: set[str] = set()
        self.is_leased_before = False
        self.more: dict[str, Any] = {}

    def _tick(self) -> None:
        self.n_ticks += 1
        assert self.n_ticks < TICKS, self.out.getvalue()
        self.on_tick(self.n_ticks)

    def gpus(self, n: int) -> list[Device]:
        """Return GPUs whose device files are plain ones."""
        nodes = [self.sweep.path / f"nvidia{index}" for index in range(n)]
        for node in nodes:
            node.touch()
        return [Device("cuda", i, f"GPU-{i}", "H200", str(node), 141.0) for i, node in enumerate(nodes)]

    def run(self, play: Callable[[AttemptFolder], int | None], *job_ids: str) -> int:
        """Run these jobs and return the exit code."""
        self.executor.play = play
        jobs = {job_id: self.job(job_id) for job_id in job_ids}
        pool = DevicePool(
            self.devices,
            self.executor,
            users=lambda device: [os.getpid()] if device.label in self.busy else [],
            clock=lambda: self.now_s,
        )
        if self.is_leased_before:
            pool.acquire()
        machine = Machine(pool, self.executor, (self.offer,) * len(self.devices), 2)
        with Journal(self.sweep.journal) as journal:
            progress = Progress(Console(file=self.out, width=200), SweepView(self.sweep))
            tracker = Tracker(TrackingSettings(None, "", None), self.sweep, pytest.fail)
            controller = Controller(
                jobs, self.sweep, machine, journal, tracker, progress, clock=lambda: self.now_s, **self.more
            )
            try:
                return controller.run()
            finally:
                pool.close()

    def job(self, job_id: str) -> PlannedJob:
        folder = self.sweep.job(job_id)
        if not folder.path.exists():
            folder.checkpoints.mkdir(parents=True)
            folder.config.write_text(yaml.safe_dump(CONFIG))
        return PlannedJob(job_id, f"title {job_id} [red]", [], {}, CONFIG, DATASET, f"identity of {job_id}")

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in read_journal(self.sweep.journal) if not names or event["event"] in names]

    def told(self, *names: str) -> list[str]:
        """Return events as (name, job or device)."""
        events = self.events(*names)
        return [f"{event['event']} {event.get('job', event.get('device', ''))}".strip() for event in events]

    def states(self) -> dict[str, str]:
        return {event["job"]: event["state"] for event in self.events() if "state" in event}

    def attempt(self, job_id: str, number: int = 1) -> AttemptFolder:
        return AttemptFolder(self.sweep.job(job_id).attempts / str(number))


def completes(attempt: AttemptFolder) -> int:
    progress = {"phase": "train", "epoch": 1, "n_epochs": 1, "iteration": 1, "n_iterations": 1}
    values = {"train/loss": 0.5, "val/bbox_mAP_50": 0.4}
    MetricRecord(1.0, attempt.number, 1, values, progress).append(attempt)
    AttemptResult(attempt.number, AttemptOutcome.COMPLETED, checkpoint_sha256="c0ffee").write(attempt)
    return 0


def lives(attempt: AttemptFolder) -> None:
    """Do nothing until it is told to stop."""


def fails(kind: FailureKind, message: str = "boom") -> Callable[[AttemptFolder], int]:
    def play(attempt: AttemptFolder) -> int:
        AttemptResult(attempt.number, AttemptOutcome.FAILED, failure=Failure(kind, message)).write(attempt)
        return 1

    return play


def asks_at(stage: Stage, **wishes: Any) -> None:
    """Let the ticks of these numbers ask: ``t5=("stop", {"job": "0001"})``, or call."""
    at = {int(key[1:]): wish for key, wish in wishes.items()}

    def tick(number: int) -> None:
        wish = at.get(number)
        if callable(wish):
            wish()
        elif wish is not None:
            op, arguments = wish
            ask(stage.sweep, op, **arguments)

    stage.on_tick = tick
