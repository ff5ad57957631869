"""The one place that writes to MLflow. Every call can be repeated without changing what the store holds."""

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.redaction import without_password

N_METRICS_PER_BATCH = 1000
MAX_PARAM_CHARS = 6000
N_DIGEST_CHARS = 36

# Tags. A run is looked up by its identity before one is made: the sweep's id, or "<sweep id>/<job id>".
IDENTITY, KIND, SWEEP, JOB, STATE = "detsweep.id", "detsweep.kind", "detsweep.sweep", "detsweep.job", "detsweep.state"


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


class MlflowStore:
    """An open tracking store.

    Args:
        uri: ``sqlite:///...`` or ``http(s)://...``.
        experiment: the experiment's name; made if missing.
        artifacts: where a new experiment of a SQLite store keeps files; None leaves it to the server.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # An unreachable server is tried again by the outbox; MLflow's own defaults would block for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient

        # Its import sets up its own logging; what it tells of migrations would break the live table.
        for noisy in ("alembic", "mlflow", "mlflow.store.db.utils"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            raise ValueError(
                f"experiment '{experiment}' in the tracking store is deleted; restore it, or set tracking.experiment"
            )
        location = artifacts.as_uri() if artifacts else None
        self.experiment_id: str = found.experiment_id if found else self._client.create_experiment(experiment, location)

    def open_run(self, identity: str, name: str, tags: Mapping[str, str]) -> str:
        """Return the id of the run of this identity; make it, or set it running again, as need be."""
        found = self._client.search_runs([self.experiment_id], f"tags.`{IDENTITY}` = '{identity}'", max_results=1)
        if found:
            run_id: str = found[0].info.run_id
            self._client.update_run(run_id, status="RUNNING")
        else:
            run_id = self._client.create_run(self.experiment_id, tags={IDENTITY: identity}, run_name=name).info.run_id
        self.set_tags(run_id, tags)
        return run_id

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags in one call."""
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Log parameters; the same again changes nothing."""
        from mlflow.entities import Param

        logged = [Param(metric_name(key), value[:MAX_PARAM_CHARS]) for key, value in params.items()]
        self._client.log_batch(run_id, params=logged)

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Log metric points in batches."""
        from mlflow.entities import Metric

        for start in range(0, len(points), N_METRICS_PER_BATCH):
            batch = points[start : start + N_METRICS_PER_BATCH]
            metrics = [Metric(metric_name(p.name), p.value, int(p.at * 1000), p.step) for p in batch]
            self._client.log_batch(run_id, metrics=metrics)

    def log_dataset(self, run_id: str, name: str, fingerprint: str, source: str) -> None:
        """Name the data set that a run trained on, so that the UI can filter by it."""
        from mlflow.entities import Dataset, DatasetInput

        dataset = Dataset(name, fingerprint[:N_DIGEST_CHARS], "local", source)
        self._client.log_inputs(run_id, [DatasetInput(dataset, [])])

    def log_files(self, run_id: str, files: Iterable[tuple[Path, str | None]]) -> None:
        """Copy files, or whole folders, into a run's artifacts, each under a folder or at the top."""
        for path, folder in files:
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), folder)
            elif path.exists():
                self._client.log_artifact(run_id, str(path), folder)

    def end_run(self, run_id: str, status: str, at: float) -> None:
        """Close a run: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self._client.set_terminated(run_id, status=status, end_time=int(at * 1000))


def describe_error(error: BaseException, uri: str) -> str:
    """Return one line on what the store refused, without the password that an address may hold."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    return without_password(f"{uri}: {text[0]}")
