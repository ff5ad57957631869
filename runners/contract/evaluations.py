"""What the controller and the process of an evaluation tell each other inside its folder."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runners.contract.folder import EvaluationFolder
from runners.contract.jsonfile import read_json, write_json
from runners.contract.metrics import Split
from runners.contract.records import Failure
from runners.contract.states import FailureKind

Tta = Literal["flip", "multiscale"]
# Before the name of what was measured after the training; no number of the training itself begins so.
EVALUATED = "eval/"
TTAS: tuple[Tta, ...] = ("flip", "multiscale")


@dataclass(frozen=True)
class EvaluationSpec:
    """What one evaluation looks at, and with what; the config that it takes stands beside it.

    Attributes:
        checkpoint: the weights: relative to the evaluation's folder where they are the run's own, else absolute.
        checkpoint_sha256: what the file has to be; another one is refused.
        split: which split of the config's data set; None for the images of ``images.json``, which are not scored.
        tta: what each image is shown as beside itself, and merged: mirrored (``flip``), or mirrored at three scales.
        is_foreign: the weights are of another program's training: they are matched with the model by name, and
            whatever else the file holds is passed over.
        identity: of all that decides the numbers; two evaluations of one identity give the same.
        device: ``cpu`` or ``cuda``.
        n_threads: CPU threads; 0 before that is decided. On a CPU their number decides the last digit of sums, so a run
            is looked at with as many as it was trained with.
        n_workers: data loader worker processes (0: load in the evaluating process).
        umask: of every file that is made.
    """

    checkpoint: str
    checkpoint_sha256: str
    split: Split | None
    tta: Tta | None = None
    is_foreign: bool = False
    identity: str = ""
    device: Literal["cpu", "cuda"] = "cpu"
    n_threads: int = 0
    n_workers: int = 0
    umask: int = 0o077

    def write(self, folder: EvaluationFolder) -> None:
        """Write ``spec.json``."""
        write_json(folder.spec, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: EvaluationFolder) -> "EvaluationSpec":
        """Read ``spec.json``."""
        return cls(**read_json(folder.spec))


@dataclass(frozen=True)
class EvaluationResult:
    """``metrics.json``: what an evaluation measured.

    Attributes:
        metrics: average precisions under their full names; empty where the split is not labelled.
        n_images: that were looked at.
        n_detections: that were kept.
        left_out: path and reason of each image that could not be used.
        notes: lines worth showing beside the numbers.
        finished_at: wall-clock seconds since the epoch.
    """

    metrics: Mapping[str, float]
    n_images: int
    n_detections: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    finished_at: float = 0.0

    def write(self, folder: EvaluationFolder) -> None:
        """Write ``metrics.json`` in one piece."""
        write_json(folder.metrics, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: EvaluationFolder) -> "EvaluationResult | None":
        """Read ``metrics.json``; None if there is none, or it is not what an evaluation wrote."""
        try:
            return cls(**read_json(folder.metrics))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def run_metrics(evaluation: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return what an evaluation measured under the names that a run carries it by, ``eval/test_flip/bbox_mAP``."""
    return {f"{EVALUATED}{evaluation}/{name.partition('/')[2]}": value for name, value in metrics.items()}


def write_failure(folder: EvaluationFolder, failure: Failure) -> None:
    """Write why an evaluation failed."""
    write_json(folder.failure, dataclasses.asdict(failure))


def read_failure(folder: EvaluationFolder) -> Failure | None:
    """Read why an evaluation failed; None if its process did not live to say it."""
    try:
        value: dict[str, Any] = read_json(folder.failure)
        return Failure(**{**value, "kind": FailureKind(value["kind"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
