"""Tells the tracking store one thing after the other; each of them can be told again and changes nothing then."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.contract.evaluations import EvaluationResult, run_metrics
from runners.contract.failpoints import failpoint
from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.metrics import note_metric
from runners.contract.notes import Note, newest_notes, read_notes
from runners.contract.records import AttemptResult
from runners.contract.remarks import read_remarks, remark_lines
from runners.contract.states import JobState
from sweeper.tracking.answers import reused_tags, tell_answer
from sweeper.tracking.mlflow_store import JOB, KIND, STATE, SWEEP, MlflowStore, Point
from sweeper.tracking.outbox import JobEnd, JobTasks, TrackedJob
from sweeper.tracking.shipped import ShippedJob, count_unshipped, next_chunk
from sweeper.tracking.store_probe import database_file, probe_store

STATUS = {
    JobState.COMPLETED: "FINISHED",
    JobState.PRUNED: "KILLED",
    JobState.PAUSED: "KILLED",
    JobState.PLANNED: "KILLED",
    JobState.CANCELLED: "KILLED",
}
# Before the key of a text that a person noted; a number is the metric `note_metric`.
NOTED = "detsweep.note."
FAILURE, NOTES, REMARKS = "detsweep.failure", "detsweep.notes", "detsweep.remarks"


@dataclass(frozen=True)
class TrackingSettings:
    """The setting `tracking`.

    Attributes:
        uri: the store; None for ``tracking=off``.
        experiment: name of the MLflow experiment.
        artifacts: where a new experiment of a SQLite store keeps files; None for a server.
        log_checkpoints: copy the best weights into the run's artifacts as well.
        required: refuse to start where the store cannot be opened.
    """

    uri: str | None
    experiment: str
    artifacts: Path | None
    log_checkpoints: bool = False
    required: bool = False


def note_points(notes: Iterable[Note]) -> list[Point]:
    """Return the numbers that people noted as points; the newest of a key has the highest step."""
    numbers = ((note, note.value) for note in notes if isinstance(note.value, float))
    return [Point(note_metric(note.key), value, note.number, note.at) for note, value in numbers]


def note_tags(notes: Iterable[Note]) -> dict[str, str]:
    """Return the tags that hold what people noted in words; a key whose newest note is a number has an empty one."""
    newest = newest_notes(notes)
    return {f"{NOTED}{key}": note.value if isinstance(note.value, str) else "" for key, note in newest.items()}


class Shipper:
    """The way from a sweep's folders to its store.

    All methods raise what `MlflowStore` does, and can be called again then.

    Args:
        settings: where to; with a store.
        sweep: the sweep's folder.

    Attributes:
        is_open: whether the store has the sweep's own run.
        n_records: metric records that have arrived.
        run_ids: the store's ids of the jobs' runs, by job, in the order in which they were started.
    """

    def __init__(self, settings: TrackingSettings, sweep: SweepFolder) -> None:
        self._settings = settings
        self._sweep = sweep
        self._store: MlflowStore | None = None
        self._parent = ""
        self._statuses: Mapping[str, tuple[str, str]] = {}
        self._reused: dict[str, str] = {}
        self.n_records = 0
        self.run_ids: dict[str, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether the store has the sweep's own run."""
        return bool(self._parent)

    @property
    def experiment_id(self) -> str:
        """The store's own id of the experiment; empty before the store was opened."""
        return self._store.experiment_id if self._store else ""

    def open_sweep(self, name: str, tags: Mapping[str, str], started_at: float | None = None) -> None:
        """Make the sweep's own run, or set it running again."""
        store = self._open()
        told = {KIND: "sweep", SWEEP: self._sweep.sweep_id, **tags}
        run = store.open_run(self._sweep.sweep_id, name, told, started_at)
        if not run.is_new:
            self._statuses = store.find_statuses(self._sweep.sweep_id)
        self._parent = run.run_id

    def tag_sweep(self, tags: Mapping[str, str]) -> None:
        """Set tags of the sweep's own run."""
        self._open().set_tags(self._parent, tags)

    def end_sweep(self, status: str, report: Path, ended_at: float | None = None) -> None:
        """Add the report to the sweep's own run and close it; now, unless it had ended before."""
        self._open().log_files(self._parent, [(report, "report")])
        if self._reused:
            self._open().set_tags(self._parent, reused_tags(self._reused))
        self._open().end_run(self._parent, status, time.time() if ended_at is None else ended_at)

    def tell(self, tasks: JobTasks) -> None:
        """Tell what is to be told of a job.

        Raises:
            ValueError: its files are damaged, or its run was never opened; so does TypeError.
        """
        if tasks.start is not None and tasks.pointer is not None:
            run_id = tell_answer(self._open(), self._parent, self._sweep.sweep_id, tasks.start, tasks.pointer)
            if run_id is not None:
                self._reused[tasks.folder.job_id] = run_id
            return
        if tasks.start is not None:
            if self._is_told(tasks):
                return
            self._start(tasks.start)
        run_id = self.run_ids.get(tasks.folder.job_id)
        if run_id is None:
            raise ValueError("its run was never opened")
        self._ship(run_id, tasks.folder)
        if tasks.end is not None:
            self._end(run_id, tasks.end)

    def _open(self) -> MlflowStore:
        uri = self._settings.uri
        assert uri is not None
        if self._store is None:
            self._store = MlflowStore(uri, self._settings.experiment, self._settings.artifacts)
        elif database_file(uri) is not None:
            probe_store(uri)  # MLflow would wait four times as long for somebody else's lock before it says so
        return self._store

    def _is_told(self, tasks: JobTasks) -> bool:
        """Whether an earlier controller has told all of a job, and the store still has it."""
        end, shipped = tasks.end, ShippedJob.read(tasks.folder)
        if end is None or shipped.ended != (end.attempt.number, end.state.value):
            return False
        run_id, status = self._statuses.get(f"{self._sweep.sweep_id}/{tasks.folder.job_id}", ("", ""))
        if shipped.run_id not in (None, run_id) or len(read_notes(tasks.folder)) > shipped.n_notes:
            return False
        if status != STATUS.get(end.state, "FAILED") or count_unshipped(tasks.folder, shipped):
            return False
        self.run_ids[tasks.folder.job_id] = run_id
        return True

    def _start(self, job: TrackedJob) -> None:
        store = self._open()
        key = f"{self._sweep.sweep_id}/{job.folder.job_id}"
        own = {"mlflow.parentRunId": self._parent, KIND: "job", SWEEP: self._sweep.sweep_id, JOB: key}
        told = {**own, **job.tags, STATE: JobState.RUNNING.value, FAILURE: ""}
        run = store.open_run(key, job.title, told, job.started_at)
        # A new run holds nothing, whatever another store, or one that was deleted, has received.
        before = ShippedJob() if run.is_new else ShippedJob.read(job.folder)
        replace(before.to_run(run.run_id), ended=None).write(job.folder)
        self.run_ids[job.folder.job_id] = run.run_id
        store.log_params(run.run_id, job.params)
        store.log_dataset(run.run_id, *job.dataset)

    def _ship(self, run_id: str, job: JobFolder) -> None:
        shipped = ShippedJob.read(job)
        while (chunk := next_chunk(job, shipped)) is not None:
            failpoint("outbox.send.before")
            if chunk.points:
                self._open().log_points(run_id, chunk.points)
            failpoint("outbox.send.after")
            shipped = chunk.after
            shipped.write(job)
            self.n_records += chunk.n_records

    def _end(self, run_id: str, end: JobEnd) -> None:
        job, store = end.attempt.job, self._open()
        result = AttemptResult.read(end.attempt)
        if result is not None and result.attempt != end.attempt.number:
            result = None  # of a process that was not started for this attempt
        if result is not None and result.stands_for(end.state):
            step = result.best_epoch or 0
            store.log_points(run_id, [Point(k, v, step, result.finished_at) for k, v in result.metrics.items()])
        n_notes = self._tell_notes(run_id, job)
        self._tell_evaluations(run_id, job)
        store.log_files(run_id, self._files(end.attempt, job, result))
        told = {STATE: end.state.value, FAILURE: end.failure or "", REMARKS: remark_lines(read_remarks(job))}
        store.set_tags(run_id, {**told, NOTES: "\n".join(result.notes) if result else ""})
        store.end_run(run_id, STATUS.get(end.state, "FAILED"), result.finished_at if result else time.time())
        replace(ShippedJob.read(job), ended=(end.attempt.number, end.state.value), n_notes=n_notes).write(job)

    def _tell_notes(self, run_id: str, job: JobFolder) -> int:
        """Tell what people have noted of a job; return how many notes that are."""
        notes = read_notes(job)
        if notes:
            self._open().log_points(run_id, note_points(notes))
            self._open().set_tags(run_id, note_tags(notes))
        return len(notes)

    def _tell_evaluations(self, run_id: str, job: JobFolder) -> None:
        """Tell what was measured after the training: a store that the sweep has come to may know nothing of it."""
        for folder in job.all_evaluations():
            result = EvaluationResult.read(folder)
            # One that was never told to any store was not meant to be.
            if result is None or not folder.logged.is_file():
                continue
            metrics = run_metrics(folder.name, result.metrics)
            self._open().log_points(run_id, [Point(k, v, 0, result.finished_at) for k, v in metrics.items()])
            files = (folder.spec, folder.config, folder.metrics, folder.detections)
            self._open().log_files(run_id, [(path, f"evaluations/{folder.name}") for path in files])

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
