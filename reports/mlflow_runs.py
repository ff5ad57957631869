"""Reads runs of detsweep from MLflow: as records, or only whether a finished one answers a job."""

import importlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from reports.records import CURVES, Point, RunRecord, SweepRecord, fold_points
from reports.search.search_node import curves_wanted
from runners.contract.errors import UserError
from runners.contract.evaluations import EVALUATED
from runners.contract.looks import LOOKS_TAG
from runners.contract.metrics import NOTE
from runners.contract.notes import Note
from runners.contract.remarks import parse_remarks
from runners.contract.states import JobState
from runners.contract.trials import TRIAL_TAG, Trial, TrialRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SQLITE = "sqlite:///"
N_PER_PAGE = 1000
REUSED_TAG = "detsweep.reused"
NOTED_TAG = "detsweep.note."


@dataclass(frozen=True)
class FinishedRun:
    """A run that completed, and so answers every job of its identity.

    Attributes:
        run_id: the store's id.
        sweep_id: of the sweep that trained it.
        job_id: its number in that sweep.
        title: its name.
        folder: of the job, where it was trained; it may lie on another machine, or be gone.
    """

    run_id: str
    sweep_id: str
    job_id: str
    title: str
    folder: str


def open_client(uri: str) -> "MlflowClient":
    """Open a store that is there.

    Raises:
        UserError: there is no such store.
    """
    # Opening a missing SQLite file would make an empty store there, and take seconds to do so.
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE).partition("?")[0]).is_file():
        where = f"tracking store in {shown(uri)}"
        raise UserError(f"{where}: there is none; run a sweep first, or say output_dir or tracking.uri")
    import_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return MlflowClient(tracking_uri=uri)
    except (MlflowException, SQLAlchemyError) as error:
        raise unreachable(uri, error) from error


def import_mlflow() -> None:
    """Import MLflow, which takes four seconds: whoever reads folders alone need not wait for it."""
    # A report tells nobody that it was made, and a person waits for it, whom MLflow's own patience with a server that
    # is down would keep for four minutes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    importlib.import_module("mlflow")


def unreachable(uri: str, error: Exception) -> UserError:
    """Return what a person needs to hear of a store that gave no answer."""
    # MLflow quotes the address as it was given.
    said = (str(error).splitlines() or [type(error).__name__])[0].replace(uri, shown(uri))
    return UserError(f"tracking store in {shown(uri)}: {said}; is the address right, and the server up?")


def search_runs(
    client: "MlflowClient", experiment_ids: list[str], query: str = "", n_per_page: int = N_PER_PAGE
) -> Iterator["Run"]:
    """Yield the runs that a query finds, page by page, the one that ended last first."""
    token = None
    while True:
        page = client.search_runs(
            experiment_ids, query, max_results=n_per_page, page_token=token, order_by=["attributes.end_time DESC"]
        )
        yield from page
        token = page.token
        if not token:
            return


def find_finished(uri: str, identities: Iterable[str]) -> dict[str, FinishedRun]:
    """Return the newest completed run of each identity, whatever experiment of the store it stands in.

    Args:
        uri: address of the store.
        identities: of trainings (`runners.contract.identity`).

    Raises:
        UserError: the store cannot be read.
    """
    from mlflow.exceptions import MlflowException

    client = open_client(uri)
    wanted = set(identities)
    found: dict[str, FinishedRun] = {}
    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        done = f"attributes.status = 'FINISHED' and tags.`detsweep.state` = '{JobState.COMPLETED.value}'"
        # A run costs as much to read as an identity to ask for. The newest are read first, in the hope that they are
        # all there are; what as many of them as are wanted did not answer is then asked for one by one.
        n_unread = len(wanted)
        for run in search_runs(client, experiments, done, n_per_page=min(max(n_unread, 1), N_PER_PAGE)):
            _note(run, wanted, found)
            n_unread -= 1
            if len(found) == len(wanted) or n_unread <= 0:
                break
        else:
            return found
        for identity in wanted - found.keys():
            query = f"{done} and tags.`detsweep.identity` = '{identity}'"
            for run in search_runs(client, experiments, query, n_per_page=1):
                _note(run, wanted, found)
                if identity in found:
                    break
    except MlflowException as error:
        raise unreachable(uri, error) from error
    return found


def _note(run: "Run", wanted: set[str], found: dict[str, FinishedRun]) -> None:
    tags = run.data.tags
    identity = tags.get("detsweep.identity", "")
    # A run without numbers would leave its row empty.
    if identity in wanted and identity not in found and run.data.metrics:
        sweep_id, _, job_id = tags["detsweep.job"].rpartition("/")
        title = run.info.run_name or job_id
        found[identity] = FinishedRun(run.info.run_id, sweep_id, job_id, title, tags.get("detsweep.folder", ""))


def read_run(uri: str, run_id: str) -> RunRecord:
    """Read one job by the store's id of its run.

    Raises:
        UserError: the store cannot be read, or has no such run.
    """
    client = open_client(uri)
    from mlflow.exceptions import MlflowException

    try:
        return run_record(client, client.get_run(run_id))
    except MlflowException as error:
        raise unreachable(uri, error) from error


def reused_runs(run: "Run") -> dict[str, str]:
    """Return job id to run id of the jobs of a sweep that earlier runs answer, from the tags of its own run."""
    found: dict[str, str] = {}
    for tag, value in run.data.tags.items():
        if tag == REUSED_TAG or tag.startswith(f"{REUSED_TAG}."):
            found |= json.loads(value)
    return found


