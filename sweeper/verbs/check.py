"""``detsweep check``: one training and one validation step of every distinct model, a line per combination."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from runners.contract.folder import SweepFolder
from runners.contract.metrics import PARAMETERS_M, TRAIN_LOSS, VAL_LOSS
from runners.contract.plugin_sources import DIGEST
from runners.contract.records import AttemptResult, MetricRecord
from runners.contract.states import JobState
from sweeper.control.attempt_start import AttemptSettings
from sweeper.control.controller import Controller
from sweeper.hardware.machine import Machine
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.stored.journal import Journal
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.view.progress import Display
from sweeper.view.wording import one_line

# What makes two jobs the same to a check: everything else changes how long they train, not whether they can.
PARTS = (
    "model",
    "pipeline",
    "optim_wrapper",
    "precision",
    "dataset",
    "custom_hooks",
    "plugins",
    DIGEST,
    "train_dataset",
)


def distinct_models(plan: Plan) -> list[list[PlannedJob]]:
    """Return the jobs of a plan, those that train the same model together."""
    by_model: dict[str, list[PlannedJob]] = {}
    for job in plan.jobs:
        key = json.dumps({part: job.config.get(part) for part in PARTS}, sort_keys=True)
        by_model.setdefault(key, []).append(job)
    return list(by_model.values())


class CheckLines(Display):
    """Tells of a check as it goes: one line per job, when the model that it trains has taken its steps."""

    def __init__(self, models: Sequence[Sequence[PlannedJob]], folder: SweepFolder, console: Console) -> None:
        self._jobs = {jobs[0].job_id: jobs for jobs in models}
        self._folder = folder
        self._console = console

    def record(self, job_id: str, record: MetricRecord) -> None:
        """See `Display.record`."""

    def event(self, event: Mapping[str, Any]) -> None:
        """See `Display.event`."""
        if event["event"] != "ended":
            return
        job_id, state, reason = event["job"], JobState(event["state"]), event["reason"]
        attempt = self._folder.job(job_id).newest_attempt()
        result = AttemptResult.read(attempt) if attempt else None
        word = "ok    " if state is JobState.COMPLETED else "FAILED"
        told = reason if reason else _measured(result)
        for job in self._jobs[job_id]:
            self.say(f"{word} {job.title}: {told}")

    def say(self, line: str) -> None:
        """See `Display.say`."""
        self._console.print(Text(one_line(line)), soft_wrap=True)


def _measured(result: AttemptResult | None) -> str:
    if result is None:
        return "no result"
    values = result.metrics
    named = [
        (TRAIN_LOSS, "training loss {:.3f}"),
        (VAL_LOSS, "validation loss {:.3f}"),
        (PARAMETERS_M, "{:.1f} M parameters"),
    ]
    measured = ", ".join(form.format(values[name]) for name, form in named if name in values)
    return "; ".join([measured, *result.notes])


def check_models(plan: Plan, folder: SweepFolder, journal: Journal, machine: Machine, console: Console) -> int:
    """Let every distinct model of a written plan take its steps; print a line per job; return 0, or 1 if one failed."""
    models = distinct_models(plan)
    console.print(Text(f"{plan.count} composed; {len(models)} distinct models take a training and a validation step"))
    display = CheckLines(models, folder, console)
    tracker = Tracker(TrackingSettings(None, "", None), folder, display.say)
    first = {jobs[0].job_id: jobs[0] for jobs in models}
    settings = AttemptSettings("check", n_devices=1)
    exit_code = Controller(first, folder, machine, journal, tracker, display, settings).run()
    if exit_code:
        display.say(f"logs: {folder.path}")
    return exit_code
