"""The one place that reads from MLflow; with the folders of a sweep, all that reports are made from."""

import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from reports.folders import read_sweep
from reports.records import CURVES, Point, RunRecord, RunSet, SweepRecord, fold_points
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.states import JobState

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Experiment:
    """An experiment of a tracking store.

    Attributes:
        name: as it stands in the store (``detsweep`` unless ``tracking.experiment`` says otherwise).
        tracking_uri: address of the store (``sqlite:////.../mlflow.db`` or a server's).
    """

    name: str
    tracking_uri: str


def read_runs(source: SweepFolder | Experiment) -> RunSet:
    """Read all jobs of a sweep's folder or of an experiment.

    The two give the same records. Only a name with characters that MLflow does not take (a class's AP) differs.

    Raises:
        UserError: there is no such sweep or experiment, or it cannot be read.
    """
    return read_sweep(source) if isinstance(source, SweepFolder) else read_experiment(source)


def read_experiment(experiment: Experiment) -> RunSet:
    """Read all sweeps of an experiment and their jobs.

    Raises:
        UserError: the store cannot be reached, lacks the experiment, or the experiment holds no run of detsweep.
    """
    client, experiment_id = _open(experiment)
    found = list(_search(client, experiment_id))
    sweeps = [_sweep_record(run) for run in found if run.data.tags.get("detsweep.kind") == "sweep"]
    runs = [_run_record(client, run) for run in found if run.data.tags.get("detsweep.kind") == "job"]
    if not runs:
        where = f"experiment {experiment.name!r} in {_shown(experiment.tracking_uri)}"
        raise UserError(f"{where}: it holds no job of detsweep; run a sweep with it first")
    # Sweep ids begin with the time of their start.
    runs.sort(key=lambda run: (run.sweep_id, run.job_id))
    sweeps.sort(key=lambda sweep: sweep.sweep_id)
    return RunSet(title=experiment.name, sweeps=tuple(sweeps), runs=tuple(runs))


def find_job_folder(run: str, experiment: Experiment, downloads: Path) -> JobFolder:
    """Return the folder of one job that the store knows; its artifacts are fetched where that folder is not here.

    Args:
        run: MLflow's run id, ``<sweep id>/<job id>``, or a title that is the only one of its kind.
        experiment: where to look.
        downloads: a folder for what has to be fetched; the job's folder is made in it.

    Raises:
        UserError: no run, or more than one, answers to that name.
    """
    client, experiment_id = _open(experiment)
    jobs = [found for found in _search(client, experiment_id) if found.data.tags.get("detsweep.kind") == "job"]
    chosen = [job for job in jobs if run in (job.info.run_id, job.data.tags.get("detsweep.job"), job.info.run_name)]
    if len(chosen) != 1:
        among = chosen or jobs
        choices = ", ".join(f"{job.data.tags.get('detsweep.job')} ({job.info.run_name})" for job in among[:10])
        what = "no job" if not chosen else f"{len(chosen)} jobs"
        raise UserError(f"run {run!r} in experiment {experiment.name!r}: {what} of this name; choose one of: {choices}")
    tags = chosen[0].data.tags
    folder = Path(tags.get("detsweep.folder", ""))
    if folder.is_absolute() and folder.is_dir():
        return JobFolder(folder)
    fetched = downloads / chosen[0].info.run_id
    fetched.mkdir(parents=True, exist_ok=True)
    client.download_artifacts(chosen[0].info.run_id, "", str(fetched))
    return JobFolder(fetched)


@dataclass(frozen=True)
class StoredRun:
    """A run as the store holds it, for those who check the store and not the study.

    Attributes:
        run_id: the store's own.
        job: the job's id in its sweep; None for the sweep's own run.
        status: RUNNING, FINISHED, FAILED or KILLED.
        state: the job's state by its tag.
        points: how often the store holds each metric name and step.
    """

    run_id: str
    job: str | None
    status: str
    state: str | None = None
    points: Mapping[tuple[str, int], int] = field(default_factory=dict)


