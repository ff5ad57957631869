"""Finds single jobs in a tracking store by what people call them, and fetches what a store keeps of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports.mlflow_runs import open_client, search_runs, unreachable
from runners.contract.folder import JobFolder

if TYPE_CHECKING:
    from mlflow.entities import Run

_JOB = "detsweep.job"


@dataclass(frozen=True)
class StoredJob:
    """A job as a store knows it.

    Attributes:
        run_id: the store's own id.
        key: ``<sweep id>/<job id>``.
        title: its name.
        folder: where it was trained; it may lie on another machine, or be gone.
        experiment: the name of the experiment that it stands in.
    """

    run_id: str
    key: str
    title: str
    folder: str
    experiment: str


def find_stored_jobs(uri: str, name: str) -> Sequence[StoredJob]:
    """Return the jobs of a store that answer to a name: a run id, ``<sweep id>/<job id>``, or a title.

    All experiments are looked through; the newest comes first.

    Raises:
        UserError: there is no such store, or it cannot be read.
    """
    client = open_client(uri)
    from mlflow.exceptions import MlflowException

    try:
        experiments = {entry.experiment_id: entry.name for entry in client.search_experiments()}
        try:
            runs = [client.get_run(name)] if _is_run_id(name) else []
        except MlflowException:
            runs = []
        # A quote would end the name within the query; no title of ours holds one.
        if not runs and "'" not in name:
            for query in (f"tags.`{_JOB}` = '{name}'", f"attributes.run_name = '{name}'"):
                runs = list(search_runs(client, list(experiments), query))
                if runs:
                    break
    except MlflowException as error:
        raise unreachable(uri, error) from error
    return [_stored_job(run, experiments) for run in runs if _JOB in run.data.tags]


def fetch_job(uri: str, run_id: str, downloads: Path) -> JobFolder:
    """Download what a store keeps of a job into ``<downloads>/<run id>``, made if missing.

    Raises:
        UserError: the store cannot be read, or has no such run.
    """
    client = open_client(uri)
    from mlflow.exceptions import MlflowException

    folder = downloads / run_id
    folder.mkdir(parents=True, exist_ok=True)
    try:
        client.download_artifacts(run_id, "", str(folder))
    except MlflowException as error:
        raise unreachable(uri, error) from error
    return JobFolder(folder)


def _stored_job(run: "Run", experiments: dict[str, str]) -> StoredJob:
    tags = run.data.tags
    return StoredJob(
        run.info.run_id,
        tags[_JOB],
        run.info.run_name or tags[_JOB],
        tags.get("detsweep.folder", ""),
        experiments.get(run.info.experiment_id, ""),
    )


def _is_run_id(name: str) -> bool:
    return len(name) == 32 and all(character in "0123456789abcdef" for character in name)
