"""A written sweep is run to its report, and every run of it shipped to the tracking store."""

import contextlib
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptMode
from sweeper.control.asking import Searching
from sweeper.control.attempt_start import AttemptSettings
from sweeper.control.controller import Controller
from sweeper.control.expectations import JobEstimates
from sweeper.control.left import LeftSweep
from sweeper.control.looks import Looks, has_looks, look_tags
from sweeper.control.running import Limits
from sweeper.hardware.machine import Machine
from sweeper.planning.compose import Composer
from sweeper.planning.plan import Plan
from sweeper.planning.resolvers import register
from sweeper.project.project import SHIPPED_CONF
from sweeper.runs.answers import keep_answers
from sweeper.stored.journal import Journal, read_journal
from sweeper.stored.processes import birth_of, boot_id
from sweeper.stored.sweep_folder import UMASKS
from sweeper.stored.versions import stack_versions
from sweeper.tracking.tracking import Tracker
from sweeper.tracking.tracking_store import page_lines, run_tags, sweep_tags, tracking_settings
from sweeper.verbs.detach import notify_started
from sweeper.verbs.report import try_report
from sweeper.verbs.sync import ship_left
from sweeper.view.progress import Progress
from sweeper.view.sweep_view import SweepView

# How long the end of a sweep waits for a slow store; what has not arrived by then stays in the sweep's folder.
DRAIN_S = 120.0


@dataclass(frozen=True)
class SweepRun:
    """One sweep whose folders are written, and all that is needed to run it.

    Attributes:
        plan: the jobs and the sweep's settings.
        folder: the sweep's folder.
        journal: of this sweep, owned by the caller.
        machine: devices and executor.
        command: the command line that started the sweep.
        estimates: what its jobs are expected to need.
        left: what an earlier controller of the sweep left, nothing of it running; or which jobs are reused.
        tags: what the sweep's own run carries in the tracking store beside the usual.
        composer: composes the jobs that a search asks for; None of a sweep that is none.
    """

    plan: Plan
    folder: SweepFolder
    journal: Journal
    machine: Machine
    command: Sequence[str]
    estimates: JobEstimates | None = None
    left: LeftSweep | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    composer: Composer | None = None


def train_jobs(run: SweepRun, console: Console) -> int:
    """Train what is left of a plan whose folders are written; print and write the report.

    Args:
        run: the sweep.
        console: where to print.

    Returns:
        The exit code.
    """
    plan, folder = run.plan, run.folder
    notify_started(folder)
    console.print(Text(f"sweep {folder.path}: {plan.count} on {_describe(run.machine, plan.n_jobs)}"), soft_wrap=True)
    if console.is_terminal:
        hint = "closing this terminal pauses the sweep; with --detach it keeps running"
        console.print(Text(hint), style="dim", soft_wrap=True)
    tracking = tracking_settings(plan.settings["tracking"], folder.path.parent)
    view = SweepView(folder)
    for event in read_journal(folder.journal):
        view.event(event)
    with Progress(console, view) as progress:
        tracker = Tracker(tracking, folder, progress.say)
        tags = run_tags()
        own = sweep_tags(run.command, plan.settings, plan.axes.values)
        tracker.open_sweep(folder.sweep_id, {**tags, **run.tags, **own, **look_tags(folder)})
        if run.left is not None and tracking.uri is not None:
            ship_left(tracker, plan.jobs, folder, run.left)
        controller = Controller(
            {job.job_id: job for job in plan.jobs},
            folder,
            run.machine,
            run.journal,
            tracker,
            progress,
            attempt_settings(plan.settings),
            _limits(plan.settings),
            tags=tags,
            left=run.left,
            estimates=run.estimates,
            looks=Looks(folder, progress.say) if has_looks(plan.settings) else None,
            search=_open_search(run, progress.say),
        )
        try:
            exit_code = controller.run()
        except UserError:
            # The disk does not take what happens next; what the store has not received waits for the resumed sweep.
            tracker.close(0.0)
            raise
    try:
        if run.left is not None and any(job.reused for job in run.left.jobs.values()):
            with contextlib.suppress(UserError):  # the report tells what cannot be read
                keep_answers(folder)
        try_report(folder, console)
    finally:
        tracker.end_sweep("FINISHED" if exit_code in (0, 1) else "KILLED", folder.report)
        n_waiting = tracker.close(DRAIN_S)
    if n_waiting:
        told = f"note: {n_waiting} records have not reached the tracking store; they are kept in {folder.path}"
        console.print(Text(f"{told}; detsweep sync ships them"), soft_wrap=True)
    elif tracking.uri is not None:
        for line in page_lines(tracking.uri, tracker.experiment_id, tracker.run_ids):
            console.print(Text(line), soft_wrap=True)
    if exit_code not in (0, 1):
        console.print(Text(way_on(folder)), soft_wrap=True)
    return exit_code


def _open_search(run: SweepRun, say: Callable[[str], None]) -> Searching | None:
    """Return the search of a sweep that is one."""
    if run.plan.settings.get("search") is None:
        return None
    from sweeper.study.opening import open_search  # with Optuna, for which no other sweep waits

    register()
    return open_search(run.plan, run.folder, run.composer or Composer.of_folder(SHIPPED_CONF), run.left, say)


def way_on(folder: SweepFolder) -> str:
    """Return how an unfinished sweep goes on."""
    return f"not finished; go on with: detsweep resume {shlex.quote(str(folder.path))}"


def attempt_settings(settings: Mapping[str, Any], mode: AttemptMode = "train") -> AttemptSettings:
    """Return what a sweep's settings say about its attempts."""
    return AttemptSettings(
        mode,
        n_workers=settings["n_workers"],
        batch_per_step=settings["batch_per_step"],
        n_devices=settings["devices_per_job"],
        keep=settings["keep"],
        umask=UMASKS[settings["share"]],
    )


def start_event(command: Sequence[str], mode: AttemptMode) -> dict[str, Any]:
    """Return what the journal says of a controller that begins."""
    pid = os.getpid()
    return {
        "pid": pid,
        "born_at": birth_of(pid),
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "command": list(command),
        "mode": mode,
        "versions": stack_versions(),
        "python": sys.executable,
    }


def _limits(settings: Mapping[str, Any]) -> Limits:
    return Limits(
        settings["max_losses"],
        first_step_s=60 * settings["first_step_limit_min"],
        step_s=60 * settings["step_limit_min"],
    )


def _describe(machine: Machine, n_jobs: int) -> str:
    devices = ", ".join(sorted({device.name for device in machine.pool.devices}))
    n_shares = sum(offer.n_shares for offer in machine.offers)
    slots = f"{n_shares} slot{'s' if n_shares > 1 else ''}"
    if machine.pool.devices[0].kind == "cuda":
        return f"{slots} ({devices})"
    n_threads = machine.slot((0,), 0, n_jobs).n_threads
    return f"{slots} ({devices}, {'1 thread' if n_threads == 1 else f'{n_threads} threads'} each)"
