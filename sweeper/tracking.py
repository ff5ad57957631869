"""The outbox: one thread ships what the job folders hold to the tracking store, in order, while training goes on.

Nothing is kept in memory that a folder does not hold: an outbox that died is continued from ``shipped.json``.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runners.contract.failpoints import failpoint
from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.jsonfile import read_json, write_json
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.states import JobState
from sweeper.mlflow_store import JOB, KIND, STATE, SWEEP, MlflowStore, Point, describe_error

RETRY_S = 5.0
STATUS = {
    JobState.COMPLETED: "FINISHED",
    JobState.PRUNED: "KILLED",
    JobState.PAUSED: "KILLED",
    JobState.CANCELLED: "KILLED",
}


@dataclass(frozen=True)
class TrackingSettings:
    """The setting `tracking`.

    Attributes:
        uri: the store; None for ``tracking=off``.
        experiment: name of the MLflow experiment.
        artifacts: where a new experiment of a SQLite store keeps files; None for a server.
        log_checkpoints: copy the best weights into the run's artifacts as well.
    """

    uri: str | None
    experiment: str
    artifacts: Path | None
    log_checkpoints: bool = False


@dataclass(frozen=True)
class TrackedJob:
    """What the store is told about a job when it starts."""

    folder: JobFolder
    title: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: tuple[str, str, str]


@dataclass(frozen=True)
class Shipped:
    """How far the records of one attempt have reached the store.

    Attributes:
        offset: bytes of its metrics.
        steps: the last step of each metric among them.
    """

    offset: int = 0
    steps: Mapping[str, int] = field(default_factory=dict)


class Tracker:
    """Ships a sweep to its tracking store, in a thread of its own.

    Args:
        settings: where to.
        sweep: the sweep's folder.
        warn: takes one line for the person at the terminal.
    """

    def __init__(self, settings: TrackingSettings, sweep: SweepFolder, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._sweep = sweep
        self._warn = warn
        self._store: MlflowStore | None = None
        self._runs: dict[str, str] = {}
        earlier = read_json(sweep.shipped) if sweep.shipped.exists() else {}
        self._shipped = {key: Shipped(**entry) for key, entry in earlier.items()}
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._has_warned = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._parent = ""
        if settings.uri is not None:
            self._thread.start()

    def open_sweep(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Make the parent run."""

        def task() -> None:
            self._parent = self._open().open_run(
                self._sweep.sweep_id, name, {KIND: "sweep", SWEEP: self._sweep.sweep_id, **tags}
            )
            self._open().log_params(self._parent, params)

        self._put(task)

    def start_job(self, job: TrackedJob) -> None:
        """Make the job's run, a child of the sweep's."""

        def task() -> None:
            key = f"{self._sweep.sweep_id}/{job.folder.job_id}"
            identity = {"mlflow.parentRunId": self._parent, KIND: "job", SWEEP: self._sweep.sweep_id, JOB: key}
            run_id = self._open().open_run(key, job.title, {**identity, **job.tags, STATE: JobState.RUNNING.value})
            self._runs[job.folder.job_id] = run_id
            self._open().log_params(run_id, job.params)
            self._open().log_dataset(run_id, *job.dataset)

        self._put(task)

    def ship(self, attempt: AttemptFolder) -> None:
        """Send the metric records that an attempt has written since the last time."""
        self._put(lambda: self._ship(attempt))

    def end_job(self, attempt: AttemptFolder, state: JobState, failure: str | None) -> None:
        """Send what is left of an attempt, its result and its files, and close the run."""

        def task() -> None:
            self._ship(attempt)
            run_id, job = self._runs[attempt.job.job_id], attempt.job
            result = AttemptResult.read(attempt)
            if result is not None:
                step = result.best_epoch or 0
                self._open().log_points(
                    run_id, [Point(k, v, step, result.finished_at) for k, v in result.metrics.items()]
                )
            self._open().log_files(run_id, self._files(attempt, job, result))
            notes = "\n".join(result.notes) if result else ""
            told = {STATE: state.value, "detsweep.failure": failure or "", "detsweep.notes": notes}
            self._open().set_tags(run_id, {key: value for key, value in told.items() if value})
            self._open().end_run(run_id, STATUS.get(state, "FAILED"), result.finished_at if result else time.time())

        self._put(task)

    def _files(
        self, attempt: AttemptFolder, job: JobFolder, result: AttemptResult | None
    ) -> Sequence[tuple[Path, str | None]]:
        files: list[tuple[Path, str | None]] = [
            (job.config, None),
            (job.mmdet_config, None),
            (attempt.log, None),
            (attempt.result, None),
        ]
        files.append((job.predictions, "predictions"))
        if self._settings.log_checkpoints and result and result.checkpoint:
            files.append((job.path / result.checkpoint, "checkpoints"))
        return files

    def end_sweep(self, status: str, report: Path) -> None:
        """Add the report to the parent run and close it."""

        def task() -> None:
            self._open().log_files(self._parent, [(report, "report")])
            self._open().end_run(self._parent, status, time.time())

        self._put(task)

    def close(self, timeout_s: float) -> int:
        """Wait until all is shipped, or the time is over; return how many tasks are left in the folders."""
        if self._settings.uri is None:
            return 0
        self._tasks.put(None)
        self._thread.join(timeout_s)
        self._closing.set()
        return self._tasks.unfinished_tasks if self._thread.is_alive() else 0

    @property
    def experiment_id(self) -> str:
        """The store's own id of the experiment, once something has been shipped; empty before."""
        return self._store.experiment_id if self._store else ""

    @property
    def run_ids(self) -> list[str]:
        """The store's ids of the jobs' runs, in the order in which the jobs were started."""
        return list(self._runs.values())

    def _put(self, task: Callable[[], None]) -> None:
        if self._settings.uri is not None:
            self._tasks.put(task)

    def _open(self) -> MlflowStore:
        if self._store is None:
            assert self._settings.uri is not None
            self._store = MlflowStore(self._settings.uri, self._settings.experiment, self._settings.artifacts)
        return self._store

    def _ship(self, attempt: AttemptFolder) -> None:
        key = f"{attempt.job.job_id}/{attempt.number}"
        shipped = self._shipped.get(key, Shipped())
        # What a lost attempt had recorded beyond its last checkpoint is recorded again by the next one, and told once.
        told = self._told_by_earlier(attempt)
        points: list[Point] = []
        offset = shipped.offset
        steps = dict(shipped.steps)
        for record, behind in read_metrics(attempt, offset):
            for name, value in record.values.items():
                if record.step > told.get(name, 0):
                    points.append(Point(name, value, record.step, record.at))
                steps[name] = record.step
            offset = behind
        if offset == shipped.offset:
            return
        failpoint("outbox.send.before")
        self._open().log_points(self._runs[attempt.job.job_id], points)
        failpoint("outbox.send.after")
        self._shipped[key] = Shipped(offset, steps)
        write_json(self._sweep.shipped, {key: asdict(entry) for key, entry in self._shipped.items()})

    def _told_by_earlier(self, attempt: AttemptFolder) -> Counter[str]:
        """Return the last step of each metric that earlier attempts of the job have shipped."""
        told: Counter[str] = Counter()
        for number in range(1, attempt.number):
            told |= Counter(self._shipped.get(f"{attempt.job.job_id}/{number}", Shipped()).steps)
        return told

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                self._tasks.task_done()
                return
            while not self._run(task):
                if self._closing.wait(RETRY_S):
                    return
            self._tasks.task_done()

    def _run(self, task: Callable[[], None]) -> bool:
        """Carry a task out; False if the store did not take it and it has to be tried again."""
        try:
            task()
        # Whatever a store, a driver or a network raises must not reach training: it is told once, and tried again.
        except Exception as error:
            if not self._has_warned:
                self._has_warned = True
                where = describe_error(error, self._settings.uri or "")
                self._warn(f"tracking store {where}; training goes on, records wait in {self._sweep.path}")
            return False
        return True
