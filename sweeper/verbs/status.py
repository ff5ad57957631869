"""``detsweep status``: where a sweep stands, read from its folder, from any terminal, whether it runs or not."""

import json
import shlex
import time
from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from runners.contract.search import Search
from runners.contract.states import JobState
from sweeper.stored.finding import find_sweep
from sweeper.verbs.report import open_console
from sweeper.verbs.words import read_words
from sweeper.view.finish_time import correction, ends_early, time_left_s, work_left_s
from sweeper.view.job_view import JobView
from sweeper.view.search_standing import standing_of
from sweeper.view.sweep_reader import read_view
from sweeper.view.sweep_table import SweepTable
from sweeper.view.sweep_view import SweepView
from sweeper.view.wording import count, duration, one_line, time_of_day

SweepState = Literal["live", "paused", "finished", "failed"]


def run_status(words: Sequence[str]) -> int:
    """Carry ``detsweep status [SWEEP] [--json] [--all]`` out.

    Returns:
        0, however the sweep stands.

    Raises:
        UserError: no such sweep, or its journal is damaged.
    """
    asked = read_words("status", words, ("--json", "--all"))
    view = read_view(find_sweep(asked.name, asked.output_dir))
    if "--json" in asked.flags:
        print(json.dumps(status_json(view, time.time()), ensure_ascii=False))
        return 0
    console = open_console()
    now = time.time()
    for line in head_lines(view, now):
        console.print(Text(line), soft_wrap=True)
    if "--all" in asked.flags:
        console.print(SweepTable(view, now, n_rows=2 * len(view.jobs)))
    else:
        console.print(SweepTable(view, now))
    print_way_on(view, console)
    return 0


def sweep_state(view: SweepView) -> SweepState:
    """Return how a sweep stands: somebody runs it, something is left, all done, or done with failed jobs."""
    if view.is_live:
        return "live"
    counts = view.counts()
    if not view.jobs or n_left(view):
        return "paused"
    return "failed" if counts[JobState.FAILED] else "finished"


def n_begun_left(view: SweepView) -> int:
    """Return how many of a sweep's jobs have not come to an end."""
    return sum(number for state, number in view.counts().items() if not state.is_terminal)


def unasked(view: SweepView) -> int:
    """Return how many trials a search may still begin; 0 of a sweep that is none."""
    return 0 if view.search is None else standing_of(view, view.search).n_unasked


def n_left(view: SweepView) -> int:
    """Return how many jobs of a sweep are left to do; of a search at most so many."""
    return n_begun_left(view) + unasked(view)


def head_lines(view: SweepView, now: float) -> list[str]:
    """Return what stands above the table: the sweep, who runs it, and the command that started it."""
    state = sweep_state(view)
    began = view.started_at
    told: list[str] = [state]
    if view.is_live and view.controller:
        controller = view.controller
        told.append(f"process {controller.get('pid')} on {controller.get('host')}")
    if began is not None:
        told.append(f"started {time_of_day(began, now)}, {duration(now - began)} ago")
    lines = [f"{view.folder.path}: {'; '.join(told)}"]
    if view.command:
        lines.append(one_line(shlex.join(view.command)))
    return lines


def print_way_on(view: SweepView, console: Console) -> None:
    """Print the command that suits how a sweep stands."""
    sweep = shlex.quote(view.folder.sweep_id)
    state = sweep_state(view)
    if state == "live":
        line = f"watch it: detsweep attach {sweep}    end it: detsweep stop {sweep}"
    elif state == "paused":
        left = f"{count(n_begun_left(view), 'job')} left"
        if unasked(view):
            left += f", and up to {count(unasked(view), 'trial')} not begun"
        line = f"nobody runs it; {left}: detsweep resume {sweep}"
    elif state == "failed":
        line = f"try what failed again: detsweep retry {sweep} --failed    compare the rest: detsweep report {sweep}"
    else:
        line = f"compare: detsweep report {sweep}"
    console.print(Text(line, style="dim"), soft_wrap=True)


