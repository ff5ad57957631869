"""A sweep as one table: jobs that run first, failed ones with their reason, and a line that sums the whole up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from runners.contract.search import Search
from runners.contract.states import JobState
from sweeper.view.finish_time import correction, time_left_s
from sweeper.view.job_view import JobView
from sweeper.view.search_standing import DONE, loss
from sweeper.view.sweep_summary import hidden_words, state_words, summary_lines
from sweeper.view.sweep_view import SweepView
from sweeper.view.trial_words import short_names, short_value, trial_words
from sweeper.view.wording import duration, one_line

N_ROWS = 30
# Lines that are neither rows nor sum the sweep up: the header, a note, and what is left out.
N_OTHER = 3
GAP = "  "
# How far an axis and its header may grow, and how small an axis is made before other columns go.
MAX_AXIS, MAX_HEADER, MIN_AXIS = 28, 12, 5
# What a narrow terminal does without first.
DROPPED = ("remark", "GB", "slot")

STYLES = {
    JobState.RUNNING: "bold",
    JobState.FAILED: "red",
    JobState.COMPLETED: "green",
    JobState.REUSED: "green",
    JobState.PAUSED: "yellow",
    JobState.CANCELLED: "yellow",
}


@dataclass
class Column:
    """One column.

    Attributes:
        name: its header.
        cells: one for each row.
        is_number: whether it is aligned to the right.
        is_axis: whether it may be cut.
        width: cells it gets on the terminal.
        enough: the width to which it is cut before other columns go.
    """

    name: str
    cells: list[str]
    is_number: bool = False
    is_axis: bool = False
    width: int = 0
    enough: int = 0


class SweepTable:
    """Renders a view at the moment it is printed.

    Args:
        view: the sweep.
        now: wall-clock seconds since the epoch.
        height: lines it may take.
        n_rows: rows it may have.
    """

    def __init__(self, view: SweepView, now: float, height: int = 1_000_000, n_rows: int = N_ROWS) -> None:
        self._view = view
        self._now = now
        self._n_rows, self._height = n_rows, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the header, the rows, and the lines below them; none is wider than the console."""
        view, width = self._view, options.max_width
        # Wrapped here: lines above a live table are printed as long as they are, and the table with them.
        told = [line for words in summary_lines(view, self._now) for line in Text(words, "bold").wrap(console, width)]
        rows = choose_rows(view, max(1, min(self._n_rows, self._height - N_OTHER - len(told))))
        if rows:
            columns = _fitted(self._columns(rows), width)
            yield _line(GAP.join(_cell(column, column.name) for column in columns), width, "dim")
            for number, job in enumerate(rows):
                cells = GAP.join(_cell(column, column.cells[number]) for column in columns)
                yield _line(cells, width, STYLES.get(job.state, "dim"))
                if _has_reason(job):
                    yield _line(f"      {one_line(job.reason)}", width, STYLES[job.state])
        if any(job.is_halved for job in rows):
            yield _line(
                "* half the images per forward pass, for memory was short (the batch is the same)", width, "dim"
            )
        n_hidden = len(view.jobs) - len(rows)
        if n_hidden > 0:
            yield _line(f"... and {hidden_words(view, rows)}", width, "dim")
        yield from told

    def _columns(self, rows: Sequence[JobView]) -> list[Column]:
        view = self._view
        jobs = [view.look_into(job) for job in rows]
        factor, typical_s = correction(view)
        left = [
            time_left_s(job, self._now, factor, typical_s) if job.state is JobState.RUNNING and view.is_live else None
            for job in jobs
        ]
        columns = [
            Column("job", [f"{job.job_id}*" if job.is_halved else job.job_id for job in jobs]),
            *self._names(jobs),
        ]
        columns.append(Column("state", [state_words(job, view.is_live) for job in jobs]))
        columns.append(Column("slot", [job.slot if view.is_live else "" for job in jobs]))
        columns.append(
            Column("epoch", [f"{job.reached}/{job.n_epochs}" if job.n_epochs else "" for job in jobs], is_number=True)
        )
        columns.append(Column("loss", ["" if job.loss is None else f"{job.loss:.3f}" for job in jobs], is_number=True))
        ap50 = ["" if job.ap50 is None else f"{100 * job.ap50:.1f}" for job in jobs]
        columns.append(Column("AP50", ap50, is_number=True))
        columns.append(Column("GB", [_memory(job) for job in jobs], is_number=True))
        times = [_left_words(job, left_s) for job, left_s in zip(jobs, left, strict=True)]
        columns.append(Column("left", times, is_number=True))
        columns.append(Column("remark", [job.remark for job in jobs]))
        return [column for column in columns if column.name in ("job", "state") or any(column.cells)]

    def _names(self, jobs: Sequence[JobView]) -> list[Column]:
        if self._view.search is not None:
            return self._trials(jobs, self._view.search)
        keys = varying_keys(self._view)
        if not keys:
            return [Column("title", [one_line(job.title) for job in jobs], is_axis=True)]
        short = [key.rpartition(".")[2].rpartition("/")[2] for key in keys]
        names = [name if short.count(name) == 1 else key for key, name in zip(keys, short, strict=True)]
        return [
            Column(name, [one_line(str(job.values.get(key, ""))) for job in jobs], is_axis=True)
            for key, name in zip(keys, names, strict=True)
        ]

    def _trials(self, jobs: Sequence[JobView], search: Search) -> list[Column]:
        """Return columns that tell a search's trials apart: their numbers and what they differ in, in a few digits."""
        names = [
            job.title if job.trial is None else trial_words(job.trial, job.values.get("seed")).removeprefix("trial ")
            for job in jobs
        ]
        cells = {
            key: [one_line(short_value(job.values[key])) if key in job.values else "" for job in jobs]
            for key in search.keys
        }
        columns = [Column("trial", [one_line(name) for name in names])]
        return columns + [Column(name, cells[key], is_axis=True) for key, name in short_names(search.keys).items()]


