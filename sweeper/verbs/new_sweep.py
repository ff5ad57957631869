"""A new sweep, from its plan to its report: what is answered already, what it needs, and then the training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.trials import WARM_STARTED, TrialRecord
from sweeper.control.reused_jobs import note_reused
from sweeper.forecast.disk import check_space
from sweeper.forecast.job_estimates import JobForecast
from sweeper.hardware.machine import Capacity, Machine
from sweeper.planning.compose import Composer
from sweeper.planning.plan import Plan
from sweeper.planning.weights import fetch_weights
from sweeper.stored.journal import Journal
from sweeper.stored.ownership import prove_lock
from sweeper.stored.sweep_folder import write_sweep
from sweeper.tracking.answers import reused_tags
from sweeper.tracking.reuse import find_reusable
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking_store import check_store, readable_store, tracking_settings, warm_tags
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
        composer: composes the jobs that a search asks for.
    """

    plan: Plan
    folder: SweepFolder
    name: str
    command: Sequence[str]
    composer: Composer | None = None


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
    fetch_weights([job.config for job in (*plan.jobs, *plan.samples)])

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    identities = {job.job_id: job.identity for job in plan.jobs}
    reused = find_reusable(identities, tracking, output_dir, say) if settings["reuse"] else {}
    if settings["search"] is not None:
        # A search needs every number of a trial, which only its folder holds.
        reused = {job_id: run for job_id, run in reused.items() if Path(run.folder).is_dir()}
    if reused:
        say(f"{count(len(reused), 'job')} of {len(plan.jobs)} trained by earlier sweeps (reuse=false trains again)")
    new = [job for job in plan.jobs if job.job_id not in reused]
    forecast = JobForecast(settings, capacity, plan.n_jobs, output_dir)
    if settings["check_disk"]:
        more = [plan.jobs[0]] * (plan.n_jobs - len(plan.jobs))  # a search's, as large as the first
        check_space(output_dir, forecast.disk([*new, *more], may_rest=bool(more)))
    exit_code = try_plugins([*new, *plan.samples], folder, machine, console)
    if exit_code:
        return exit_code
    write_sweep(folder, plan, sweep.name, sweep.command)
    with Journal(folder.journal) as journal:
        prove_lock(folder.journal)
        journal.append("sweep_started", **start_event(sweep.command, "train"))
        left = note_reused(journal, plan, reused)
        warm = _warm_trials(sweep, tracking, say)
        if warm:
            journal.append(WARM_STARTED, trials=[record.describe() for record in warm])
        if wants_probes(settings):
            exit_code = probe_jobs(new, folder, machine, forecast, plan.settings, console)
            if exit_code:
                journal.append("sweep_ended", exit_code=exit_code)
                say(way_on(folder))
                return exit_code
        tags = {**reused_tags({job_id: run.run_id for job_id, run in reused.items()}), **warm_tags(warm)}
        run = SweepRun(plan, folder, journal, machine, sweep.command, forecast, left, tags, sweep.composer)
        return train_jobs(run, console)


def _warm_trials(sweep: NewSweep, tracking: TrackingSettings, say: Callable[[str], None]) -> list[TrialRecord]:
    """Return what finished runs tell a search before its first job; none of a sweep that is no search."""
    settings = sweep.plan.settings
    if settings["search"] is None or not settings["search"]["warm_start"] or sweep.composer is None:
        return []
    from reports.gathering import Sources
    from sweeper.study.opening import search_of_plan
    from sweeper.study.trial_jobs import TrialJobs
    from sweeper.study.warm_start import find_warm

    output_dir, default = sweep.folder.path.parent, sweep.plan.jobs[0]
    jobs = TrialJobs(sweep.composer, sweep.plan.axes.fixed, output_dir, settings["entry"])
    try:
        warm = find_warm(search_of_plan(sweep.plan), jobs, default, Sources(output_dir, readable_store(tracking)))
    except UserError as error:
        say(f"note: {error.problems[0]}; the search begins without earlier runs")
        return []
    if warm:
        say(f"{count(len(warm), 'finished run')} of earlier sweeps told to the search (search.warm_start=false: none)")
    return warm
