"""A trial of the project's own code: imported by a process like the jobs', before anything of a new sweep is trained.

Without it a mistake in it would end every job of the sweep, one after the other, with the same line.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.plugin_sources import DIGEST
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.control.attempt_start import AttemptSettings
from sweeper.control.controller import Controller
from sweeper.hardware.machine import Machine
from sweeper.planning.plan import PlannedJob
from sweeper.stored.journal import Journal
from sweeper.stored.sweep_folder import write_job
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.verbs.train import start_event
from sweeper.view.progress import Display

# Beside the copies of the plug-ins, which jobs look for above their folders.
FOLDER = "trial"


class _Reasons(Display):
    """Keeps why jobs of a trial failed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.reasons: list[str] = []

    def record(self, job_id: str, record: MetricRecord) -> None:
        """See `Display.record`."""

    def event(self, event: Mapping[str, Any]) -> None:
        """See `Display.event`."""
        is_end = event["event"] == "ended" and JobState(event["state"]) is JobState.FAILED
        if is_end and event["reason"] not in self.reasons:
            self.reasons.append(event["reason"])

    def say(self, line: str) -> None:
        """See `Display.say`."""
        self._console.print(Text(line), soft_wrap=True)


def try_plugins(jobs: Sequence[PlannedJob], folder: SweepFolder, machine: Machine, console: Console) -> int:
    """Have the plug-ins of a sweep imported, and the names in its configs looked up; a matter of a second.

    Args:
        jobs: that are to be trained.
        folder: the sweep's, with the copies of its plug-ins in it; nothing of the trial stays there.
        machine: of the sweep.
        console: where to print.

    Returns:
        0, or the exit code of a sweep that was ended meanwhile.

    Raises:
        UserError: a plug-in cannot be imported, or a config names what nobody has registered.
    """
    first = {_tried(job.config): job for job in reversed(jobs) if job.config.get(DIGEST)}
    if not first:
        return 0
    trial = SweepFolder(folder.path / FOLDER)
    trial.jobs.mkdir(parents=True)
    trial.requests.mkdir()
    tried = {job.job_id: job for job in first.values()}
    for job_id, job in tried.items():
        write_job(trial.job(job_id), job)
    display = _Reasons(console)
    tracker = Tracker(TrackingSettings(None, "", None), trial, display.say)
    with Journal(trial.journal) as journal:
        journal.append("sweep_started", **start_event([], "import"))
        exit_code = Controller(tried, trial, machine, journal, tracker, display, AttemptSettings("import")).run()
    if display.reasons:
        raise UserError(*display.reasons)
    shutil.rmtree(trial.path)
    return exit_code


def _tried(config: Mapping[str, Any]) -> str:
    """Return what is equal for jobs of which one is enough: the same plug-ins, and the same names."""
    return json.dumps([config[DIGEST], *sorted(_names(config))])


def _names(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        own = {value["type"]} if isinstance(value.get("type"), str) else set()
        return own.union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list | tuple) else set()