def varying_keys(view: SweepView) -> list[str]:
    """Return the axes on which at least two jobs of a sweep differ."""
    seen: dict[str, set[str]] = {}
    for job in list(view.jobs.values()):
        for key, value in job.values.items():
            seen.setdefault(key, set()).add(str(value))
    return [key for key, values in seen.items() if len(values) > 1]


def choose_rows(view: SweepView, n_lines: int) -> list[JobView]:
    """Return the jobs to show: what runs, what failed, what is done, what comes next.

    Each kind leaves the ones behind it their share while there is not room for all.

    Args:
        view: the sweep.
        n_lines: lines there are; a reason takes one of its own.
    """
    jobs = list(view.jobs.values())
    # In the order of the plan where all are shown; else what ended last tells most, of a search its best.
    has_room = sum(2 if _has_reason(job) else 1 for job in jobs) <= n_lines
    newest = jobs if has_room else sorted(jobs, key=lambda job: -(job.ended_at or 0.0))
    if not has_room and view.search is not None:
        first = view.search.objectives[0]
        newest.sort(key=lambda job: loss(job, first) if job.state in DONE else math.inf)
    kinds = [
        [job for job in jobs if job.state is JobState.RUNNING],
        [job for job in newest if job.state is JobState.FAILED],
        [job for job in newest if job.state.is_terminal and job.state is not JobState.FAILED],
        [job for job in jobs if job.state is JobState.PAUSED]
        + sorted((job for job in jobs if job.state is JobState.PLANNED), key=lambda job: -job.expected_s),
    ]
    costs = [[2 if _has_reason(job) else 1 for job in kind] for kind in kinds]
    rows: list[JobView] = []
    for number, (kind, cost) in enumerate(zip(kinds, costs, strict=True)):
        # What runs gives nothing up, what failed a line for each kind behind it, what is done three for what comes.
        kept = sum(min((0, 1, 3, 0)[number], sum(later)) for later in costs[number + 1 :])
        for job, lines in zip(kind, cost, strict=True):
            if lines + kept > n_lines:
                break
            rows.append(job)
            n_lines -= lines
    return rows


def _has_reason(job: JobView) -> bool:
    return bool(job.reason) and job.state in (JobState.FAILED, JobState.PAUSED) and not job.rests


def _left_words(job: JobView, left_s: float | None) -> str:
    if left_s is None or job.done >= 1.0:
        return ""
    return duration(left_s) if left_s > 0 else "overdue"


def _memory(job: JobView) -> str:
    if job.memory_gb is not None:
        return f"{job.memory_gb:.1f}"
    return f"~{job.expected_memory_gb:.1f}" if job.expected_memory_gb else ""


def _fitted(columns: list[Column], width: int) -> list[Column]:
    """Give every column its width; what does not fit costs the axes some letters, then columns, then more letters."""
    for column in columns:
        widest = max((cell_len(cell) for cell in column.cells), default=0)
        header = cell_len(column.name)
        column.width = max(min(widest, MAX_AXIS), min(header, MAX_HEADER)) if column.is_axis else max(widest, header)
        if column.name == "title":
            column.width = widest
        column.enough = min(column.width, max(MIN_AXIS, min(widest, column.width) * 3 // 4))
    for name in (None, *DROPPED):
        columns = [column for column in columns if column.name != name]
        excess = sum(column.width for column in columns) + len(GAP) * (len(columns) - 1) - width
        if excess <= sum(column.width - column.enough for column in columns if column.is_axis):
            break
    while excess > 0 and any(column.is_axis and column.width > MIN_AXIS for column in columns):
        max((column for column in columns if column.is_axis), key=lambda column: column.width).width -= 1
        excess -= 1
    return columns


def _cell(column: Column, text: str) -> str:
    if cell_len(text) > column.width:
        # The middle goes: names of one axis begin alike (resnet50, resnet101).
        tail = (column.width - 1) // 2
        return set_cell_size(text, column.width - 1 - tail) + "…" + set_cell_size(text[-tail:], tail)
    padding = " " * (column.width - cell_len(text))
    return padding + text if column.is_number else text + padding


def _line(text: str, width: int, style: str) -> Text:
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "…"
    return Text(text.rstrip(), style=style, no_wrap=True, overflow="crop")
