"""What a report knows about sweeps and their jobs, wherever it was read from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runners.contract import metrics as names
from runners.contract.notes import Note
from runners.contract.remarks import Remark
from runners.contract.states import JobState
from runners.contract.trials import Trial, TrialRecord

# The metrics whose course over the epochs a report keeps; of all others it keeps the last value.
CURVES = (
    names.TRAIN_LOSS,
    names.VAL_LOSS,
    names.LEARNING_RATE,
    *(names.metric("val", name) for name in names.AP_NAMES),
)


@dataclass(frozen=True)
class Point:
    """One value of a curve.

    Attributes:
        epoch: from 1.
        value: in the unit of the metric (`runners.contract.metrics`).
    """

    epoch: int
    value: float


def whole_ms(seconds: float) -> float:
    """Return a time as the tracking store keeps it, without what is below a millisecond."""
    return int(seconds * 1000) / 1000


def fold_points(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return one value per epoch from values in the order of their writing.

    An epoch that comes again was trained again, by a later attempt: what the earlier one had reached from there on no
    longer counts.
    """
    kept: list[Point] = []
    for point in points:
        while kept and kept[-1].epoch >= point.epoch:
            kept.pop()
        kept.append(point)
    return tuple(kept)


@dataclass(frozen=True)
class SweepRecord:
    """One sweep.

    Attributes:
        sweep_id: the name of the sweep's folder.
        name: what the user called it.
        command: the command line; empty where it is not known.
        n_images: number of images by split; empty where it is not known.
        versions: versions of the programs that trained.
        started_at: wall-clock seconds since the epoch, if known.
        ended_at: the same, of the last thing that happened.
        hypothesis: the claim that it puts to the test, as it stood in the config; None if it has none.
        looks: what its planned looks came to so far, plain, in order.
        search: what its jobs are asked for from, as it stood in the config; None if it is no search.
        warm: of a search, the finished runs of the tracking store that it was told of before its first job.
    """

    sweep_id: str
    name: str
    command: tuple[str, ...] = ()
    n_images: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    hypothesis: Mapping[str, Any] | None = None
    looks: tuple[Mapping[str, Any], ...] = ()
    search: Mapping[str, Any] | None = None
    warm: tuple[TrialRecord, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """One job of a sweep and what it measured.

    Attributes:
        sweep_id: the name of its sweep's folder.
        job_id: its number in the sweep, as a string of digits.
        title: its name in tables.
        state: where it stands.
        params: its columns (`runners.contract.naming.run_params` and the keys that the sweep varies), values as text.
        metrics: final values under their full names; AP in 0-1.
        curves: of the metrics in `CURVES`, one value per epoch.
        failure: why it failed or was skipped, in one line; empty otherwise.
        notes: lines worth showing beside the numbers.
        remarks: what must be said of how the numbers came about.
        dataset: name of the data set.
        fingerprint: of the whole data set; numbers of different fingerprints are not comparable.
        labelled: by split, whether it has annotations; a split that the data set lacks is absent. None where nothing is
            known.
        folder: the job's folder, if known; it may lie on another machine.
        noted: what people have noted of it, oldest first; nothing of it was measured here.
        recipe: identity of what was trained but for the seed; empty where it is not known.
        trial: the point of a search that it is; None of any other job.
        times: when the numbers of each epoch were written, epoch from 1 to wall-clock seconds since the epoch, in whole
            milliseconds.
        started_at: when its first attempt was started, in wall-clock seconds; None where that is not known. A store
            may have learnt of it a little later.
        ended_at: the same of its end; None while it has not ended.
    """

    sweep_id: str
    job_id: str
    title: str
    state: JobState
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    failure: str = ""
    notes: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    dataset: str = ""
    fingerprint: str = ""
    labelled: Mapping[str, bool] | None = None
    folder: Path | None = None
    noted: tuple[Note, ...] = ()
    recipe: str = ""
    trial: Trial | None = None
    times: Mapping[int, float] = field(default_factory=dict)
    started_at: float | None = field(default=None, compare=False)
    ended_at: float | None = field(default=None, compare=False)

    @property
    def has_result(self) -> bool:
        """Whether the job trained to its end, so that its numbers may stand beside others."""
        return self.state in (JobState.COMPLETED, JobState.REUSED)

    @property
    def is_narrow(self) -> bool:
        """Whether neck and heads are narrower than those of the published models."""
        return self.params.get("width") == "narrow"

    @property
    def best_epoch(self) -> int | None:
        """The epoch that `best_by` chose on val, of those trained so far, from 1; None where val was not scored."""
        chosen = self.metrics.get(names.BEST_EPOCH)
        if chosen is not None:
            return round(chosen)
        scored = self.curves.get(names.metric("val", self.params.get("best_by", "")), ())
        return max(scored, key=lambda point: point.value).epoch if scored else None

    @property
    def loss_terms(self) -> tuple[str, str]:
        """What the training loss is a sum of; losses of jobs that differ here are not comparable."""
        return (self.params.get("detector", ""), self.params.get("box_loss", ""))

    def at_best(self, name: str) -> float | None:
        """Return a metric's value at the best epoch, or at the last if val chose none; None if it was not measured."""
        kept = self.metrics.get(names.best(name))
        if kept is not None:
            return kept
        if self.best_epoch is None:
            return self.metrics.get(name)
        return next((point.value for point in self.curves.get(name, ()) if point.epoch == self.best_epoch), None)


@dataclass(frozen=True)
class RunSet:
    """What one report is about: a sweep, or all sweeps of an experiment.

    Attributes:
        title: the sweep's or the experiment's name.
        sweeps: oldest first.
        runs: by sweep, and in it by job number.
    """

    title: str
    sweeps: tuple[SweepRecord, ...]
    runs: tuple[RunRecord, ...]
