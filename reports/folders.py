"""Reads what a sweep's folder tells about its jobs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from reports.mlflow_runs import read_run
from reports.records import CURVES, Point, RunRecord, RunSet, SweepRecord, fold_points
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.jsonfile import read_lines
from runners.contract.naming import run_params
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.remarks import Remark, RemarkKind, read_remarks
from runners.contract.states import AttemptOutcome, JobState
from runners.contract.yamlfile import YamlParts


def read_sweep(folder: SweepFolder) -> RunSet:
    """Read a sweep and all its jobs, finished or not.

    Raises:
        UserError: the folder holds no sweep, or one of its files is damaged.
    """
    parts = YamlParts()
    sweep = _read_yaml(folder.sweep, parts)
    events = _read_events(folder.journal)
    datasets = {str(dataset["fingerprint"]): dataset for dataset in sweep["datasets"]}
    record = SweepRecord(
        sweep_id=folder.sweep_id,
        name=str(sweep.get("name") or folder.sweep_id),
        command=tuple(str(word) for word in sweep.get("command") or ()),
        n_images=next(iter(datasets.values()))["n_images"] if len(datasets) == 1 else {},
        versions={name: str(version) for name, version in (sweep.get("versions") or {}).items()},
        started_at=events[0]["at"] if events else None,
        ended_at=events[-1]["at"] if events else None,
    )
    last = _last_events(events)
    planned = {"state": JobState.PLANNED.value}
    store = _Store(_store_uri(sweep.get("settings") or {}, folder.path.parent))
    runs = [
        _read_job(
            folder.job(str(job["id"])),
            title=str(job["title"]),
            event=last.get(str(job["id"]), planned),
            varied=_varied(job["overrides"], sweep["axes"]),
            dataset=datasets[str(job["fingerprint"])],
            parts=parts,
        )
        for job in sweep["jobs"]
    ]
    runs = [_with_reused(run, last[run.job_id], store) if run.state is JobState.REUSED else run for run in runs]
    return RunSet(title=record.name, sweeps=(record,), runs=tuple(runs))


def _read_job(
    folder: JobFolder,
    title: str,
    event: Mapping[str, Any],
    varied: Mapping[str, str],
    dataset: Mapping[str, Any],
    parts: YamlParts,
) -> RunRecord:
    metrics, curves = _read_measured(folder)
    result = _read_result(folder)
    state, failure = JobState(event["state"]), str(event.get("reason") or "")
    if result is not None:
        metrics |= result.metrics
        # What an earlier attempt failed of says nothing of a job that runs again, or waits to.
        if not failure and result.failure is not None and state is JobState.FAILED:
            failure = result.failure.message
    return RunRecord(
        sweep_id=folder.path.parent.parent.name,
        job_id=folder.job_id,
        title=title,
        state=state,
        params=_read_params(folder, varied, parts),
        metrics=metrics,
        curves=curves,
        failure="" if state in (JobState.COMPLETED, JobState.REUSED) else failure,
        notes=tuple(result.notes) if result else (),
        remarks=read_remarks(folder),
        dataset=str(dataset["name"]),
        fingerprint=str(dataset["fingerprint"]),
        labelled=dataset["labelled"],
        folder=folder.path,
    )


@dataclass
class _Store:
    """The store of a sweep; one that did not answer is not asked again for the next row.

    Attributes:
        uri: its address; None where the sweep was not tracked.
        problem: why it cannot be read, once that is known.
    """

    uri: str | None
    problem: str = ""

    def read(self, run_id: str) -> RunRecord | None:
        if self.uri is None or not run_id or self.problem:
            return None
        try:
            return read_run(self.uri, run_id)
        except UserError as error:
            self.problem = error.problems[0]
            return None


def _with_reused(run: RunRecord, event: Mapping[str, Any], store: _Store) -> RunRecord:
    """Return a reused job with the numbers of the run that answers it, from its folder or else from the store."""
    run_id, folder = str(event.get("run_id") or ""), JobFolder(Path(str(event.get("folder") or "")))
    where = f"{folder.path.parent.parent.name}/{folder.job_id}" if folder.path.name else f"run {run_id}"
    remark = Remark(RemarkKind.REUSED, where)
    if folder.path.is_absolute() and folder.config.is_file():
        metrics, curves = _read_measured(folder)
        result = _read_result(folder)
        return replace(
            run,
            metrics=metrics | (result.metrics if result else {}),
            curves=curves,
            notes=tuple(result.notes) if result else (),
            remarks=(*read_remarks(folder), remark),
            folder=folder.path,
        )
    kept = store.read(run_id)
    if kept is None:  # a report must not fail because of one row of it
        gone = f"the folder of its run is gone: {folder.path}" if folder.path.name else "its run has no folder here"
        note = f"reused, but {gone}" + (f"; {store.problem}" if store.problem else "")
        return replace(run, notes=(note,), remarks=(remark,))
    return replace(
        run, metrics=kept.metrics, curves=kept.curves, notes=kept.notes, remarks=(*kept.remarks, remark), folder=None
    )


def _store_uri(settings: Mapping[str, Any], output_dir: Path) -> str | None:
    """Return the store that a sweep was tracked in; None where it was not."""
    tracking = settings.get("tracking") or {}
    uri = tracking.get("uri")
    return f"sqlite:///{output_dir / 'mlflow.db'}" if uri is None and tracking.get("name") == "sqlite" else uri


def _varied(overrides: Iterable[str], axes: Mapping[str, Any]) -> dict[str, str]:
    """Return a job's place on the sweep's axes."""
    values = dict(override.split("=", 1) for override in overrides if "=" in override)
    return {key: values[key] for key in axes if key in values}


def _read_params(folder: JobFolder, varied: Mapping[str, str], parts: YamlParts) -> dict[str, str]:
    # A sweep whose planning was cut short lists jobs that have no folder yet.
    return {**(run_params(_read_yaml(folder.config, parts)) if folder.config.exists() else {}), **varied}


def _read_measured(folder: JobFolder) -> tuple[dict[str, float], dict[str, tuple[Point, ...]]]:
    """Return the last value of every metric of all attempts, and the curves."""
    last: dict[str, float] = {}
    points: dict[str, list[Point]] = {name: [] for name in CURVES}
    for attempt in folder.all_attempts():
        try:
            # Most records only tell progress, and a long training leaves very many: they are not gathered.
            for record, _ in read_metrics(attempt):
                last |= record.values
                for name in points.keys() & record.values.keys():
                    points[name].append(Point(record.step, record.values[name]))
        except (ValueError, TypeError) as error:
            raise UserError(f"metrics in {attempt.metrics}: damaged ({error}); remove the damaged line") from error
    return last, {name: fold_points(found) for name, found in points.items() if found}


def _read_result(folder: JobFolder) -> AttemptResult | None:
    """Return the result of the attempt that completed, or of the newest that left one."""
    results = [result for attempt in folder.all_attempts() if (result := AttemptResult.read(attempt)) is not None]
    completed = [result for result in results if result.outcome is AttemptOutcome.COMPLETED]
    chosen = completed or results
    return chosen[-1] if chosen else None


def _last_events(events: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the event that gave each job its state."""
    return {str(event["job"]): event for event in events if "job" in event and "state" in event}


def _read_events(path: Path) -> list[dict[str, Any]]:
    try:
        return [event for event, _ in read_lines(path)]
    except json.JSONDecodeError as error:
        raise UserError(
            f"journal in {path}: damaged ({error}); the job folders beside it still hold every result"
        ) from error


def _read_yaml(path: Path, parts: YamlParts) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(
            f"sweep in {path.parent}: no file {path.name}; give the folder that detsweep printed when the sweep began"
        )
    try:
        value = parts.load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"YAML in {path}: {' '.join(str(error).split())}; mend or restore the file") from error
    if not isinstance(value, dict):
        raise UserError(f"YAML in {path}: wanted a mapping, found {type(value).__name__}; mend or restore the file")
    return value
