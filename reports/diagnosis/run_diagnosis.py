"""What is wrong with one run on an evaluation set: found once, kept beside the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.confusion import Confusion, confusion
from reports.diagnosis.error_types import find_errors
from reports.diagnosis.findings import MAIN_TYPES, Findings
from reports.diagnosis.sizes import COCO_BINS, SizeBin, SizeRow, match_sizes, quantile_bins, size_table
from reports.diagnosis.tide import ErrorCosts, WeightedDiagnosis, error_costs, first_diagnosis
from reports.judging.evaluation_set import EvaluationSet
from reports.judging.run_values import FOLDER, predictions_of
from reports.kept_arrays import keep_arrays, kept_arrays
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.metrics import Split

# Raised with every change of what is found: what an older version kept is then found anew.
VERSION = 1


@dataclass(frozen=True)
class RunDiagnosis:
    """What is wrong with one run.

    Attributes:
        on: the images.
        predictions: the file of COCO results that was looked at; it is large, and not kept in memory.
        findings: the error type of each detection and missed object.
        errors: what each type costs; its replicates are empty where nobody asked for them.
        confusion: what it takes for what.
        sizes: precision by size, in COCO's bins.
        own_sizes: likewise, in bins of the data's own objects.
    """

    on: EvaluationSet
    predictions: Path
    findings: Findings
    errors: WeightedDiagnosis
    confusion: Confusion
    sizes: tuple[SizeRow, ...]
    own_sizes: tuple[SizeRow, ...]


def diagnose_run(job: JobFolder, split: Split, on: EvaluationSet, with_replicates: bool) -> RunDiagnosis:
    """Return what is wrong with a run.

    Args:
        job: the run's folder.
        split: val or test.
        on: the split's images.
        with_replicates: whether costs are wanted under all weightings of the images, for intervals.

    Raises:
        UserError: the predictions are missing or damaged.
    """
    predictions = _predictions(job, split)
    try:
        detections = json.loads(predictions.read_text(encoding="utf-8"))
        return _diagnosed(job, split, on, with_replicates, predictions, detections)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f"predictions in {predictions}: cannot be held against {on.path} ({type(error).__name__}: {error});"
            " train or evaluate the run again"
        ) from None


def _diagnosed(
    job: JobFolder,
    split: Split,
    on: EvaluationSet,
    with_replicates: bool,
    predictions: Path,
    detections: Sequence[Mapping[str, Any]],
) -> RunDiagnosis:
    key = f"{VERSION} {sha256_of(predictions)} {on.fingerprint} {on.group_by}"
    path = job.path / FOLDER / f"{split}_diagnosis.npz"
    stored = kept_arrays(path, key)
    wanted = len(on.weights) if with_replicates else 1
    if stored is None or stored["costs"].shape[1] < wanted:
        stored = _found(on, detections, wanted)
        keep_arrays(path, key=np.array(key), **stored)
    findings = Findings(
        **{name.removeprefix(_COLUMN): column for name, column in stored.items() if name.startswith(_COLUMN)}
    )
    costs = stored["costs"]
    rows = [
        SizeRow(SizeBin(str(name), low, high), int(n_objects), int(n_groups), _known(ap), _known(ap50))
        for name, (low, high, n_objects, n_groups, ap, ap50) in zip(
            stored["size_names"].tolist(), stored["sizes"].tolist(), strict=True
        )
    ]
    return RunDiagnosis(
        on=on,
        predictions=predictions,
        findings=findings,
        errors=WeightedDiagnosis(first_diagnosis(findings, _costs(costs)), _costs(costs[:, 1:])),
        confusion=confusion(on.truth, detections, findings),
        sizes=tuple(rows[: len(COCO_BINS)]),
        own_sizes=tuple(rows[len(COCO_BINS) :]),
    )


_COLUMN = "findings_"


def _found(on: EvaluationSet, detections: Sequence[Mapping[str, Any]], n_weights: int) -> dict[str, NDArray[Any]]:
    """Return what is to be kept."""
    findings = find_errors(on.truth, detections)
    costs = error_costs(findings, on.weights[:n_weights].astype(np.float64))
    bins = (*COCO_BINS, *quantile_bins(on.truth))
    rows = size_table(match_sizes(on.truth, detections, bins), bins, on.groups)
    numbers = [
        (row.size.low, row.size.high, row.n_objects, row.n_groups, _number(row.ap), _number(row.ap50)) for row in rows
    ]
    return {
        "costs": np.stack([costs.ap50, costs.false_positives, costs.false_negatives, *_main(costs)]),
        "size_names": np.array([row.size.name for row in rows]),
        "sizes": np.array(numbers, dtype=np.float64),
        **{f"{_COLUMN}{name}": column for name, column in vars(findings).items()},
    }


def _main(costs: ErrorCosts) -> list[NDArray[np.float64]]:
    return [costs.main[error] for error in MAIN_TYPES]


def _costs(table: NDArray[np.float64]) -> ErrorCosts:
    ap50, false_positives, false_negatives, *main = table
    return ErrorCosts(ap50, dict(zip(MAIN_TYPES, main, strict=True)), false_positives, false_negatives)


def _predictions(job: JobFolder, split: Split) -> Path:
    """Return the predictions of the last epoch, by which runs are judged; of an older run those of the best."""
    try:
        return predictions_of(job, split)
    except UserError:
        found = sorted(job.predictions.glob(f"a*_{split}_best.json"))
        if not found:
            raise
        return found[-1]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
