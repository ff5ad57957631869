"""Adds to the run of a job that has ended: what was measured or noted of it afterwards."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweeper.tracking.mlflow_store import MlflowStore, Point, RunRefusedError, StoreRefusesError, describe_error
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.store_probe import StoreAwayError, database_file


@dataclass(frozen=True)
class LoggedRun:
    """The run that is added to.

    Attributes:
        tracking: the store; without an address nothing is logged.
        key: what the run carries as ``detsweep.id``: ``<sweep id>/<job id>``.
        run_id: the store's own id, where that is known.
    """

    tracking: TrackingSettings
    key: str
    run_id: str | None = None


@dataclass(frozen=True)
class Addition:
    """What is added.

    Attributes:
        metrics: name to value; each replaces what the run has under that name.
        files: (file or folder, folder among the artifacts or None for the top).
        tags: name to text.
        at: wall-clock seconds since the epoch, of the metrics; the same sent twice stays one point.
        points: values with a step and a time of their own.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Iterable[tuple[Path, str | None]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    points: Sequence[Point] = ()


@dataclass(frozen=True)
class LogOutcome:
    """What came of it.

    Attributes:
        run_id: the run that has received everything; None if none has.
        problem: why not, in one line; empty where the run is not tracked at all.
    """

    run_id: str | None
    problem: str = ""


def log_to_run(run: LoggedRun, addition: Addition) -> LogOutcome:
    """Add to a run; doing it again changes nothing. The run's own status and end stay as they are.

    A store that is away, or refuses, is told of in the outcome: what was to be added stands in a folder anyway.
    """
    uri = run.tracking.uri
    if uri is None:
        return LogOutcome(None)
    database = database_file(uri)
    if database is not None and not database.exists():
        # It would be made, and hold nothing that could be added to.
        return LogOutcome(None, describe_error(ValueError("there is no such database"), uri))
    try:
        store = MlflowStore(uri, run.tracking.experiment, run.tracking.artifacts)
        run_id = run.run_id or store.find_run(run.key)
        if run_id is None:
            return LogOutcome(
                None, f"{describe_error(ValueError(f'no run of {run.key}'), uri)}; detsweep sync makes it"
            )
        points = [Point(name, value, 0, addition.at) for name, value in addition.metrics.items()]
        store.log_points(run_id, [*points, *addition.points])
        store.log_files(run_id, addition.files)
        if addition.tags:
            store.set_tags(run_id, addition.tags)
    except (StoreAwayError, StoreRefusesError, RunRefusedError) as error:
        return LogOutcome(None, describe_error(error, uri))
    return LogOutcome(run_id)


def log_new_run(
    tracking: TrackingSettings, key: str, title: str, params: Mapping[str, str], addition: Addition
) -> LogOutcome:
    """Make a run that no sweep trained (or find it again by its key), add to it, and close it.

    Args:
        tracking: the store.
        key: its ``detsweep.id``.
        title: its name.
        params: its columns.
        addition: with ``detsweep.kind`` among its tags.
    """
    uri = tracking.uri
    if uri is None:
        return LogOutcome(None)
    try:
        store = MlflowStore(uri, tracking.experiment, tracking.artifacts)
        opened = store.open_run(key, title, addition.tags)
        store.log_params(opened.run_id, params)
        store.log_points(opened.run_id, [Point(k, v, 0, addition.at) for k, v in addition.metrics.items()])
        store.log_files(opened.run_id, addition.files)
        store.end_run(opened.run_id, "FINISHED", addition.at)
    except (StoreAwayError, StoreRefusesError, RunRefusedError) as error:
        return LogOutcome(None, describe_error(error, uri))
    return LogOutcome(opened.run_id)
