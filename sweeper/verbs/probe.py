"""Probes: a few iterations of every distinct model before it is trained, for how much memory it takes and how long."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from runners.contract import metrics as names
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult, MetricRecord
from runners.contract.states import JobState
from sweeper.control.controller import Controller
from sweeper.forecast.job_estimates import JobForecast, ProbeForecast
from sweeper.hardware.machine import Machine
from sweeper.hardware.slots import Offer
from sweeper.planning.plan import PlannedJob
from sweeper.stored.journal import Journal
from sweeper.stored.sweep_folder import write_job
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.verbs.train import attempt_settings, start_event
from sweeper.view.progress import Display

FOLDER = "probes"


def wants_probes(settings: Mapping[str, Any]) -> bool:
    """Whether a sweep's settings ask for probes: by themselves only where memory decides what runs side by side."""
    if settings["probe"] == "auto":
        return bool(settings["jobs_per_gpu"] == "auto")
    return bool(settings["probe"])


class ProbeLines(Display):
    """Tells of probes as they end: one line for each model."""

    def __init__(self, titles: Mapping[str, str], folder: SweepFolder, console: Console) -> None:
        self._titles = titles
        self._folder = folder
        self._console = console

    def record(self, job_id: str, record: MetricRecord) -> None:
        """See `Display.record`."""

    def event(self, event: Mapping[str, Any]) -> None:
        """See `Display.event`."""
        if event["event"] != "ended" or not JobState(event["state"]).is_terminal:
            return
        attempt = self._folder.job(event["job"]).newest_attempt()
        result = AttemptResult.read(attempt) if attempt else None
        told = event["reason"] or _measured(result)
        self.say(f"probed {self._titles[event['job']]}: {told}")

    def say(self, line: str) -> None:
        """See `Display.say`."""
        self._console.print(Text(line), soft_wrap=True)


def probe_jobs(
    planned: Sequence[PlannedJob],
    folder: SweepFolder,
    machine: Machine,
    forecast: JobForecast,
    settings: Mapping[str, Any],
    console: Console,
) -> int:
    """Probe every model that has not been measured on this device before; the forecast learns from it.

    Models are probed one after the other on each device: the largest may need all the memory there is.

    Args:
        planned: the jobs that are to be trained.
        folder: the sweep's; the probes' own folder is made in it.
        machine: of the sweep.
        forecast: takes the measurements in.
        settings: the sweep's own.
        console: where to print.

    Returns:
        0, or the exit code with which the sweep ends here: a signal, or a full disk. A probe that fails is no reason to
        end: the job itself may fail too, or run alone.
    """
    jobs = {job.job_id: job for job in forecast.unmeasured(planned)}
    if not jobs:
        return 0
    console.print(Text(f"probing {len(jobs)} distinct models for memory and pace; measured once for each device"))
    probes = SweepFolder(folder.path / FOLDER)
    probes.jobs.mkdir(parents=True, exist_ok=True)
    fresh = {job_id: job for job_id, job in jobs.items() if not probes.job(job_id).path.exists()}
    for job_id, job in fresh.items():
        write_job(probes.job(job_id), job)
    display = ProbeLines({job.job_id: job.title for job in jobs.values()}, probes, console)
    tracker = Tracker(TrackingSettings(None, "", None), probes, display.say)
    alone = dataclasses.replace(machine, offers=tuple(Offer(1) for _ in machine.offers))
    with Journal(probes.journal) as journal:
        journal.append("sweep_started", **start_event([], "probe"))
        probing = attempt_settings(settings, "probe")
        learning = ProbeForecast(forecast)
        exit_code = Controller(jobs, probes, alone, journal, tracker, display, probing, estimates=learning).run()
    return exit_code if exit_code not in (0, 1) else 0


def _measured(result: AttemptResult | None) -> str:
    if result is None:
        return "no result"
    memory = result.metrics.get(names.PEAK_DEVICE_GB, result.metrics.get(names.PEAK_HOST_GB))
    told = [f"{memory:.1f} GB"] if memory is not None else []
    if names.ITERATION_S in result.metrics:
        told.append(f"{result.metrics[names.ITERATION_S]:.2f} s for an iteration")
    return ", ".join(told) or "nothing measured"
