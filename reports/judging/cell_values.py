"""The values of a hypothesis' metrics, run by run: from predictions under all weightings, or as they were recorded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.findings import MAIN_TYPES
from reports.diagnosis.run_diagnosis import diagnose_run
from reports.judging.arms import CellRuns
from reports.judging.effect import Cell
from reports.judging.evaluation_set import EvaluationSet, read_evaluation_set
from reports.judging.run_values import RunValues, run_values
from reports.records import RunRecord
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.hypothesis import ERROR_COST, Question, is_average_precision, is_error_cost
from runners.contract.metrics import Split
from runners.contract.remarks import RemarkKind
from runners.contract.yamlfile import load_yaml


@dataclass(frozen=True)
class MeasuredCell:
    """The metric of a cell's runs.

    Attributes:
        cell: values and, where images play a part, replicates.
        n_objects: objects that the metric counts; None where images play no part.
        n_groups: images (groups) with such an object; 1 where images play no part.
        n_images: of the evaluation set.
        evaluated_on: fingerprint of the evaluation set; empty where images play no part.
        left_out: runs without the value, and why.
    """

    cell: Cell
    n_objects: int | None
    n_groups: int
    n_images: int
    evaluated_on: str
    left_out: tuple[str, ...] = ()


def measure(question: Question, runs: CellRuns) -> MeasuredCell:
    """Return a cell's values of a metric.

    Train metrics, losses and costs are read as they were recorded: the model has seen the training images, and time
    and memory do not depend on images. Average precisions and error costs of val and test come from the predictions.
    """
    if question.split in ("val", "test") and (is_average_precision(question.metric) or is_error_cost(question.metric)):
        return _from_predictions(question, runs)
    values, left_out = [], []
    for run in runs.runs:
        value = recorded(question.metric, run)
        if value is None:
            left_out.append(f"{run.title}: no {question.metric}")
        else:
            values.append(value)
    return MeasuredCell(Cell(np.array(values, dtype=np.float64)), None, 1, 0, "", tuple(left_out))


def recorded(metric: str, run: RunRecord) -> float | None:
    """Return a recorded metric at the last epoch; a cost only of a run that was neither resumed nor tried again."""
    if metric.startswith("cost/"):
        disturbed = {RemarkKind.RESUMED, RemarkKind.OUT_OF_MEMORY, RemarkKind.OTHER_SPLIT}
        return None if any(remark.kind in disturbed for remark in run.remarks) else run.metrics.get(metric)
    curve = run.curves.get(metric)
    return curve[-1].value if curve else run.metrics.get(metric)


def _from_predictions(question: Question, runs: CellRuns) -> MeasuredCell:
    found: list[tuple[RunValues, EvaluationSet]] = []
    left_out = []
    for run in runs.runs:
        try:
            found.append(_of_run(question, run))
        except UserError as error:
            left_out.append(f"{run.title}: {error.problems[0]}")
    sets = {on.fingerprint for _, on in found}
    if len(sets) > 1:
        raise UserError(
            f"evaluation sets of {runs.key.arm}: {len(sets)} different ones; runs are compared on the same images only"
        )
    if not found:
        return MeasuredCell(Cell(np.zeros(0)), 0, 0, 0, "", tuple(left_out))
    table: NDArray[np.float64] = np.stack([values.values[question.metric] for values, _ in found])
    first, on = found[0]
    return MeasuredCell(
        Cell(table[:, 0], table[:, 1:]),
        first.n_objects[question.metric],
        first.n_groups[question.metric],
        len(on.images),
        on.fingerprint,
        tuple(left_out),
    )


def _of_run(question: Question, run: RunRecord) -> tuple[RunValues, EvaluationSet]:
    if run.folder is None or not run.folder.is_dir():
        raise UserError(f"folder of {run.sweep_id}/{run.job_id}: not on this machine; its predictions are needed")
    job = JobFolder(run.folder)
    on = evaluation_set_of(job, question.split)
    split: Split = "val" if question.split == "val" else "test"
    values = _error_values(question, job, split, on) if is_error_cost(question.metric) else run_values(job, split, on)
    if question.metric not in values.values:
        known = ", ".join(sorted(values.values))
        raise UserError(f"metric {question.metric} in {job.path}: not measured there; it has {known}")
    return values, on


def _error_values(question: Question, job: JobFolder, split: Split, on: EvaluationSet) -> RunValues:
    """Return what each type of error costs a run, as metrics."""
    found = diagnose_run(job, split, on, with_replicates=True)
    by_metric = {f"{split}/{ERROR_COST}{error.word}": error for error in MAIN_TYPES}
    errors, n_objects = found.errors, found.findings.n_objects
    has_object: NDArray[np.bool_] = n_objects.sum(axis=0) > 0
    n_groups = on.n_groups_with(has_object)
    return RunValues(
        values={
            metric: np.concatenate([[errors.diagnosis.costs[error]], errors.replicates.main[error]])
            for metric, error in by_metric.items()
        },
        n_objects=dict.fromkeys(by_metric, int(n_objects.sum())),
        n_groups=dict.fromkeys(by_metric, n_groups),
    )


def evaluation_set_of(job: JobFolder, split: str) -> EvaluationSet:
    """Return the images that a job's predictions of a split are of.

    Raises:
        UserError: the job has no such split, its config does not tell, or its annotations are gone.
    """
    try:
        dataset = load_yaml(job.config.read_text(encoding="utf-8"))["dataset"]
        found = None if dataset.get(split) is None else Path(dataset["root"], dataset[split]["ann_file"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"config in {job.config}: its images of {split} are not told ({error}); restore it") from None
    if found is None:
        raise UserError(f"split {split} of {job.path}: the data set has none; judge by another one")
    # As the job found it: relative to its own folder.
    return read_evaluation_set((job.path / found).resolve(), dataset.get("group_by"))
