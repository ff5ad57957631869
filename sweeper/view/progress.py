"""What a person sees while a sweep runs: a live table in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from runners.contract.folder import AttemptFolder
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.view.finish_time import time_left_s
from sweeper.view.job_view import JobView
from sweeper.view.search_standing import fill_search, standing_of
from sweeper.view.sweep_summary import summary_lines
from sweeper.view.sweep_table import SweepTable
from sweeper.view.sweep_view import VAL_AP50, SweepView
from sweeper.view.trial_words import metric_words, point_words, trial_words, value_words
from sweeper.view.wording import duration, one_line

# A table of many jobs takes longer to draw; its reader does not look more often.
FAST_HZ, SLOW_HZ, N_MANY = 2.0, 0.5, 500
# How often plain lines sum the sweep up, at most.
SUMMARY_S = 300.0
N_LOG_LINES = 10


class Display(Protocol):
    """What the controller tells while it works."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take in an event that was appended to the journal."""

    def record(self, job_id: str, record: MetricRecord) -> None:
        """Take in what a job reports."""

    def say(self, line: str) -> None:
        """Print one line."""


class Progress(Display):
    """The sweep as its person sees it.

    Args:
        console: where to; a live table if it is a terminal.
        view: what is known of the sweep so far; kept up to date from here on.
        clock: wall-clock seconds since the epoch.
    """

    def __init__(self, console: Console, view: SweepView, clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._clock = clock
        self.view = view
        fill_search(view)
        view.is_live = True
        self._summed_up_at = clock()
        self._live: Live | None = None
        if console.is_terminal:
            hertz = FAST_HZ if len(view.jobs) <= N_MANY else SLOW_HZ
            self._live = Live(console=console, get_renderable=self.table, refresh_per_second=hertz)

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def event(self, event: Mapping[str, Any]) -> None:
        """Take in an event that was appended to the journal."""
        self.view.event(event)
        job = self.view.jobs.get(event.get("job", ""))
        has_table = self._live is not None
        if job is None or self.view.search is None:
            line = event_line(event, job, has_table)
        else:
            line = trial_line(event, job, self.view, has_table)
        if line:
            self.say(line)
        if self._live is None and event["event"] == "ended" and self._clock() - self._summed_up_at >= SUMMARY_S:
            self._summed_up_at = self._clock()
            self.say("; ".join(summary_lines(self.view, self._clock())))

    def record(self, job_id: str, record: MetricRecord) -> None:
        """Take in what a job reports."""
        self.view.record(job_id, record)
        if self._live is None and VAL_AP50 in record.values:
            job = self.view.jobs[job_id]
            loss = "" if job.loss is None else f" loss {job.loss:.3f}"
            left_s = time_left_s(job, self._clock())
            # What is pruned or rests at a rung does not train to its end.
            is_pruned = job.trial is not None and job.trial.origin == "sampled"
            most = "at most " if is_pruned and self.view.search is not None and self.view.search.prunes else ""
            left = "" if left_s is None or left_s < 1.0 else f", {most}{duration(left_s)} left"
            self.say(f"{_name(job)}: epoch {record.step}{loss} val mAP50 {100 * record.values[VAL_AP50]:.1f}{left}")

    def say(self, line: str) -> None:
        """Print one line, above the table if there is one. Nothing in it is markup, and nothing moves the cursor."""
        self._console.print(Text(one_line(line)), soft_wrap=True, highlight=False)

    def table(self) -> SweepTable:
        """Return the table as it is now, cut to the terminal's height."""
        return SweepTable(self.view, self._clock(), height=self._console.height)


def event_line(event: Mapping[str, Any], job: JobView | None, has_table: bool) -> str:
    """Return what is said of an event at once; empty where the table shows it, or nobody waits for it.

    Args:
        event: of the journal.
        job: what is known of the job it is about, the event included.
        has_table: whether a live table is shown.
    """
    name = event["event"]
    if job is not None:
        if name == "started" and not has_table:
            return f"{_name(job)}: started on {job.slot}{f' ({job.remark})' if job.remark else ''}"
        if name == "ended":
            kind = f" ({event['kind']})" if event.get("kind") else ""
            told = f"{kind}: {job.reason}" if job.reason else kind
            took = "" if job.started_at is None or job.ended_at is None else duration(job.ended_at - job.started_at)
            return f"{_name(job)}: {job.state.value}{told} after {took}"
        if name == "reused" and not has_table:
            return f"{_name(job)}: REUSED, trained by {event.get('run_id') or 'an earlier sweep'}"
        if name in ("cancelled", "retried", "postponed", "pruned"):
            told = f": {event['reason']}" if event.get("reason") else ""
            return f"{_name(job)}: {'to be tried again' if name == 'retried' else job.state.value}{told}"
        return ""
    if name == "device_closed":
        return f"{event['device']} closed{': ' + str(event['reason']) if event.get('reason') else ''}"
    if name == "device_opened" and not has_table:
        device, about = str(event["device"]), str(event.get("name") or "")
        return f"{device} takes jobs" if about.lower() in ("", device) else f"{device} ({about}) takes jobs"
    if name == "paused":
        return "the sweep is on hold; running jobs save"
    if name == "continued":
        return "the sweep goes on"
    return ""


def log_lines(attempt: AttemptFolder) -> list[str]:
    """Return what is shown of an attempt that has failed: the path of its log, and its last lines."""
    try:
        lines = attempt.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return [f"  log: {attempt.log}", *(f"  | {line}" for line in lines[-N_LOG_LINES:])]


def trial_line(event: Mapping[str, Any], job: JobView, view: SweepView, has_table: bool) -> str:
    """Return what is said at once of an event of a search's job.

    Args:
        event: of the journal.
        job: what is known of the job, the event included.
        view: the search.
        has_table: whether a live table is shown.
    """
    name, search = event["event"], view.search
    assert search is not None
    went_on = job.decided == "promote" and job.is_resumed
    if name == "started" and not has_table:
        if went_on:
            return f"{_name(job)}: {job.decision}, from its checkpoint, on {job.slot}"
        about = f" ({job.remark})" if job.remark else ""
        point = f" with {point_words(job.values, search.keys)}" if job.attempt == 1 else ""
        return f"{_name(job)}: started on {job.slot}{point}{about}"
    if name == "decided" and event["decision"] == "promote" and has_table:
        return f"{_name(job)}: {event['reason']}"
    if name == "ended" and (job.rests or job.state is JobState.PRUNED):
        return f"{_name(job)}: {job.reason}" if job.rests else f"{_name(job)}: PRUNED: {job.reason}"
    if name == "ended" and job.state is JobState.COMPLETED:
        first = search.objectives[0].metric
        view.look_into(job)
        reached = f", {metric_words(first)} {value_words(first, job.measured[first])}" if first in job.measured else ""
        is_best = job.trial is not None and job.trial.origin != "confirm" and standing_of(view, search).best is job
        return f"{event_line(event, job, has_table)}{reached}{', the best so far' if is_best else ''}"
    return event_line(event, job, has_table)


def _name(job: JobView) -> str:
    if job.trial is not None:
        return f"{job.job_id} {trial_words(job.trial, job.values.get('seed'))}"
    return f"{job.job_id} {job.title}" if job.title else job.job_id
