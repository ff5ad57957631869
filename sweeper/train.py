"""A written sweep is run to its report, and every run of it shipped to the tracking store."""

import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from runners.contract.folder import SweepFolder
from sweeper.controller import Controller
from sweeper.executors.base import Executor
from sweeper.journal import Journal
from sweeper.left import LeftSweep
from sweeper.plan import Plan
from sweeper.progress import Progress
from sweeper.report import print_report
from sweeper.slots import Slot
from sweeper.sync import ship_left
from sweeper.tracking import Tracker
from sweeper.tracking_store import page_lines, run_tags, tracking_settings

# How long the end of a sweep waits for a slow store; what has not arrived by then stays in the sweep's folder.
DRAIN_S = 120.0


def train_jobs(
    plan: Plan,
    folder: SweepFolder,
    journal: Journal,
    slots: Sequence[Slot],
    executor: Executor,
    command: Sequence[str],
    console: Console,
    left: LeftSweep | None = None,
) -> int:
    """Train what is left of a plan whose folders are written; print and write the report.

    Args:
        plan: the jobs and the sweep's settings.
        folder: the sweep's folder.
        journal: of this sweep, owned by the caller.
        slots: where jobs can run.
        executor: what runs them.
        command: the command line that started the sweep.
        console: where to print.
        left: what an earlier controller of the sweep left, nothing of it running.

    Returns:
        The exit code.
    """
    console.print(Text(f"sweep {folder.path}: {plan.count} on {_describe(slots)}"), soft_wrap=True)
    settings = plan.settings
    tracking = tracking_settings(settings["tracking"], folder.path.parent)
    states = left.states if left else {}
    with Progress(console, {job.job_id: job.title for job in plan.jobs}, left=states) as progress:
        tracker = Tracker(tracking, folder, progress.say)
        tags = run_tags()
        axes = {f"axis/{key}": ",".join(map(str, values)) for key, values in plan.axes.values.items()}
        tracker.open_sweep(folder.sweep_id, axes, {**tags, "detsweep.command": shlex.join(command)})
        if left is not None:
            ship_left(tracker, plan.jobs, folder, left)
        controller = Controller(
            {job.job_id: job for job in plan.jobs},
            folder,
            slots,
            executor,
            journal,
            tracker,
            progress,
            n_workers=settings["n_workers"],
            batch_per_step=settings["batch_per_step"],
            tags=tags,
            left=states,
        )
        exit_code = controller.run()
    print_report(folder, console)
    tracker.end_sweep("FINISHED" if exit_code in (0, 1) else "KILLED", folder.report)
    n_waiting = tracker.close(DRAIN_S)
    if n_waiting:
        told = f"note: {n_waiting} records have not reached the tracking store; they are kept in {folder.path}"
        console.print(Text(told), soft_wrap=True)
    elif tracking.uri is not None:
        for line in page_lines(tracking.uri, tracker.experiment_id, tracker.run_ids):
            console.print(Text(line), soft_wrap=True)
    if exit_code not in (0, 1):
        console.print(
            Text(f"not finished; go on with: detsweep resume {shlex.quote(str(folder.path))}"), soft_wrap=True
        )
    return exit_code


def _describe(slots: Sequence[Slot]) -> str:
    devices = ", ".join(sorted({slot.device.name for slot in slots}))
    n_threads = slots[0].n_threads
    threads = "1 thread each" if n_threads == 1 else f"{n_threads} threads each"
    shares = f", {threads}" if slots[0].device.kind == "cpu" else ""
    return f"{len(slots)} slot{'s' if len(slots) > 1 else ''} ({devices}{shares})"
