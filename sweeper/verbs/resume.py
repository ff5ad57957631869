"""``detsweep resume``: a sweep goes on whatever ended it."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from sweeper.control.events import JobAdded
from sweeper.control.left import LeftSweep, end_what_was_left_running, read_left
from sweeper.control.looks import has_looks, is_look_due
from sweeper.control.schedule import Schedule
from sweeper.control.stored_plugins import plugin_notes
from sweeper.control.stored_sweep import StoredSweep, asked_sweep, read_stored, refuse_changes
from sweeper.executors.local import LocalExecutor
from sweeper.forecast.job_estimates import JobForecast
from sweeper.hardware.devices import devices_left
from sweeper.hardware.machine import find_capacity, hold_machine
from sweeper.planning.weights import fetch_weights
from sweeper.stored.journal import Journal, SweepOwnedError, read_journal
from sweeper.stored.ownership import prove_lock
from sweeper.stored.requests import ask
from sweeper.stored.sweep_folder import UMASKS, set_umask
from sweeper.tracking.tracking_store import check_store, tracking_settings
from sweeper.verbs.probe import probe_jobs, wants_probes
from sweeper.verbs.report import open_console, try_report
from sweeper.verbs.sync import ship_stored
from sweeper.verbs.train import SweepRun, start_event, train_jobs

# How long a sweep that is finished waits for a store that may lack something of it.
SHIP_S = 60.0


def run_resume(words: Sequence[str]) -> int:
    """Go on with a sweep: finished jobs stay as they are, the others go on from their newest valid checkpoints.

    A sweep that runs and is paused is told to go on.

    Args:
        words: the sweep's path, id or name (default: the newest), ``output_dir=`` to look for it, settings that
            differ from now on, ``accept_change=true`` if data, configs or versions may have changed, and
            ``trust_plugins=`` with the digests of plug-ins that came with another's sweep and may run.

    Returns:
        The sweep's exit code; that of a finished sweep is the same as before.

    Raises:
        UserError: no such sweep, another process owns it, something has changed, or it would run another's code.
    """
    sweep, changes = asked_sweep("resume", words)
    console = open_console()
    try:
        journal = Journal(sweep.journal)
    except SweepOwnedError:
        if not _is_paused(sweep):
            raise
        ask(sweep, "continue")
        console.print(Text(f"sweep {sweep.path}: it is running and was paused; told to go on"), soft_wrap=True)
        return 0
    with journal:
        prove_lock(sweep.journal)
        return resume_owned(sweep, changes, journal, console)


def resume_owned(sweep: SweepFolder, changes: Sequence[str], journal: Journal, console: Console) -> int:
    """Go on with a sweep whose journal is owned by the caller; as `run_resume`."""
    stored = read_stored(sweep, changes)
    set_umask(UMASKS[stored.plan.settings["share"]])
    left = read_left(sweep)
    end_what_was_left_running(sweep, left, journal, stored.plan.settings["max_losses"])
    states = left.states
    is_done = len(states) == len(stored.plan.jobs) and all(state.is_terminal for state in states.values())
    is_done &= stored.plan.settings.get("search") is None or left.has_asked_all
    if is_done and not (has_looks(stored.plan.settings) and is_look_due(sweep)):
        console.print(Text(f"sweep {sweep.path}: nothing left to do"), soft_wrap=True)
        try_report(sweep, console)
        return _close(sweep, stored, left, journal, console)
    accepted = refuse_changes(stored, sweep, left)
    for change in accepted:
        console.print(Text(f"note: {change}; accepted"), soft_wrap=True)
    for note in plugin_notes(stored, sweep, left):
        console.print(Text(f"note: {note}"), soft_wrap=True)
    check_store(tracking_settings(stored.plan.settings["tracking"], sweep.path.parent))
    fetch_weights([job.config for job in stored.plan.jobs])
    plan = stored.plan
    devices = devices_left(str(plan.settings["gpus"]), left.was_on_gpus)
    capacity = find_capacity(plan.settings, devices=devices)
    forecast = JobForecast(plan.settings, capacity, plan.n_jobs, sweep.path.parent)
    with hold_machine(capacity, plan.settings, sweep.path / "server.log", LocalExecutor) as machine:
        journal.append("sweep_started", **start_event(stored.command, "train"), accepted=accepted)
        unfinished = [job for job in plan.jobs if not states.get(job.job_id, JobState.PLANNED).is_terminal]
        if wants_probes(plan.settings):
            exit_code = probe_jobs(unfinished, sweep, machine, forecast, plan.settings, console)
            if exit_code:
                journal.append("sweep_ended", exit_code=exit_code)
                return exit_code
        run = SweepRun(plan, sweep, journal, machine, stored.command, forecast, left)
        return train_jobs(run, console)


def _close(sweep: SweepFolder, stored: StoredSweep, left: LeftSweep, journal: Journal, console: Console) -> int:
    """Do what a controller that died at the very end has not done; return the sweep's exit code."""
    exit_code = _exit_code(left)
    *_, last = read_journal(sweep.journal)
    if last["event"] != "sweep_ended":
        journal.append("sweep_ended", exit_code=exit_code)
    settings = tracking_settings(stored.plan.settings["tracking"], sweep.path.parent)
    if settings.uri is not None:
        ship_stored(sweep, stored, left, settings, console, SHIP_S)
    return exit_code


def _exit_code(left: LeftSweep) -> int:
    schedule = Schedule()
    for job_id, state in left.states.items():
        schedule.handle(JobAdded(job_id, state))
    return schedule.exit_code()


def _is_paused(sweep: SweepFolder) -> bool:
    names = ("paused", "continued", "sweep_started")  # a new controller takes every device
    held = [event["event"] for event in read_journal(sweep.journal) if event["event"] in names]
    return bool(held) and held[-1] == "paused"