def sweep_record(run: "Run") -> SweepRecord:
    """Return a sweep as its own run tells it."""
    tags = run.data.tags
    return SweepRecord(
        sweep_id=tags["detsweep.sweep"],
        name=run.info.run_name or tags["detsweep.sweep"],
        command=tuple(shlex.split(tags.get("detsweep.command", ""))),
        versions=_versions(tags),
        started_at=run.info.start_time / 1000,
        ended_at=None if run.info.end_time is None else run.info.end_time / 1000,
        hypothesis=json.loads(tags["detsweep.hypothesis"]) if "detsweep.hypothesis" in tags else None,
        looks=tuple(_json_in_parts(tags, LOOKS_TAG) or ()),
        search=_json_in_parts(tags, "detsweep.search"),
        warm=tuple(map(TrialRecord.read, _json_in_parts(tags, "detsweep.warm") or ())),
    )


def curves_of_sweeps(runs: Iterable["Run"]) -> dict[str, tuple[str, ...]]:
    """Return, by sweep, the metrics whose curves its search is read by beside the usual ones, from the sweeps' runs."""
    return {
        run.data.tags["detsweep.sweep"]: curves_wanted(_json_in_parts(run.data.tags, "detsweep.search")) for run in runs
    }


def run_record(client: "MlflowClient", run: "Run", more_curves: Sequence[str] = ()) -> RunRecord:
    """Return a job as its run tells it.

    Args:
        client: of the store.
        run: the job's.
        more_curves: metrics beside the usual ones whose curves are wanted.
    """
    tags = run.data.tags
    state = JobState(tags["detsweep.state"])
    params = dict(run.data.params)
    title = run.info.run_name or tags["detsweep.job"]
    params.pop("title", None)
    # A report is about what was measured when the job was trained; notes are told apart from it below.
    metrics = {name: y for name, y in run.data.metrics.items() if not name.startswith((NOTE, EVALUATED))}
    histories = {
        name: _read_history(client, run.info.run_id, name) for name in (*CURVES, *more_curves) if name in metrics
    }
    times = sorted({(entry.at, entry.epoch) for history in histories.values() for entry in history})
    return RunRecord(
        sweep_id=tags["detsweep.sweep"],
        job_id=tags["detsweep.job"].rpartition("/")[2],
        title=title,
        state=state,
        params=params,
        metrics=metrics,
        curves={name: fold_points(Point(one.epoch, one.value) for one in told) for name, told in histories.items()},
        failure="" if state in (JobState.COMPLETED, JobState.REUSED) else tags.get("detsweep.failure", ""),
        notes=tuple(tags.get("detsweep.notes", "").splitlines()),
        remarks=parse_remarks(tags.get("detsweep.remarks", "")),
        dataset=tags.get("detsweep.dataset", params.get("dataset", "")),
        fingerprint=tags.get("detsweep.dataset_fingerprint", ""),
        labelled=json.loads(tags["detsweep.labelled"]) if "detsweep.labelled" in tags else None,
        folder=Path(tags["detsweep.folder"]) if "detsweep.folder" in tags else None,
        noted=_read_noted(run),
        recipe=tags.get("detsweep.recipe", ""),
        trial=Trial.read(json.loads(tags[TRIAL_TAG])) if TRIAL_TAG in tags else None,
        times={point.epoch: point.value for point in fold_points(Point(epoch, at) for at, epoch in times)},
        started_at=None if run.info.start_time is None else run.info.start_time / 1000,
        ended_at=None if run.info.end_time is None else run.info.end_time / 1000,
    )


def shown(uri: str) -> str:
    """Return an address without the password that it may hold."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


@dataclass(frozen=True)
class _Entry:
    """One value of a metric: its epoch, and when it was written, in wall-clock seconds since the epoch."""

    epoch: int
    value: float
    at: float


def _read_history(client: "MlflowClient", run_id: str, name: str) -> list[_Entry]:
    """Return a metric's values in the order of their writing."""
    history = client.get_metric_history(run_id, name)
    return [
        _Entry(entry.step, entry.value, entry.timestamp / 1000)
        for entry in sorted(history, key=lambda entry: (entry.timestamp, entry.step))
    ]


def _json_in_parts(tags: Mapping[str, str], name: str) -> Any:
    """Return what stands in a tag and, where it is long, in those numbered behind it; None where there is none."""
    parts: list[str] = []
    while (tag := f"{name}.{len(parts) + 1}" if parts else name) in tags:
        parts.append(tags[tag])
    return json.loads("".join(parts)) if parts else None


def _read_noted(run: "Run") -> tuple[Note, ...]:
    """Return the newest note of each key; the store tells neither when a text was noted nor what stood there before."""
    numbers = {name.removeprefix(NOTE): value for name, value in run.data.metrics.items() if name.startswith(NOTE)}
    texts = {
        tag.removeprefix(NOTED_TAG): text for tag, text in run.data.tags.items() if tag.startswith(NOTED_TAG) and text
    }
    # A text stands beside the numbers that were noted before it, which no store forgets.
    values: dict[str, float | str] = {**numbers, **texts}
    return tuple(Note(key, value, at=0.0, number=1) for key, value in values.items())


def _versions(tags: Mapping[str, Any]) -> dict[str, str]:
    prefix = "detsweep.version."
    return {tag.removeprefix(prefix): value for tag, value in sorted(tags.items()) if tag.startswith(prefix)}
