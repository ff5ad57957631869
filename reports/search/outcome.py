"""What a search came to: how its trials ended, the best of them, who is on the front, and what pruning saved."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from reports.records import RunRecord
from reports.search.trial_records import Searched
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec
from runners.contract.states import JobState
from runners.contract.trial_ranking import ranked
from runners.contract.trials import TrialRecord


@dataclass(frozen=True)
class Counts:
    """How the trials of a search ended.

    Attributes:
        completed: trained to their end, or answered by an earlier run.
        pruned: given up before.
        failed: failed, cancelled or skipped.
        open: neither.
        warm: told to it from the tracking store; none of the others.
        infeasible: of the completed ones, those that break a limit.
    """

    completed: int
    pruned: int
    failed: int
    open: int
    warm: int
    infeasible: int

    @property
    def compared(self) -> int:
        """Of how many a best one is the best: all that have a number, also those that were given up for it."""
        return self.completed + self.pruned + self.warm

    @property
    def words(self) -> str:
        """The numbers in words; what there is none of is left out."""
        told = {
            "completed": self.completed,
            "pruned": self.pruned,
            "failed": self.failed,
            "not finished": self.open,
        }
        words = ", ".join(f"{number} {what}" for what, number in told.items() if number) or "none yet"
        words += f"; {self.infeasible} of the completed break a limit" if self.infeasible else ""
        return words + (f"; {self.warm} more were told from the tracking store" if self.warm else "")


def count(searched: Searched) -> Counts:
    """Return how the trials ended."""
    own = searched.own
    completed = [record for record in own if record.is_complete]
    pruned = sum(record.state is JobState.PRUNED for record in own)
    n_open = sum(not record.state.is_terminal for record in own)
    return Counts(
        completed=len(completed),
        pruned=pruned,
        failed=len(own) - len(completed) - pruned - n_open,
        open=n_open,
        warm=len(searched.records) - len(own),
        infeasible=sum(not record.is_feasible for record in completed),
    )


def candidates(searched: Searched) -> list[TrialRecord]:
    """Return the trials that may be the best, the best first."""
    return ranked(searched.search, searched.records)


def default_of(searched: Searched) -> TrialRecord | None:
    """Return the trial of the config without a search; None where there is none."""
    return next((record for record in searched.own if record.trial.origin == "default"), None)


@dataclass(frozen=True)
class Spent:
    """What trials have been trained, beside what they would have been without pruning.

    Attributes:
        epochs: that were trained.
        all_epochs: that would have been, had no trial been pruned.
        hours: of devices, for these epochs; None where no trial tells its pace.
        all_hours: likewise.
        device: ``GPU``, ``CPU``, or ``device`` where it is not known.
    """

    epochs: int
    all_epochs: int
    hours: float | None
    all_hours: float | None
    device: str

    @property
    def share_saved(self) -> float:
        """The part of the device time that pruning saved, 0-1; of the epochs, where no times are known."""
        spent, whole = (self.epochs, self.all_epochs) if not self.all_hours else (self.hours or 0.0, self.all_hours)
        return 1 - spent / whole if whole else 0.0


def spent(searched: Searched) -> Spent:
    """Return what the search's own trials cost.

    A trial's time is its own pace (the median time from the end of one epoch to that of the next, or of all trials
    where it has none) times its epochs, on the devices that it occupied.
    """
    trained = [
        (run, record)
        for record in searched.own
        if (run := searched.run(record)) is not None and record.state is not JobState.REUSED
    ]
    paces = [pace for run, _ in trained if (pace := epoch_s(run)) is not None]
    usual = statistics.median(paces) if paces else None
    epochs = all_epochs = 0
    hours = all_hours = 0.0
    for run, record in trained:
        n_trained = max(run.times, default=0)
        n_whole = _n_epochs(run, n_trained) if record.state is JobState.PRUNED else n_trained
        device_s = (epoch_s(run) or usual or 0.0) * _n_devices(run)
        epochs, all_epochs = epochs + n_trained, all_epochs + n_whole
        hours, all_hours = hours + device_s * n_trained / 3600, all_hours + device_s * n_whole / 3600
    known = usual is not None
    return Spent(epochs, all_epochs, hours if known else None, all_hours if known else None, _device(searched))


def epoch_s(run: RunRecord) -> float | None:
    """Return the median seconds from the end of one epoch to that of the next; None before there are two."""
    steps = [run.times[epoch] - run.times[epoch - 1] for epoch in run.times if epoch - 1 in run.times]
    return statistics.median(steps) if steps else None


def _n_epochs(run: RunRecord, at_least: int) -> int:
    """Return how many epochs a whole training of this run has."""
    told = run.params.get("n_epochs", "")
    return max(int(told), at_least) if told.isdigit() else at_least


def _specs(runs: Iterable[RunRecord]) -> Iterable[AttemptSpec]:
    for run in runs:
        attempt = None if run.folder is None else JobFolder(run.folder).newest_attempt()
        try:
            if attempt is not None:
                yield AttemptSpec.read(attempt)
        except (OSError, ValueError, TypeError):
            continue


def _n_devices(run: RunRecord) -> int:
    """Return how many devices a run occupied; one where its folder is not here to tell."""
    return next((spec.n_devices for spec in _specs([run])), 1)


def _device(searched: Searched) -> str:
    devices = {str(spec.device) for spec in _specs(searched.runs.values())}
    return {frozenset({"cpu"}): "CPU", frozenset({"cuda"}): "GPU"}.get(frozenset(devices), "device")
