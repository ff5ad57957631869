"""Reads what a sweep's folder tells about its jobs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from reports.measured import read_measured, read_noted, read_result
from reports.records import RunRecord, RunSet, SweepRecord
from reports.reused import Store, with_reused
from reports.search.search_node import curves_wanted
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.jsonfile import read_lines
from runners.contract.looks import looks_of
from runners.contract.naming import job_columns
from runners.contract.remarks import read_remarks
from runners.contract.states import JobState
from runners.contract.trials import WARM_STARTED, Trial, TrialRecord
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
    settings = sweep.get("settings") or {}
    record = SweepRecord(
        sweep_id=folder.sweep_id,
        name=str(sweep.get("name") or folder.sweep_id),
        command=tuple(str(word) for word in sweep.get("command") or ()),
        n_images=next(iter(datasets.values()))["n_images"] if len(datasets) == 1 else {},
        versions={name: str(version) for name, version in (sweep.get("versions") or {}).items()},
        started_at=events[0]["at"] if events else None,
        ended_at=events[-1]["at"] if events else None,
        hypothesis=settings.get("hypothesis"),
        looks=tuple(looks_of(events)),
        search=settings.get("search"),
        warm=tuple(_warm(events, folder.journal)),
    )
    last = _last_events(events)
    started = _first_starts(events)
    planned = {"state": JobState.PLANNED.value}
    store = Store(_store_uri(settings, folder.path.parent))
    more_curves = curves_wanted(record.search)
    runs = [
        _read_job(
            folder.job(str(job["id"])),
            title=str(job["title"]),
            event=last.get(str(job["id"]), planned),
            varied=_varied(job["overrides"], sweep["axes"]),
            dataset=datasets[str(job["fingerprint"])],
            recipe=str(job.get("recipe") or ""),
            trial=_read_trial(job.get("trial"), folder.sweep),
            started_at=started.get(str(job["id"])),
            more_curves=more_curves,
            parts=parts,
        )
        for job in sweep["jobs"]
    ]
    runs = [
        with_reused(run, last[run.job_id], store, folder.job(run.job_id)) if run.state is JobState.REUSED else run
        for run in runs
    ]
    return RunSet(title=record.name, sweeps=(record,), runs=tuple(runs))


def _read_job(
    folder: JobFolder,
    title: str,
    event: Mapping[str, Any],
    varied: Mapping[str, str],
    dataset: Mapping[str, Any],
    recipe: str,
    trial: Trial | None,
    started_at: float | None,
    more_curves: Sequence[str],
    parts: YamlParts,
) -> RunRecord:
    measured = read_measured(folder, more_curves)
    metrics = measured.metrics
    result = read_result(folder)
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
        curves=measured.curves,
        failure="" if state in (JobState.COMPLETED, JobState.REUSED) else failure,
        notes=tuple(result.notes) if result else (),
        remarks=read_remarks(folder),
        dataset=str(dataset["name"]),
        fingerprint=str(dataset["fingerprint"]),
        labelled=dataset["labelled"],
        folder=folder.path,
        noted=read_noted(folder),
        recipe=recipe,
        trial=trial,
        times=measured.times,
        started_at=started_at,
        ended_at=event.get("at") if state.is_terminal else None,
    )


def _read_trial(node: Mapping[str, Any] | None, path: Path) -> Trial | None:
    try:
        return None if node is None else Trial.read(node)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"trial of a job in {path}: damaged ({error!r}); restore the file") from None


def _warm(events: Iterable[Mapping[str, Any]], path: Path) -> list[TrialRecord]:
    """Return the finished runs that a search was told of before its first job; those told last, if it was twice."""
    told = [event["trials"] for event in events if event.get("event") == WARM_STARTED]
    try:
        return [TrialRecord.read(node) for node in told[-1]] if told else []
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"journal in {path}: a warm trial is damaged ({error!r}); restore the file") from None


def _first_starts(events: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return when each job's first attempt was started, in wall-clock seconds since the epoch."""
    starts: dict[str, float] = {}
    for event in events:
        if event.get("event") == "started":
            starts.setdefault(str(event["job"]), float(event["at"]))
    return starts


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
    return job_columns(_read_yaml(folder.config, parts), varied) if folder.config.exists() else dict(varied)


def _last_events(events: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the event that gave each job its state; of a pruned one with the reason for which that was decided."""
    last: dict[str, Mapping[str, Any]] = {}
    decided: dict[str, str] = {}
    for event in events:
        if event.get("event") == "decided" and event.get("decision") == "prune":
            decided[str(event["job"])] = str(event.get("reason") or "")
        elif "job" in event and "state" in event:
            last[str(event["job"])] = event
    return {
        job: {**event, "reason": event.get("reason") or decided.get(job)}
        if event["state"] == JobState.PRUNED.value
        else event
        for job, event in last.items()
    }


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
