"""Feeds the tracking store from a thread of its own, in order, while training goes on whatever the store does.

Nothing waits in memory that a folder does not hold: what is to be told is kept as one entry per job, however often it
is asked for, and a controller that died is continued from what its jobs' ``shipped.json`` say.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.states import JobState
from sweeper.tracking.mlflow_store import RunRefusedError, StoreRefusesError, describe_error
from sweeper.tracking.outbox import JobEnd, JobTasks, Outbox, Pointer, TrackedJob
from sweeper.tracking.shipped import ShippedJob, count_unshipped
from sweeper.tracking.shipper import Shipper, TrackingSettings

RETRY_S = 5.0
# A store that has been away for so long when the sweep ends is not waited for: `detsweep sync` ships the rest.
PATIENCE_S = 20.0

__all__ = ["TrackedJob", "Tracker", "TrackingSettings"]


@dataclass(frozen=True)
class _Asked:
    """What the store is still to be told of the sweep's own run.

    Attributes:
        opening: its name and tags; None before `open_sweep`.
        tags: that came later.
        end: status, report and time, once it has ended.
    """

    opening: tuple[str, Mapping[str, str], float | None] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    end: tuple[str, Path, float | None] | None = None


class Tracker:
    """Ships a sweep to its tracking store; no method but `close` waits for anything.

    Args:
        settings: where to.
        sweep: the sweep's folder.
        warn: takes one line for the person at the terminal; called from the thread.
    """

    def __init__(self, settings: TrackingSettings, sweep: SweepFolder, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._sweep = sweep
        self._warn = warn
        self._shipper = Shipper(settings, sweep)
        self._outbox = Outbox()
        self._asked = _Asked()
        self._asking = threading.Lock()
        self._has_given_up = threading.Event()
        self._away_since_s: float | None = None
        self._n_records_at_warning: int | None = None
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        if settings.uri is not None:
            self._thread.start()

    def open_sweep(self, name: str, tags: Mapping[str, str], started_at: float | None = None) -> None:
        """Make the parent run; begun now, or when the sweep was, if that is past (seconds since the epoch)."""
        with self._asking:
            self._asked = replace(self._asked, opening=(name, tags, started_at))
        self._outbox.wake()

    def tag_sweep(self, tags: Mapping[str, str]) -> None:
        """Add tags to the parent run, or change them."""
        with self._asking:
            self._asked = replace(self._asked, tags={**self._asked.tags, **tags})
        self._outbox.wake()

    def start_job(self, job: TrackedJob) -> None:
        """Make the job's run, a child of the sweep's, or set it running again.

        A new run begins now, unless the job says otherwise: a store may be told much later.
        """
        began = job if job.started_at is not None else replace(job, started_at=time.time())
        self._put(JobTasks(job.folder, start=began))

    def ship(self, attempt: AttemptFolder) -> None:
        """Send the metric records that a job has written since the last time."""
        self._put(JobTasks(attempt.job, has_records=True))

    def end_job(self, attempt: AttemptFolder, state: JobState, failure: str | None) -> None:
        """Send what is left of a job, the result and files of its last attempt, and close the run."""
        self._put(JobTasks(attempt.job, has_records=True, end=JobEnd(attempt, state, failure)))

    def tell_job(self, job: TrackedJob, attempt: AttemptFolder, state: JobState, failure: str | None) -> None:
        """Do all three at once for a job that is not running; what the store has of it already is not sent again."""
        self._put(JobTasks(job.folder, job, has_records=True, end=JobEnd(attempt, state, failure)))

    def tell_answer(self, job: TrackedJob, pointer: Pointer) -> None:
        """Tell of a job that an earlier run answers: where that is, or else its numbers."""
        self._put(JobTasks(job.folder, job, pointer=pointer))

    def end_sweep(self, status: str, report: Path, ended_at: float | None = None) -> None:
        """Add the report to the parent run and close it, once all jobs are told; now, or at a time that is past."""
        with self._asking:
            self._asked = replace(self._asked, end=(status, report, ended_at))
        self._outbox.wake()

    def close(self, timeout_s: float) -> int:
        """Wait until all is shipped, the time is over or the store is known to be away.

        Returns:
            How many records (of metrics, and of ends) are left in the folders.
        """
        if self._settings.uri is None:
            return 0
        self._outbox.close()
        began_s = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - began_s < timeout_s:
            self._thread.join(0.1)
            away_since_s = self._away_since_s
            if away_since_s is not None and time.monotonic() - max(began_s, away_since_s) > PATIENCE_S:
                break
        self._has_given_up.set()
        return self._count_waiting()

    @property
    def experiment_id(self) -> str:
        """The store's own id of the experiment, once something has been shipped; empty before."""
        return self._shipper.experiment_id

    @property
    def run_ids(self) -> list[str]:
        """The store's ids of the jobs' runs, in the order in which the jobs were started."""
        return list(self._shipper.run_ids.values())

    def _put(self, tasks: JobTasks) -> None:
        if self._settings.uri is not None:
            self._outbox.put(tasks)

    def _count_waiting(self) -> int:
        waiting = self._outbox.waiting()
        n_records = sum(count_unshipped(tasks.folder, ShippedJob.read(tasks.folder)) for tasks in waiting)
        n_ends = sum(tasks.end is not None for tasks in waiting) + (self._asked.end is not None)
        return n_records + n_ends or len(waiting) or int(self._has_sweep_tasks())

    def _has_sweep_tasks(self) -> bool:
        asked = self._asked
        return asked.opening is not None or bool(asked.tags) or asked.end is not None

    def _work(self) -> None:
        while not self._has_given_up.is_set() and self._outbox.wait(self._has_sweep_tasks):
            try:
                self._step()
            except StoreRefusesError as error:
                kept = f"records wait in {self._sweep.path}; once that is mended: detsweep sync {self._sweep.path}"
                self._say(error, f"it is not tried again, training goes on, {kept}")
                return
            # Whatever else a store, a driver or a network raises must not reach training: told once, and tried again.
            except Exception as error:
                self._note_away(error)
                self._outbox.pause(RETRY_S)
            else:
                self._note_answer()

    def _step(self) -> None:
        """Carry one thing out; what fails stays where it is."""
        asked = self._asked
        if asked.opening is not None:
            self._shipper.open_sweep(*asked.opening)
            with self._asking:
                self._asked = replace(self._asked, opening=None)
        elif asked.tags:
            self._shipper.tag_sweep(asked.tags)
            with self._asking:
                newer = {key: value for key, value in self._asked.tags.items() if asked.tags.get(key) != value}
                self._asked = replace(self._asked, tags=newer)
        elif (tasks := self._outbox.take()) is not None:
            try:
                self._shipper.tell(tasks)
            except (RunRefusedError, ValueError, TypeError) as error:
                self._outbox.hold(tasks)
                self._say(error, f"job {tasks.folder.job_id} is no longer shipped, its records wait in its folder")
            except BaseException:
                self._outbox.give_back(tasks)
                raise
            else:
                self._outbox.done()
        elif asked.end is not None:
            self._shipper.end_sweep(*asked.end)
            with self._asking:
                self._asked = replace(self._asked, end=None)

    def _note_away(self, error: Exception) -> None:
        if self._away_since_s is None:
            self._away_since_s = time.monotonic()
        if self._n_records_at_warning is None:
            self._n_records_at_warning = self._shipper.n_records
            self._say(error, f"training goes on, records wait in {self._sweep.path}")

    def _note_answer(self) -> None:
        self._away_since_s = None
        if self._n_records_at_warning is not None and not self._outbox.waiting():
            n_records = self._shipper.n_records - self._n_records_at_warning
            self._n_records_at_warning = None
            self._warn(f"tracking store is back; {n_records} records shipped")

    def _say(self, error: Exception, what_then: str) -> None:
        self._warn(f"tracking store {describe_error(error, self._settings.uri or '')}; {what_then}")
