"""``detsweep sync``: what a sweep's folders hold and its tracking store does not is shipped now."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.answers import Answer
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from sweeper.control.left import LeftSweep, end_what_was_left_running, read_left
from sweeper.control.looks import look_tags
from sweeper.control.stored_sweep import StoredSweep, asked_sweep, read_stored
from sweeper.planning.plan import PlannedJob
from sweeper.runs.evaluation_log import ship_waiting
from sweeper.stored.journal import Journal
from sweeper.tracking.outbox import Pointer
from sweeper.tracking.tracked_job import tracked_job
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.tracking.tracking_store import sweep_tags, tracking_settings, version_tags
from sweeper.verbs.report import open_console

# A person waits for this one: longer than for the end of a sweep, and not for ever.
LIMIT_S = 600.0


def run_sync(words: Sequence[str]) -> int:
    """Ship a sweep that no controller owns; shipping it twice changes nothing.

    Args:
        words: the sweep's path, id or name (default: the newest), ``output_dir=`` to look for it, ``tracking.uri=`` if
            the store has moved.

    Returns:
        0 if the store has everything, 1 if records are still waiting.

    Raises:
        UserError: no such sweep, its controller lives and ships by itself, or it has no store to ship to.
    """
    sweep, changes = asked_sweep("sync", words)
    console = open_console()
    with Journal(sweep.journal) as journal:
        stored = read_stored(sweep, changes)
        settings = tracking_settings(stored.plan.settings["tracking"], sweep.path.parent)
        if settings.uri is None:
            raise UserError(f"tracking store in {sweep.sweep}: none, tracking=off; name one with tracking.uri=")
        left = read_left(sweep)
        end_what_was_left_running(sweep, left, journal, stored.plan.settings["max_losses"])
        n_waiting = ship_stored(sweep, stored, left, settings, console, LIMIT_S)
    return 1 if n_waiting else 0


def ship_stored(
    sweep: SweepFolder,
    stored: StoredSweep,
    left: LeftSweep,
    settings: TrackingSettings,
    console: Console,
    limit_s: float,
) -> int:
    """Ship everything of a sweep that does not run, and close its runs; say what came of it.

    Args:
        sweep: its folder, whose journal the caller owns.
        stored: its plan.
        left: where its jobs stand.
        settings: the store.
        console: where to print.
        limit_s: how long to wait for the store.

    Returns:
        How many records are still waiting.
    """

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    tracker = Tracker(settings, sweep, say)
    tags = version_tags(left.versions)
    tags_of_sweep = sweep_tags(stored.command, stored.plan.settings, stored.plan.axes.values)
    tracker.open_sweep(sweep.sweep_id, {**tags, **tags_of_sweep, **look_tags(sweep)}, left.started_at)
    ship_left(tracker, stored.plan.jobs, sweep, left)
    _ship_answers(tracker, stored.plan.jobs, sweep, left)
    is_done = all(state.is_terminal for state in left.states.values())
    tracker.end_sweep("FINISHED" if is_done else "KILLED", sweep.report, left.ended_at)
    # A store that is away is not asked again for each evaluation.
    n_waiting = tracker.close(limit_s) or ship_waiting(sweep, settings, say)
    told = f"{n_waiting} records are still waiting" if n_waiting else "the tracking store has everything"
    say(f"sweep {sweep.path}: {told}")
    return n_waiting


def ship_left(tracker: Tracker, jobs: Sequence[PlannedJob], sweep: SweepFolder, left: LeftSweep) -> None:
    """Ship what earlier controllers of a sweep left in its folders; what the store has already is not sent again.

    Args:
        tracker: with the sweep's own run open.
        jobs: the plan.
        sweep: its folder.
        left: where the jobs stand; none of them is running.
    """
    tags = version_tags(left.versions)  # as it was when they were trained, whatever is installed by now
    for job in jobs:
        attempts = sweep.job(job.job_id).all_attempts()
        if not attempts:
            continue
        stands = left.jobs[job.job_id]
        told = tracked_job(job, sweep.job(job.job_id), tags, stands.started_at)
        tracker.tell_job(told, attempts[-1], stands.state, stands.reason)


def _ship_answers(tracker: Tracker, jobs: Sequence[PlannedJob], sweep: SweepFolder, left: LeftSweep) -> None:
    """Tell of the jobs that earlier runs answer: the store may be another than the one that has those runs."""
    tags = version_tags(left.versions)
    for job in jobs:
        reused = left.jobs[job.job_id].reused if job.job_id in left.jobs else {}
        if not reused:
            continue
        folder = sweep.job(job.job_id)
        answer, there = Answer.read(folder), JobFolder(Path(reused["folder"]))
        where = answer.where if answer else f"{there.path.parent.parent.name}/{there.job_id}"
        tracker.tell_answer(tracked_job(job, folder, tags), Pointer(reused["run_id"], where, answer))
