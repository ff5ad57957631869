"""What waits to be told to the tracking store: one entry per job, in the order in which the jobs were first named."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runners.contract.answers import Answer
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.states import JobState


@dataclass(frozen=True)
class TrackedJob:
    """What the store is told about a job when it starts.

    Attributes:
        folder: the job's folder.
        title: its name.
        params: its columns.
        tags: what is told of it beside them.
        dataset: name, fingerprint and place of its data set.
        started_at: when its first attempt was started, if that is past; wall-clock seconds since the epoch.
    """

    folder: JobFolder
    title: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: tuple[str, str, str]
    started_at: float | None = None


@dataclass(frozen=True)
class Pointer:
    """The run that answers a job, as the journal and the sweep's folder name it.

    Attributes:
        run_id: its id, in the store that it was found in.
        where: the job that was trained, ``<sweep id>/<job id>``; empty where that is not known.
        answer: its numbers; None where the sweep has kept none.
    """

    run_id: str
    where: str
    answer: Answer | None


@dataclass(frozen=True)
class JobEnd:
    """How a job stands when its run is closed.

    Attributes:
        attempt: its last one.
        state: of the job.
        failure: why, if something went wrong.
    """

    attempt: AttemptFolder
    state: JobState
    failure: str | None


@dataclass(frozen=True)
class JobTasks:
    """What is to be told of one job, in this order.

    Attributes:
        folder: the job's folder.
        start: its run is to be opened.
        has_records: its attempts may have written.
        end: its run is to be closed.
        pointer: it has no run of its own: the run that answers it.
    """

    folder: JobFolder
    start: TrackedJob | None = None
    has_records: bool = False
    end: JobEnd | None = None
    pointer: Pointer | None = None

    def followed_by(self, later: "JobTasks") -> "JobTasks":
        """Return both as one; a job that starts again has not ended, whatever was to be told of that before."""
        end = later.end if later.start is not None or later.end is not None else self.end
        return JobTasks(
            self.folder,
            later.start or self.start,
            self.has_records or later.has_records,
            end,
            later.pointer or self.pointer,
        )


class Outbox:
    """The entries; put in by the controller, taken out one at a time by the thread that ships."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, JobTasks] = OrderedDict()
        self._held: dict[str, JobTasks] = {}
        self._taken: JobTasks | None = None
        self._is_closed = False

    def put(self, tasks: JobTasks) -> None:
        """Add what is to be told of a job to what waits already."""
        with self._changed:
            job_id = tasks.folder.job_id
            place = self._held if job_id in self._held else self._waiting
            place[job_id] = place[job_id].followed_by(tasks) if job_id in place else tasks
            self._changed.notify_all()

    def wake(self) -> None:
        """Have `wait` look again at what else there may be to do."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Say that nothing will be put in any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def wait(self, has_more: Callable[[], bool]) -> bool:
        """Wait until there is something to do; False once it is closed and there is nothing.

        Args:
            has_more: whether there is something to do beside what waits here.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or has_more() or self._is_closed)
            return bool(self._waiting) or has_more()

    def pause(self, seconds: float) -> None:
        """Wait for a while; no longer than until it is closed, if that happens meanwhile."""
        with self._changed:
            was_closed = self._is_closed
            self._changed.wait_for(lambda: self._is_closed and not was_closed, seconds)

    def take(self) -> JobTasks | None:
        """Take the oldest entry, to be settled by `done`, `give_back` or `hold`; None if there is none."""
        with self._changed:
            self._taken = self._waiting.popitem(last=False)[1] if self._waiting else None
            return self._taken

    def done(self) -> None:
        """Say that what was taken has been told."""
        with self._changed:
            self._taken = None

    def give_back(self, tasks: JobTasks) -> None:
        """Put an entry back in front of all others; what came in meanwhile follows it."""
        with self._changed:
            self._taken = None
            job_id = tasks.folder.job_id
            later = self._waiting.get(job_id)
            self._waiting[job_id] = tasks if later is None else tasks.followed_by(later)
            self._waiting.move_to_end(job_id, last=False)

    def hold(self, tasks: JobTasks) -> None:
        """Lay an entry, and all that is still to come for its job, aside for good."""
        with self._changed:
            self._taken = None
            later = self._waiting.pop(tasks.folder.job_id, None)
            self._held[tasks.folder.job_id] = tasks if later is None else tasks.followed_by(later)

    def waiting(self) -> list[JobTasks]:
        """Return all that has not been told, what is being told now and what was laid aside included."""
        with self._changed:
            taken = [] if self._taken is None else [self._taken]
            return [*taken, *self._waiting.values(), *self._held.values()]
