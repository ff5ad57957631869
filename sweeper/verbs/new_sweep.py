"""A new sweep, from its plan to its report: what is answered already, what it needs, and then the training."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from runners.contract.folder import SweepFolder
from sweeper.control.reused_jobs import note_reused
from sweeper.forecast.disk import check_space
from sweeper.forecast.job_estimates import JobForecast
from sweeper.hardware.machine import Capacity, Machine
from sweeper.planning.plan import Plan
from sweeper.planning.weights import fetch_weights
from sweeper.stored.journal import Journal
from sweeper.stored.ownership import prove_lock
from sweeper.stored.sweep_folder import write_sweep
from sweeper.tracking.answers import reused_tags
from sweeper.tracking.reuse import find_reusable
from sweeper.tracking.tracking_store import check_store, tracking_settings
from sweeper.verbs.plugin_trial import try_plugins
from sweeper.verbs.probe import probe_jobs, wants_probes
from sweeper.verbs.train import SweepRun, start_event, train_jobs, way_on
from sweeper.view.wording import count


@dataclass(frozen=True)
class NewSweep:
    """A sweep that has a folder, and nothing in it yet.

    Attributes:
        plan: its jobs and settings.
        folder: its folder.
        name: what people call it.
        command: the command line, as it may be written down.
    """

    plan: Plan
    folder: SweepFolder
    name: str
    command: Sequence[str]


def train_new(sweep: NewSweep, capacity: Capacity, machine: Machine, console: Console) -> int:
    """Write a new sweep's folders, and train it to its report.

    Args:
        sweep: the sweep.
        capacity: what it may use of the machine.
        machine: the same, held.
        console: where to print.

    Returns:
        The exit code.

    Raises:
        UserError: the tracking store is required and away, weights are missing, the disk is too small, or plug-ins
            cannot be imported; nothing is written then.
    """
    plan, folder = sweep.plan, sweep.folder
    settings, output_dir = plan.settings, folder.path.parent
    tracking = tracking_settings(settings["tracking"], output_dir)
    check_store(tracking)
    fetch_weights([job.config for job in plan.jobs])

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    identities = {job.job_id: job.identity for job in plan.jobs}
    reused = find_reusable(identities, tracking, output_dir, say) if settings["reuse"] else {}
    if reused:
        say(f"{count(len(reused), 'job')} of {len(plan.jobs)} trained by earlier sweeps (reuse=false trains again)")
    new = [job for job in plan.jobs if job.job_id not in reused]
    forecast = JobForecast(settings, capacity, len(plan.jobs), output_dir)
    if settings["check_disk"]:
        check_space(output_dir, forecast.disk(new))
    exit_code = try_plugins(new, folder, machine, console)
    if exit_code:
        return exit_code
    write_sweep(folder, plan, sweep.name, sweep.command)
    with Journal(folder.journal) as journal:
        prove_lock(folder.journal)
        journal.append("sweep_started", **start_event(sweep.command, "train"))
        left = note_reused(journal, plan, reused)
        if wants_probes(settings):
            exit_code = probe_jobs(new, folder, machine, forecast, plan.settings, console)
            if exit_code:
                journal.append("sweep_ended", exit_code=exit_code)
                say(way_on(folder))
                return exit_code
        tags = reused_tags({job_id: run.run_id for job_id, run in reused.items()})
        run = SweepRun(plan, folder, journal, machine, sweep.command, forecast, left, tags)
        return train_jobs(run, console)
