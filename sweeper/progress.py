"""What a person sees while a sweep runs: a live table in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runners.contract.metrics import TRAIN_LOSS, iteration_metric
from runners.contract.records import MetricRecord
from runners.contract.states import JobState

VAL_AP50 = "val/bbox_mAP_50"
N_ROWS = 30


@dataclass
class JobView:
    """What is known about a job at this moment.

    Attributes:
        title: the job's name.
        state: where it stands.
        slot: label of the slot it holds, empty if none.
        phase: what the process does (``training``, ``validating``, ...).
        done: share of the planned iterations, 0-1.
        epoch: ``3/12``.
        loss: the newest training loss.
        ap50: the newest val AP50, 0-1.
        started_s: monotonic seconds when it was started.
    """

    title: str
    state: JobState = JobState.PLANNED
    slot: str = ""
    phase: str = ""
    done: float = 0.0
    epoch: str = ""
    loss: float | None = None
    ap50: float | None = None
    started_s: float = 0.0


class Display(Protocol):
    """What the controller tells while it works."""

    def start(self, job_id: str, slot: str) -> None:
        """Tell that an attempt was started."""

    def record(self, job_id: str, record: MetricRecord) -> None:
        """Take in what a job reports."""

    def end(self, job_id: str, state: JobState, reason: str | None) -> None:
        """Tell that an attempt has ended."""

    def say(self, line: str) -> None:
        """Print one line."""


class Progress(Display):
    """The sweep as its person sees it.

    Args:
        console: where to; a live table if it is a terminal.
        titles: job id to title, in the order of the plan.
        clock: monotonic seconds.
        left: the state in which an earlier controller left each job.
    """

    def __init__(
        self,
        console: Console,
        titles: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        left: Mapping[str, JobState] | None = None,
    ) -> None:
        self._console = console
        self._clock = clock
        states = left or {}
        self.views = {job_id: JobView(title, states.get(job_id, JobState.PLANNED)) for job_id, title in titles.items()}
        self._live = (
            Live(console=console, get_renderable=self.table, refresh_per_second=2) if console.is_terminal else None
        )

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def start(self, job_id: str, slot: str) -> None:
        """Tell that an attempt was started."""
        view = self.views[job_id]
        view.state, view.slot, view.phase, view.started_s = JobState.RUNNING, slot, "starting", self._clock()
        if not self._live:
            self.say(f"{job_id} {view.title}: started on {slot}")

    def record(self, job_id: str, record: MetricRecord) -> None:
        """Take in what a job reports."""
        view, told = self.views[job_id], record.progress
        view.loss = record.values.get(iteration_metric("loss"), record.values.get(TRAIN_LOSS, view.loss))
        view.ap50 = record.values.get(VAL_AP50, view.ap50)
        if told:
            view.phase = told["phase"]
            view.epoch = f"{told['epoch']}/{told['n_epochs']}"
            if told["n_iterations"]:
                view.done = told["iteration"] / told["n_iterations"]
        if not self._live and VAL_AP50 in record.values:
            loss = "" if view.loss is None else f" loss {view.loss:.3f}"
            ap50 = f" val mAP50 {100 * record.values[VAL_AP50]:.1f}"
            self.say(f"{job_id} {view.title}: epoch {record.step}{loss}{ap50}{self._left(view)}")

    def end(self, job_id: str, state: JobState, reason: str | None) -> None:
        """Tell that an attempt has ended."""
        view = self.views[job_id]
        view.state, view.slot, view.phase = state, "", ""
        told = f": {reason}" if reason else ""
        self.say(f"{job_id} {view.title}: {state.value}{told} after {_duration(self._clock() - view.started_s)}")

    def say(self, line: str) -> None:
        """Print one line, above the table if there is one. The line is shown as it is: nothing in it is markup."""
        self._console.print(Text(line), soft_wrap=True, highlight=False)

    def table(self) -> Table:
        """Return the live table: running jobs first, then what is finished or waits, at most 30 rows."""
        states = [view.state for view in self.views.values()]
        n_done = sum(state.is_terminal for state in states)
        table = Table(
            title=f"{n_done} of {len(states)} jobs done, {states.count(JobState.RUNNING)} running", title_justify="left"
        )
        for column in ("job", "title", "slot", "phase", "epoch"):
            table.add_column(column, no_wrap=True)
        for column in ("loss", "val mAP50", "left"):
            table.add_column(column, justify="right", no_wrap=True)
        order = {JobState.RUNNING: 0, JobState.FAILED: 1, JobState.PLANNED: 3}
        rows = sorted(self.views.items(), key=lambda item: order.get(item[1].state, 2))
        for job_id, view in rows[:N_ROWS]:
            running = view.state is JobState.RUNNING
            table.add_row(
                job_id,
                Text(view.title),
                view.slot,
                view.phase if running else view.state.value,
                view.epoch,
                "" if view.loss is None else f"{view.loss:.3f}",
                "" if view.ap50 is None else f"{100 * view.ap50:.1f}",
                self._left(view).removeprefix(", ").removesuffix(" left") if running else "",
            )
        if len(rows) > N_ROWS:
            table.add_row("...", f"and {len(rows) - N_ROWS} more")
        return table

    def _left(self, view: JobView) -> str:
        if view.done <= 0.02:
            return ""
        elapsed = self._clock() - view.started_s
        return f", {_duration(elapsed * (1 - view.done) / view.done)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
