"""All that reports are made from: the folders of a sweep, or an experiment of a tracking store."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reports.folders import read_sweep
from reports.mlflow_runs import open_client, reused_runs, run_record, search_runs, shown, sweep_record, unreachable
from reports.records import RunRecord, RunSet
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
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
    runs = [run_record(client, run) for run in of_jobs.values()]
    runs += _from_elsewhere(client, of_sweeps, of_jobs)
    if not runs:
        where = f"experiment {experiment.name!r} in {shown(experiment.tracking_uri)}"
        raise UserError(f"{where}: it holds no job of detsweep; run a sweep with it first")
    # Sweep ids begin with the time of their start.
    runs.sort(key=lambda run: (run.sweep_id, run.job_id))
    sweeps = sorted((sweep_record(run) for run in of_sweeps), key=lambda sweep: sweep.sweep_id)
    return RunSet(title=experiment.name, sweeps=tuple(sweeps), runs=tuple(runs))


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
    found = search_runs(client, [experiment_id])
    jobs = [job for job in found if job.data.tags.get("detsweep.kind") == "job"]
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
    from mlflow.exceptions import MlflowException

    try:
        found = search_runs(client, [experiment_id], f"tags.`detsweep.sweep` = '{sweep_id}'")
        return [_stored_run(client, run) for run in found]
    except MlflowException as error:
        raise unreachable(experiment.tracking_uri, error) from error


def _stored_run(client: "MlflowClient", run: "Run") -> StoredRun:
    tags, run_id = run.data.tags, run.info.run_id
    is_job = tags.get("detsweep.kind") == "job"
    points = Counter(
        (name, point.step) for name in run.data.metrics for point in client.get_metric_history(run_id, name)
    )
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
