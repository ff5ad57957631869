"""A sweep in a line or two: how many jobs are done, how busy the devices are, when the rest will be finished."""

from collections.abc import Sequence

from runners.contract.search import Search
from runners.contract.states import JobState
from sweeper.view.finish_time import ends_early, work_left_s
from sweeper.view.job_view import JobView
from sweeper.view.search_standing import best_words, confirming_words, count_words, standing_of
from sweeper.view.sweep_view import SweepView
from sweeper.view.wording import count, duration, one_line, time_of_day

PHASES = {"build": "starting", "train": "training", "val": "validating", "test": "testing"}
WORDS = {JobState.COMPLETED: "done", JobState.PLANNED: "waiting"}


def summary_lines(view: SweepView, now: float) -> list[str]:
    """Return the lines that sum a sweep up: jobs done, running, left, failed; devices busy; when it will be done."""
    if view.search is not None:
        return _search_lines(view, view.search, now)
    counts = view.counts()
    n_done = counts[JobState.COMPLETED] + counts[JobState.REUSED] + counts[JobState.PRUNED] + counts[JobState.SKIPPED]
    n_left = counts[JobState.PLANNED] + counts[JobState.PAUSED] + counts[JobState.RUNNING]
    told = [f"{n_done} of {count(len(view.jobs), 'job')} done"]
    if counts[JobState.REUSED]:
        told[0] += f" ({counts[JobState.REUSED]} reused)"
    if view.is_live and counts[JobState.RUNNING]:
        told.append(f"{counts[JobState.RUNNING]} running")
    if n_left:
        told.append(f"{n_left} left")
    told += [
        f"{counts[state]} {state.value.lower()}" for state in (JobState.FAILED, JobState.CANCELLED) if counts[state]
    ]
    busy = view.busy_share(now)
    if view.is_live and busy is not None:
        told.append(f"devices busy {100 * busy:.0f} %")
    lines = [", ".join(told)]
    if view.is_live and n_left:
        lines.append(finish_words(view, now))
    return lines


def _search_lines(view: SweepView, search: Search, now: float) -> list[str]:
    """Return the lines that sum a search up: trials begun and what became of them, its best, when it will be done."""
    told = standing_of(view, search)
    busy = view.busy_share(now)
    is_busy = view.is_live and busy is not None
    lines = [count_words(told, view.is_live) + (f"; devices busy {100 * busy:.0f} %" if is_busy and busy else "")]
    lines += [words for words in (best_words(told, search), confirming_words(told)) if words]
    is_left = told.n_unasked or any(not state.is_terminal for state in view.counts())
    if view.is_live and is_left:
        lines.append(finish_words(view, now))
    return lines


def finish_words(view: SweepView, now: float) -> str:
    """Return when a sweep will be done, or why that cannot be told."""
    if view.stop_reason:
        return f"stopping ({one_line(view.stop_reason)}): running jobs save; detsweep resume goes on"
    if view.is_held:
        return "on hold; detsweep resume goes on"
    left_s = work_left_s(view, now)
    if left_s is None:
        return "finish time not known yet"
    when, left = time_of_day(now + left_s, now), duration(left_s)
    if not ends_early(view):
        return f"finishes about {when}, in {left}"
    assert view.search is not None
    early = "trials that fall behind are not trained to their end"
    why = early if view.search.prunes else "it may stop before its last trial"
    return f"finishes by {when} at the latest, in {left}; {why}"


def hidden_words(view: SweepView, rows: Sequence[JobView]) -> str:
    """Return what the table leaves out: ``97 more: 12 done, 85 waiting``."""
    shown = {job.job_id for job in rows}
    words: dict[str, int] = {}
    for job in list(view.jobs.values()):
        if job.job_id not in shown:
            word = _word(job)
            words[word] = words.get(word, 0) + 1
    return f"{sum(words.values())} more: {', '.join(f'{n} {word}' for word, n in words.items())}"


def state_words(job: JobView, is_live: bool = True) -> str:
    """Return a job's state as the table says it; of a running job what it does."""
    if job.state is JobState.RUNNING:
        return one_line(PHASES.get(job.phase, job.phase)) if is_live else "cut off"
    return _word(job)


def _word(job: JobView) -> str:
    return "resting" if job.rests else WORDS.get(job.state) or str(job.state.value).lower()
