"""The one place that writes to MLflow. Every call can be repeated without changing what the store holds."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.failpoints import failpoint
from sweeper.stored.redaction import without_password
from sweeper.tracking.store_probe import StoreAwayError, database_file, one_at_a_time, probe_store

N_METRICS_PER_BATCH = 1000
MAX_PARAM_CHARS = 6000
MAX_TAG_CHARS = 8000
N_DIGEST_CHARS = 36
N_RUNS_PER_PAGE = 1000

# A request is tried once and for so long: it is the outbox that tries again, and MLflow's own patience is minutes.
REQUEST_S = 10
# Who asks is unknown or may not: no request will be answered otherwise.
UNAUTHORIZED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
# The request itself is wrong, or what it is about is gone: the same again would be answered the same.
REFUSED = (
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "ENDPOINT_NOT_FOUND",
    "NOT_FOUND",
    "FEATURE_DISABLED",
    "NOT_IMPLEMENTED",
)

# Tags. A run is looked up by its identity before one is made: the sweep's id, or "<sweep id>/<job id>".
IDENTITY, KIND, SWEEP, JOB, STATE = "detsweep.id", "detsweep.kind", "detsweep.sweep", "detsweep.job", "detsweep.state"


class StoreRefusesError(Exception):
    """The store will not take anything: it does not know us, or the experiment is gone."""


class RunRefusedError(Exception):
    """The store will not take this, and takes other things: the run was deleted, or a value is none that it knows."""


@dataclass(frozen=True)
class Point:
    """One value of one metric.

    Attributes:
        name: our metric name; characters that MLflow refuses are replaced on the way.
        value: finite.
        step: epoch or iteration.
        at: wall-clock seconds since the epoch, as recorded by the job: the same point sent twice stays one point.
    """

    name: str
    value: float
    step: int
    at: float


def metric_name(name: str) -> str:
    """Return a metric's name as MLflow takes it: letters of any script, digits and ``_ - . : / space``."""
    return re.sub(r"[^\w\-. :/]", "_", name)


@dataclass(frozen=True)
class OpenedRun:
    """A run that is open.

    Attributes:
        run_id: the store's id.
        is_new: whether it had to be made, so that nothing of it can have arrived before.
    """

    run_id: str
    is_new: bool


