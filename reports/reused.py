"""The numbers of a job that was not trained because an earlier run answers it, wherever they can still be read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reports.measured import read_measured, read_noted, read_result
from reports.mlflow_runs import read_run
from reports.records import Point, RunRecord
from runners.contract.answers import Answer
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.remarks import Remark, RemarkKind, parse_remarks, read_remarks


@dataclass
class Store:
    """The store of a sweep; one that did not answer is not asked again for the next row.

    Attributes:
        uri: its address; None where the sweep was not tracked.
        problem: why it cannot be read, once that is known.
    """

    uri: str | None
    problem: str = ""

    def read(self, run_id: str) -> RunRecord | None:
        """Return a run; None where it cannot be read."""
        if self.uri is None or not run_id or self.problem:
            return None
        try:
            return read_run(self.uri, run_id)
        except UserError as error:
            self.problem = error.problems[0]
            return None


def with_reused(run: RunRecord, event: Mapping[str, Any], store: Store, job: JobFolder) -> RunRecord:
    """Return a reused job with the numbers of the run that answers it.

    They come from what the sweep has kept of it; else from the folder where that run was trained, which may have moved
    together with this sweep; else from the store.

    Args:
        run: the job without numbers.
        event: of the journal, which names the run.
        store: of the sweep.
        job: the job's own folder.
    """
    run_id, before = str(event.get("run_id") or ""), JobFolder(Path(str(event.get("folder") or "")))
    kept = Answer.read(job)
    where = kept.where if kept else _place(before) if before.path.name else f"run {run_id}"
    remark = Remark(RemarkKind.REUSED, where)
    folder = _folder_now(before, job)
    if kept is not None:
        curves = {name: tuple(Point(*point) for point in points) for name, points in kept.curves.items()}
        remarks = (*parse_remarks(kept.remarks), remark)
        noted = read_noted(folder) if folder else ()
        told = replace(run, metrics=kept.metrics, curves=curves, notes=tuple(kept.notes), remarks=remarks)
        return replace(told, folder=folder.path if folder else None, noted=noted)
    if folder is not None:
        measured = read_measured(folder)
        result = read_result(folder)
        return replace(
            run,
            metrics=measured.metrics | (result.metrics if result else {}),
            curves=measured.curves,
            notes=tuple(result.notes) if result else (),
            remarks=(*read_remarks(folder), remark),
            folder=folder.path,
            noted=read_noted(folder),
        )
    found = store.read(run_id)
    if found is None:  # a report must not fail because of one row of it
        gone = f"the folder of its run is gone: {before.path}" if before.path.name else "its run has no folder here"
        note = f"reused, but {gone}" + (f"; {store.problem}" if store.problem else "")
        return replace(run, notes=(note,), remarks=(remark,))
    return replace(
        run,
        metrics=found.metrics,
        curves=found.curves,
        notes=found.notes,
        remarks=(*found.remarks, remark),
        folder=None,
        noted=found.noted,
    )


def _place(folder: JobFolder) -> str:
    return f"{folder.path.parent.parent.name}/{folder.job_id}"


def _folder_now(told: JobFolder, job: JobFolder) -> JobFolder | None:
    """Return the folder of the run that answers a job: where it was, or beside this sweep; None if it is gone."""
    if not told.path.is_absolute():
        return None
    beside = JobFolder(job.path.parents[2] / told.path.parent.parent.name / "jobs" / told.job_id)
    return next((folder for folder in (told, beside) if folder.config.is_file()), None)