def status_json(view: SweepView, now: float) -> dict[str, Any]:
    """Return everything that is known of a sweep as plain data; times are seconds since the epoch, AP is in 0-1."""
    counts = view.counts()
    left_s = work_left_s(view, now) if view.is_live else None
    factor, typical_s = correction(view)
    return {
        "sweep": view.folder.sweep_id,
        "folder": str(view.folder.path),
        "state": sweep_state(view),
        "command": view.command,
        "controller": {key: view.controller.get(key) for key in ("pid", "host", "at")} if view.is_live else None,
        "started_at": view.started_at,
        "exit_code": view.exit_code,
        "counts": {state.value: counts[state] for state in JobState if counts[state]},
        "n_jobs": len(view.jobs),
        "n_left": n_left(view),
        "busy_share": view.busy_share(now),
        "devices": [
            {"device": device.label, "name": device.name, "is_open": device.is_open, "n_jobs": device.n_jobs}
            for device in view.devices.values()
        ],
        "finish_at": None if left_s is None else now + left_s,
        "is_finish_latest": ends_early(view),
        "best_val_ap50": best_ap50(view),
        "search": None if view.search is None else search_json(view, view.search),
        "jobs": [_job_json(view, job, now, factor, typical_s) for job in view.jobs.values()],
    }


def search_json(view: SweepView, search: Search) -> dict[str, Any]:
    """Return where a search stands as plain data; average precisions are in 0-1."""
    told = standing_of(view, search)
    first = search.objectives[0].metric
    best, default = told.best, told.default
    chosen: dict[str, Any] | None = None
    if best is not None and best.trial is not None:
        chosen = {"job": best.job_id, "trial": best.trial.number, "value": best.measured[first]}
        chosen["values"] = dict(best.values)
    return {
        "name": search.name,
        "objective": first,
        "direction": search.objectives[0].direction,
        "n_trials": told.n_trials,
        "n_begun": told.n_asked,
        "n_running": told.n_running,
        "n_waiting": told.n_waiting,
        "n_resting": told.n_resting,
        "n_done": told.n_done,
        "n_pruned": told.n_pruned,
        "n_failed": told.n_failed,
        "n_cancelled": told.n_cancelled,
        "n_warm": view.n_warm,
        "has_asked_all": told.is_over,
        "best": chosen,
        "default_value": None if default is None else default.measured[first],
        "n_confirming": len(told.confirming),
    }


def best_ap50(view: SweepView) -> float | None:
    """Return the best val AP50 of a sweep's jobs so far, 0-1."""
    values = [view.look_into(job).ap50 for job in view.jobs.values()]
    return max((value for value in values if value is not None), default=None)


def _job_json(view: SweepView, job: JobView, now: float, factor: float, typical_s: float) -> dict[str, Any]:
    is_running = view.is_live and job.state is JobState.RUNNING
    return {
        "job": job.job_id,
        "title": job.title,
        "values": dict(job.values),
        "state": job.state.value,
        "trial": None if job.trial is None else job.trial.describe(),
        "is_resting": job.rests,
        "slot": job.slot if is_running else None,
        "attempt": job.attempt,
        "phase": job.phase if is_running else None,
        "epoch": job.reached,
        "n_epochs": job.n_epochs,
        "done": job.done,
        "loss": job.loss,
        "val_ap50": job.ap50,
        "memory_gb": job.memory_gb,
        "expected_memory_gb": job.expected_memory_gb or None,
        "expected_s": job.expected_s or None,
        "left_s": time_left_s(job, now, factor, typical_s) if is_running else None,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "spent_s": job.spent_s,
        "reason": job.reason or None,
        "kind": job.kind,
        "is_halved": job.is_halved,
        "is_resumed": job.is_resumed,
        "reused_from": job.reused_from or None,
        "log": str(view.attempt_folder(job).log) if job.attempt or job.reused_from else None,
    }