class MlflowStore:
    """An open tracking store.

    Args:
        uri: ``sqlite:///...`` or ``http(s)://...``.
        experiment: the experiment's name; made if missing.
        artifacts: where a new experiment of a SQLite store keeps files; None leaves it to the server.

    Raises:
        StoreAwayError: it does not answer; it may later. Every method raises it too.
        StoreRefusesError: it will not take anything from us. Every method raises it too.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path | None) -> None:
        probe_store(uri)
        prepare_mlflow()
        from mlflow import MlflowClient

        silence_mlflow()
        self._experiment = experiment
        database = database_file(uri)
        with one_at_a_time(database), self._translated():
            if database is not None and not database.stat().st_size:
                _make_database(database)
            self._client = MlflowClient(tracking_uri=uri)
            self.experiment_id: str = self._find_experiment() or self._make_experiment(artifacts)

    def _find_experiment(self) -> str | None:
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            raise StoreRefusesError(
                f"experiment '{self._experiment}' is deleted; restore it, or name another with tracking.experiment="
            )
        return str(found.experiment_id)

    def _make_experiment(self, artifacts: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return str(self._client.create_experiment(self._experiment, artifacts.as_uri() if artifacts else None))
        except MlflowException as error:
            # Another sweep of this second was faster.
            if error.error_code == "RESOURCE_ALREADY_EXISTS" and (found := self._find_experiment()):
                return found
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Sort MLflow's exceptions by what can be done about them."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            said = (str(error).strip().splitlines() or [error.error_code])[0]
            if error.error_code in UNAUTHORIZED:
                raise StoreRefusesError(f"access refused: {said}") from error
            is_open, is_refused = hasattr(self, "experiment_id"), error.error_code in REFUSED
            # A server tells of a deleted experiment as of an error of its own.
            if is_open and (is_refused or " 500 " in said):
                self._refuse_if_experiment_is_gone()
            if not is_refused:
                raise StoreAwayError(said) from error
            raise (RunRefusedError if is_open else StoreRefusesError)(said) from error
        except OSError as error:  # an artifact that could not be copied
            raise StoreAwayError(str(error)) from error

    def _refuse_if_experiment_is_gone(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            is_gone = self._client.get_experiment(self.experiment_id).lifecycle_stage == "deleted"
        except MlflowException as error:
            is_gone = error.error_code in REFUSED
        if is_gone:
            raise StoreRefusesError(f"experiment '{self._experiment}' was deleted; restore it")

    def open_run(self, identity: str, name: str, tags: Mapping[str, str], started_at: float | None = None) -> OpenedRun:
        """Return the run of this identity; make it, or set it running again, as need be.

        Args:
            identity: what tells it from all others.
            name: what people call it.
            tags: set, whether it is new or not.
            started_at: of a new one, wall-clock seconds since the epoch; now by default.

        Raises:
            RunRefusedError: the store will not take it.
        """
        with self._translated():
            query = f"tags.`{IDENTITY}` = '{identity}'"
            found = self._client.search_runs([self.experiment_id], query, max_results=1)
            if found:
                run_id: str = found[0].info.run_id
                self._client.update_run(run_id, status="RUNNING")
            else:
                since = None if started_at is None else int(started_at * 1000)
                made = self._client.create_run(self.experiment_id, since, tags={IDENTITY: identity}, run_name=name)
                run_id = made.info.run_id
        self.set_tags(run_id, tags)
        return OpenedRun(run_id, is_new=not found)

    def find_run(self, identity: str) -> str | None:
        """Return the id of the run of this identity; None if there is none."""
        with self._translated():
            found = self._client.search_runs([self.experiment_id], f"tags.`{IDENTITY}` = '{identity}'", max_results=1)
        return found[0].info.run_id if found else None

    def has_run(self, run_id: str) -> bool:
        """Whether the store, in whichever experiment, has a run of this id that is not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code in REFUSED:
                return False
            raise StoreAwayError(str(error)) from error

    def find_statuses(self, sweep_id: str) -> dict[str, tuple[str, str]]:
        """Return id and status (``FINISHED`` ...) of each of a sweep's runs, by identity."""
        statuses: dict[str, tuple[str, str]] = {}
        token = None
        while True:
            with self._translated():
                query = f"tags.`{SWEEP}` = '{sweep_id}'"
                page: Any = self._client.search_runs(
                    [self.experiment_id], query, max_results=N_RUNS_PER_PAGE, page_token=token
                )
            for run in page:
                statuses[run.data.tags.get(IDENTITY, "")] = (run.info.run_id, run.info.status)
            token = page.token
            if not token:
                return statuses

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags in one call; an empty one takes back what it said before."""
        from mlflow.entities import RunTag

        with self._translated():
            self._client.log_batch(run_id, tags=[RunTag(key, value[:MAX_TAG_CHARS]) for key, value in tags.items()])

    def set_experiment_tag(self, key: str, value: str) -> None:
        """Set a tag of the experiment itself."""
        with self._translated():
            self._client.set_experiment_tag(self.experiment_id, key, value)

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Log parameters; the same again changes nothing."""
        from mlflow.entities import Param

        logged = [Param(metric_name(key), value[:MAX_PARAM_CHARS]) for key, value in params.items()]
        with self._translated():
            self._client.log_batch(run_id, params=logged)

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Log metric points in batches."""
        from mlflow.entities import Metric

        for start in range(0, len(points), N_METRICS_PER_BATCH):
            batch = points[start : start + N_METRICS_PER_BATCH]
            metrics = [Metric(metric_name(p.name), p.value, int(p.at * 1000), p.step) for p in batch]
            with self._translated():
                self._client.log_batch(run_id, metrics=metrics)

    def log_dataset(self, run_id: str, name: str, fingerprint: str, source: str) -> None:
        """Name the data set that a run trained on, so that the UI can filter by it."""
        from mlflow.entities import Dataset, DatasetInput

        dataset = Dataset(name, fingerprint[:N_DIGEST_CHARS], "local", source)
        with self._translated():
            self._client.log_inputs(run_id, [DatasetInput(dataset, [])])

    def log_files(self, run_id: str, files: Iterable[tuple[Path, str | None]]) -> None:
        """Copy files, or whole folders, into a run's artifacts, each under a folder or at the top."""
        with self._translated():
            for path, folder in files:
                if path.is_dir():
                    self._client.log_artifacts(run_id, str(path), folder)
                elif path.exists():
                    self._client.log_artifact(run_id, str(path), folder)

    def end_run(self, run_id: str, status: str, at: float) -> None:
        """Close a run: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        with self._translated():
            self._client.set_terminated(run_id, status=status, end_time=int(at * 1000))


def _make_database(path: Path) -> None:
    """Make a new database under another name first: half of one, left by a kill, could never be opened again."""
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    making = path.with_name(f".{path.name}.making")
    for leftover in (making, making.with_name(f"{making.name}-journal")):
        leftover.unlink(missing_ok=True)
    # SQLite itself would make a file that a group may read and not write.
    os.close(os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    store = SqlAlchemyStore(f"sqlite:///{making}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    store.engine.dispose()
    failpoint("database.rename.before")
    making.replace(path)


def prepare_mlflow() -> None:
    """Set what MLflow reads from the environment: no telemetry, no patience of its own, no lines into a live table."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_S))


def silence_mlflow() -> None:
    """Keep MLflow's own messages off the live table: all that matters in them comes as an exception as well."""
    # MLflow's import sets up its own logging; so this has no effect before it.
    for noisy in ("alembic", "mlflow", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def describe_error(error: BaseException, uri: str) -> str:
    """Return one line on what the store refused, without the password that an address may hold."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    # MLflow quotes the address as it was given.
    return without_password(f"{uri}: {said}")