def read_stored_runs(experiment: Experiment, sweep_id: str) -> list[StoredRun]:
    """Read the runs of one sweep, every point of every metric.

    Raises:
        UserError: the store cannot be reached, or lacks the experiment.
    """
    client, experiment_id = _open(experiment)
    return [_stored_run(client, run) for run in _search(client, experiment_id, f"tags.`detsweep.sweep` = '{sweep_id}'")]


def _stored_run(client: "MlflowClient", run: "Run") -> StoredRun:
    tags, run_id = run.data.tags, run.info.run_id
    is_job = tags.get("detsweep.kind") == "job"
    points = Counter(
        (name, point.step) for name in run.data.metrics for point in client.get_metric_history(run_id, name)
    )
    job = tags.get("detsweep.job", "").rpartition("/")[2] if is_job else None
    return StoredRun(run_id, job, run.info.status, tags.get("detsweep.state"), points)


def _open(experiment: Experiment) -> tuple["MlflowClient", str]:
    uri = experiment.tracking_uri
    where = f"tracking store in {_shown(uri)}"
    # Opening a missing SQLite file would make an empty store there, and take seconds to do so.
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise UserError(f"{where}: there is none; run a sweep first, or say output_dir or tracking.uri")
    # MLflow reads these when it is imported: a report tells nobody that it was made, and a person waits for it, whom
    # MLflow's own patience with a server that is down would keep for four minutes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    # Imported here because it takes four seconds, which a report of a folder need not wait for.
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment.name)
        known = [other.name for other in client.search_experiments()] if found is None else []
    except MlflowException as error:
        # MLflow quotes the address as it was given.
        said = str(error).splitlines()[0].replace(uri, _shown(uri))
        raise UserError(f"{where}: {said}; is the address right, and the server up?") from error
    if found is None:
        raise UserError(f"{where}: no experiment {experiment.name!r}; it holds {', '.join(sorted(known))}")
    return client, str(found.experiment_id)


def _search(client: "MlflowClient", experiment_id: str, query: str = "") -> Iterator["Run"]:
    token = None
    while True:
        page = client.search_runs([experiment_id], query, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _sweep_record(run: "Run") -> SweepRecord:
    tags = run.data.tags
    return SweepRecord(
        sweep_id=tags["detsweep.sweep"],
        name=run.info.run_name or tags["detsweep.sweep"],
        command=tuple(shlex.split(tags.get("detsweep.command", ""))),
        versions=_versions(tags),
        started_at=run.info.start_time / 1000,
        ended_at=None if run.info.end_time is None else run.info.end_time / 1000,
    )


def _run_record(client: "MlflowClient", run: "Run") -> RunRecord:
    tags = run.data.tags
    state = JobState(tags["detsweep.state"])
    params = dict(run.data.params)
    title = run.info.run_name or tags["detsweep.job"]
    params.pop("title", None)
    return RunRecord(
        sweep_id=tags["detsweep.sweep"],
        job_id=tags["detsweep.job"].rpartition("/")[2],
        title=title,
        state=state,
        params=params,
        metrics=dict(run.data.metrics),
        curves={name: _read_curve(client, run.info.run_id, name) for name in CURVES if name in run.data.metrics},
        failure="" if state in (JobState.COMPLETED, JobState.REUSED) else tags.get("detsweep.failure", ""),
        notes=tuple(tags.get("detsweep.notes", "").splitlines()),
        dataset=tags.get("detsweep.dataset", params.get("dataset", "")),
        fingerprint=tags.get("detsweep.dataset_fingerprint", ""),
        labelled=json.loads(tags["detsweep.labelled"]) if "detsweep.labelled" in tags else None,
        folder=Path(tags["detsweep.folder"]) if "detsweep.folder" in tags else None,
    )


def _read_curve(client: "MlflowClient", run_id: str, name: str) -> tuple[Point, ...]:
    history = client.get_metric_history(run_id, name)
    return fold_points(
        Point(entry.step, entry.value) for entry in sorted(history, key=lambda entry: (entry.timestamp, entry.step))
    )


def _versions(tags: Mapping[str, Any]) -> dict[str, str]:
    prefix = "detsweep.version."
    return {tag.removeprefix(prefix): value for tag, value in sorted(tags.items()) if tag.startswith(prefix)}


def _shown(uri: str) -> str:
    """Return an address without the password that it may hold."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri
