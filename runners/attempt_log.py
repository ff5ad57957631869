"""What an attempt tells while it runs: metric records and progress, one JSON line each, and a line in the log."""

import time
from collections.abc import Mapping
from typing import Any

from runners.contract.folder import AttemptFolder
from runners.contract.records import MetricRecord

PROGRESS_S = 2.0


class AttemptLog:
    """Appends to ``metrics.jsonl``.

    Args:
        folder: the attempt.
        n_epochs: epochs of the whole training.
        n_iterations: forward passes of the whole training.
    """

    def __init__(self, folder: AttemptFolder, n_epochs: int, n_iterations: int) -> None:
        self._folder = folder
        self._progress: dict[str, Any] = {
            "phase": "build",
            "epoch": 0,
            "n_epochs": n_epochs,
            "iteration": 0,
            "n_iterations": n_iterations,
        }
        self._written_at = 0.0

    def advance(
        self, phase: str, values: Mapping[str, float] | None = None, step: int | None = None, **progress: int
    ) -> None:
        """Note how far the attempt is, and append a record if there are values, the phase is new, or the last is old.

        Args:
            phase: build, train, val, test, ...
            values: metrics of a step under their full names, finite.
            step: the iteration for ``iter/...`` names; else the epoch.
            **progress: ``epoch``, ``iteration`` (both from 1); within an evaluation ``batch`` and ``n_batches``.
        """
        is_new_phase = phase != self._progress["phase"]
        if is_new_phase:
            self._progress.pop("batch", None)
            self._progress.pop("n_batches", None)
        self._progress.update(progress, phase=phase)
        if values or is_new_phase or self.is_due():
            step = self._progress["epoch"] if step is None else step
            record = MetricRecord(time.time(), self._folder.number, step, dict(values or {}), dict(self._progress))
            record.append(self._folder)
            self._written_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last record is so old that the next should not wait."""
        return time.monotonic() - self._written_at >= PROGRESS_S
