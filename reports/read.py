"""All that reports are made from: the folders of a sweep, or an experiment of a tracking store."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reports.folders import read_sweep
from reports.mlflow_runs import (
    curves_of_sweeps,
    open_client,
    reused_runs,
    run_record,
    search_runs,
    shown,
    sweep_record,
    unreachable,
)
from reports.records import RunRecord, RunSet
from runners.contract.errors import UserError
from runners.contract.evaluations import EVALUATED
from runners.contract.folder import SweepFolder
from runners.contract.remarks import Remark, RemarkKind
from runners.contract.states import JobState

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


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
    """Read all sweeps of an experiment and their jobs; a run that several sweeps use stands there once.

    Raises:
        UserError: the store cannot be reached, lacks the experiment, or the experiment holds no run of detsweep.
    """
    client, experiment_id = _open(experiment)
    found = list(search_runs(client, [experiment_id]))
    of_sweeps = [run for run in found if run.data.tags.get("detsweep.kind") == "sweep"]
    of_jobs = {run.info.run_id: run for run in found if run.data.tags.get("detsweep.kind") == "job"}
    curves = curves_of_sweeps(of_sweeps)
    runs = [run_record(client, run, curves.get(run.data.tags["detsweep.sweep"], ())) for run in of_jobs.values()]
    runs += _from_elsewhere(client, of_sweeps, of_jobs)
    runs += _answers(client, found, {run.data.tags["detsweep.job"] for run in of_jobs.values()})
    if not runs:
        where = f"experiment {experiment.name!r} in {shown(experiment.tracking_uri)}"
        raise UserError(f"{where}: it holds no job of detsweep; run a sweep with it first")
    # Sweep ids begin with the time of their start.
    runs.sort(key=lambda run: (run.sweep_id, run.job_id))
    sweeps = sorted((sweep_record(run) for run in of_sweeps), key=lambda sweep: sweep.sweep_id)
    return RunSet(title=experiment.name, sweeps=tuple(sweeps), runs=tuple(runs))


def _answers(client: "MlflowClient", found: Iterable["Run"], here: Collection[str]) -> Iterator[RunRecord]:
    """Yield the jobs that an imported sweep reuses, except those whose own runs are here."""
    for run in found:
        tags = run.data.tags
        if tags.get("detsweep.kind") == "answer" and tags["detsweep.job"] not in here:
            yield replace(run_record(client, run), job_id=tags["detsweep.id"].rpartition("/")[2])


def _from_elsewhere(client: "MlflowClient", sweeps: Iterable["Run"], here: "dict[str, Run]") -> Iterator[RunRecord]:
    """Yield the runs of other experiments that sweeps of this one reuse, each once; one that is gone is left out."""
    from mlflow.exceptions import MlflowException

    seen = set(here)
    for sweep in sorted(sweeps, key=lambda run: str(run.data.tags["detsweep.sweep"])):
        for job_id, run_id in sorted(reused_runs(sweep).items()):
            if run_id in seen:
                continue
            seen.add(run_id)
            try:
                record = run_record(client, client.get_run(run_id))
            except MlflowException:
                continue
            remark = Remark(RemarkKind.REUSED, f"run {run_id} of {record.sweep_id}/{record.job_id}")
            own = str(sweep.data.tags["detsweep.sweep"])
            remarks = (*record.remarks, remark)
            yield replace(record, sweep_id=own, job_id=job_id, state=JobState.REUSED, remarks=remarks)


def read_runs_on(uri: str, experiment: str | None, fingerprints: Collection[str]) -> RunSet:
    """Read all runs on some data sets, of one experiment or of all of a store.

    Args:
        uri: address of the store.
        experiment: its name; None: all.
        fingerprints: of the data sets.

    Raises:
        UserError: the store cannot be reached, or lacks the experiment.
    """
    if experiment is not None:
        client, experiment_id = _open(Experiment(experiment, uri))
        experiment_ids = [experiment_id]
    else:
        client = open_client(uri)
    from mlflow.exceptions import MlflowException

    try:
        if experiment is None:
            experiment_ids = [str(entry.experiment_id) for entry in client.search_experiments()]
        on_data = [
            run
            for fingerprint in sorted(fingerprints)
            for run in search_runs(
                client,
                experiment_ids,
                f"tags.`detsweep.kind` = 'job' and tags.`detsweep.dataset_fingerprint` = '{fingerprint}'",
            )
        ]
        runs = sorted((run_record(client, run) for run in on_data), key=lambda run: (run.sweep_id, run.job_id))
        of_sweeps = search_runs(client, experiment_ids, "tags.`detsweep.kind` = 'sweep'")
        known = {run.sweep_id for run in runs}
        sweeps = [sweep for sweep in map(sweep_record, of_sweeps) if sweep.sweep_id in known]
    except MlflowException as error:
        raise unreachable(uri, error) from error
    return RunSet(experiment or "all experiments", tuple(sweeps), tuple(runs))


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
    from mlflow.exceptions import MlflowException

    try:
        found = search_runs(client, [experiment_id], f"tags.`detsweep.sweep` = '{sweep_id}'")
        return [_stored_run(client, run) for run in found if run.data.tags.get("detsweep.kind") in ("sweep", "job")]
    except MlflowException as error:
        raise unreachable(experiment.tracking_uri, error) from error


def _stored_run(client: "MlflowClient", run: "Run") -> StoredRun:
    tags, run_id = run.data.tags, run.info.run_id
    is_job = tags.get("detsweep.kind") == "job"
    # An evaluation may be repeated, and its newest numbers are those that count.
    own = [name for name in run.data.metrics if not name.startswith(EVALUATED)]
    points = Counter((name, point.step) for name in own for point in client.get_metric_history(run_id, name))
    job = tags.get("detsweep.job", "").rpartition("/")[2] if is_job else None
    return StoredRun(run_id, job, run.info.status, tags.get("detsweep.state"), points)


def _open(experiment: Experiment) -> tuple["MlflowClient", str]:
    client = open_client(experiment.tracking_uri)
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(experiment.name)
        known = [other.name for other in client.search_experiments()] if found is None else []
    except MlflowException as error:
        raise unreachable(experiment.tracking_uri, error) from error
    if found is None:
        where = f"tracking store in {shown(experiment.tracking_uri)}"
        raise UserError(f"{where}: no experiment {experiment.name!r}; it holds {', '.join(sorted(known))}")
    return client, str(found.experiment_id)
