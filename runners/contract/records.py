"""What controller and job tell each other inside an attempt's folder."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from runners.contract.folder import AttemptFolder
from runners.contract.jsonfile import append_line, read_json, read_lines, write_json
from runners.contract.states import AttemptOutcome, FailureKind, JobState

AttemptMode = Literal["train", "check", "probe", "import"]
KeptCheckpoints = Literal["best", "best+last", "all"]


@dataclass(frozen=True)
class AttemptSpec:
    """How one attempt is executed; written by whoever starts it. What is trained stands in the job's config.

    Attributes:
        attempt: the attempt's number, from 1.
        device: ``cpu`` or ``cuda``; a job that finds another device fails at once.
        n_threads: CPU threads of the training process.
        n_workers: data loader worker processes (0: load in the training process).
        batch_per_step: images in one forward pass; times `accumulation` it is the config's `batch_size`.
        accumulation: forward passes in one optimizer step.
        mode: ``train``; ``check`` (build the model, one training and one validation step at a small size); ``probe``
            (a few training iterations at the real size and batch, to measure memory and pace); or ``import`` (the
            project's own code, and see that all names of the config are known; nothing is built).
        requested_at: wall-clock seconds since the epoch when the attempt was dispatched.
        resume: full state to go on from, relative to the job's folder (`runners.contract.checkpoint_files` tells
            which); None to begin anew.
        n_devices: devices that the job occupies, one process for each; ``CUDA_VISIBLE_DEVICES`` names them in order.
            `batch_per_step` is the sum over them, and they share `n_threads` and `n_workers`.
        keep: which checkpoints stay once the job has completed: the best weights, the last full state as well, or all.
        umask: of every file that the job makes; 0o077 keeps them to their owner.
    """

    attempt: int
    device: Literal["cpu", "cuda"]
    n_threads: int
    n_workers: int
    batch_per_step: int
    accumulation: int
    mode: AttemptMode = "train"
    requested_at: float = 0.0
    resume: str | None = None
    n_devices: int = 1
    keep: KeptCheckpoints = "best"
    umask: int = 0o077

    def write(self, folder: AttemptFolder) -> None:
        """Write ``spec.json``."""
        write_json(folder.spec, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: AttemptFolder) -> "AttemptSpec":
        """Read ``spec.json``."""
        return cls(**read_json(folder.spec))


@dataclass(frozen=True)
class MetricRecord:
    """One line of ``metrics.jsonl``.

    Attributes:
        at: wall-clock seconds since the epoch; the time stamp under which the tracking store keeps the values.
        attempt: the number of the attempt that wrote it.
        step: the epoch (from 1), or for ``iter/...`` metrics the iteration (from 1).
        values: metric name to finite value; names as in `runners.contract.metrics`.
        progress: what the live table shows: ``phase``, ``epoch``, ``n_epochs``, ``iteration``, ``n_iterations``.
    """

    at: float
    attempt: int
    step: int
    values: dict[str, float]
    progress: dict[str, Any] = field(default_factory=dict)

    def append(self, folder: AttemptFolder) -> None:
        """Append to ``metrics.jsonl``."""
        append_line(folder.metrics, dataclasses.asdict(self))


def read_metrics(folder: AttemptFolder, offset: int = 0) -> Iterator[tuple[MetricRecord, int]]:
    """Yield (record, byte offset behind it) from a byte offset on."""
    for line, behind in read_lines(folder.metrics, offset):
        yield MetricRecord(**line), behind


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        kind: the class of the failure.
        message: one line for the person at the terminal.
        traceback: the whole story, for the log.
    """

    kind: FailureKind
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class AttemptResult:
    """``result.json``: how the attempt ended, by the job's own word.

    Attributes:
        attempt: the attempt's number.
        outcome: completed, pruned, interrupted or failed (lost and stalled are the controller's word).
        failure: set if, and only if, the outcome is failed.
        metrics: final values under the names of `runners.contract.metrics` (``best/...``, ``train/bbox_...``,
            ``test/...``, ``cost/...``).
        best_epoch: the epoch that `best_by` chose on val, from 1.
        checkpoint: path of the best weights, relative to the job's folder.
        checkpoint_sha256: hex digest of that file.
        notes: lines worth showing beside the numbers ("test split is not labelled").
        finished_at: wall-clock seconds since the epoch.
    """

    attempt: int
    outcome: AttemptOutcome
    failure: Failure | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    notes: list[str] = field(default_factory=list)
    finished_at: float = 0.0

    def stands_for(self, state: JobState) -> bool:
        """Whether its metrics are the last word on a job in a state.

        What an attempt has measured that was broken off its successor measures again, unless the job is given up there.
        """
        return self.outcome in (AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED) or state is JobState.PRUNED

    def write(self, folder: AttemptFolder) -> None:
        """Write ``result.json`` in one piece."""
        write_json(folder.result, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: AttemptFolder) -> "AttemptResult | None":
        """Read ``result.json``; None if the job wrote none, or the file is not what it wrote."""
        try:
            value = read_json(folder.result)
        except (FileNotFoundError, ValueError):
            return None
        failure = value.pop("failure")
        if failure is not None:
            failure = Failure(**{**failure, "kind": FailureKind(failure["kind"])})
        return cls(**{**value, "outcome": AttemptOutcome(value["outcome"]), "failure": failure})
