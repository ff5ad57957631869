"""Where a search stands: how many trials it has asked for, what became of them, and its best beside the default."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.objectives import Objective
from runners.contract.search import Search, read_search
from runners.contract.states import JobState
from runners.contract.yamlfile import load_yaml
from sweeper.view.job_view import JobView
from sweeper.view.sweep_view import SweepView
from sweeper.view.trial_words import difference_words, metric_words, point_words, trial_words, value_words
from sweeper.view.wording import one_line

DONE = (JobState.COMPLETED, JobState.REUSED)
# A search's settings in ``sweep.yaml``, whose jobs, thousands of lines, need not be read for them.
_HAS_SEARCH = re.compile(r"^  search:\n", re.MULTILINE)
_JOBS = "\njobs:\n"


@dataclass(frozen=True)
class Standing:
    """Where a search stands.

    Attributes:
        n_asked: trials that were begun, the default's among them.
        n_trials: that there may be.
        n_running: of those begun; the numbers below are of the same.
        n_resting: wait at a rung.
        n_done: were trained to the end.
        n_pruned: were given up before.
        n_failed: failed.
        n_cancelled: were cancelled.
        n_waiting: wait for a place, or were interrupted.
        is_over: nothing more is asked for.
        confirming: the jobs that train the best and the default again.
        best: the job of the best trial that is done and keeps all limits, by the first objective.
        default: the job of trial 0, once it is done.
    """

    n_asked: int
    n_trials: int
    n_running: int
    n_resting: int
    n_done: int
    n_pruned: int
    n_failed: int
    n_cancelled: int
    n_waiting: int
    is_over: bool
    confirming: Sequence[JobView]
    best: JobView | None
    default: JobView | None

    @property
    def n_unasked(self) -> int:
        """How many trials may still be asked for."""
        return 0 if self.is_over else max(0, self.n_trials - self.n_asked)


def fill_search(view: SweepView) -> None:
    """Let a view know what its sweep searches, before it hears of the first trial."""
    if view.search is None:
        view.search = find_search(view.folder)


def find_search(sweep: SweepFolder) -> Search | None:
    """Return the search of a stored sweep; None of a sweep that is none, or whose file cannot be read."""
    try:
        head = sweep.sweep.read_text(encoding="utf-8").partition(_JOBS)[0]
        if not _HAS_SEARCH.search(head):
            return None
        return read_search(load_yaml(head)["settings"]["search"], str(sweep.sweep))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, UserError):
        return None


def trials_of(view: SweepView) -> list[JobView]:
    """Return the jobs of a search's own trials, those that confirm it aside, in the order of their beginning."""
    return [job for job in list(view.jobs.values()) if job.trial is not None and job.trial.origin != "confirm"]


def standing_of(view: SweepView, search: Search) -> Standing:
    """Return where a search stands."""
    trials = [view.look_into(job) for job in trials_of(view)]
    first = search.objectives[0]
    sound = [job for job in trials if job.state in DONE and first.metric in job.measured]
    feasible = [job for job in sound if keeps_limits(job, search)]
    states = [job.state for job in trials]
    n_resting = sum(job.rests for job in trials)
    return Standing(
        n_asked=len(trials),
        n_trials=search.n_trials,
        n_running=states.count(JobState.RUNNING),
        n_resting=n_resting,
        n_done=sum(state in DONE for state in states),
        n_pruned=states.count(JobState.PRUNED),
        n_failed=states.count(JobState.FAILED),
        n_cancelled=states.count(JobState.CANCELLED),
        n_waiting=states.count(JobState.PLANNED) + states.count(JobState.PAUSED) - n_resting,
        is_over=view.has_asked_all or view.exit_code in (0, 1),
        confirming=[job for job in list(view.jobs.values()) if job.trial is not None and job.trial.origin == "confirm"],
        best=min(feasible, key=lambda job: loss(job, first), default=None),
        default=next((job for job in sound if job.trial is not None and job.trial.origin == "default"), None),
    )


def keeps_limits(job: JobView, search: Search) -> bool:
    """Whether a job keeps all limits that were measured of it."""
    limits = [limit for limit in search.constraints if limit.metric in job.measured]
    return all(limit.violation(job.measured[limit.metric]) <= 0 for limit in limits)


def loss(job: JobView, objective: Objective) -> float:
    """Return the value of an objective such that less is better; infinite where there is none."""
    value = job.measured.get(objective.metric)
    return float("inf") if value is None else -value if objective.is_maximized else value


def count_words(told: Standing, is_live: bool) -> str:
    """Return ``12 of 50 trials begun: 2 running, 5 resting, 3 done, 1 pruned, 1 failed``."""
    kinds = [
        (told.n_running, "running" if is_live else "cut off"),
        (told.n_waiting, "waiting" if is_live else "unfinished"),
        (told.n_resting, "resting"),
        (told.n_done, "done"),
        (told.n_pruned, "pruned"),
        (told.n_failed, "failed"),
        (told.n_cancelled, "cancelled"),
    ]
    begun = f"{told.n_asked} of {told.n_trials} trials begun"
    begun += ", no more to come" if told.is_over and told.n_asked < told.n_trials else ""
    return f"{begun}: {', '.join(f'{n} {word}' for n, word in kinds if n)}"


def confirming_words(told: Standing) -> str:
    """Return how far the confirmation is; nothing before it has begun."""
    n_done = sum(job.state in DONE for job in told.confirming)
    return f"confirmation: {n_done} of {len(told.confirming)} jobs done" if told.confirming else ""


def best_words(told: Standing, search: Search) -> str:
    """Return the best trial so far beside the default; nothing before a trial was trained to its end."""
    if told.best is None or told.best.trial is None:
        return ""
    first, *others = search.objectives
    so_far = "best" if told.is_over else "best so far"
    name = metric_words(first.metric)
    reached = told.best.measured[first.metric]
    if told.best is told.default:
        which = f"{so_far} is the default: {name} {value_words(first.metric, reached)}"
        return which + (", nothing ahead of it" if told.n_done > 1 else "")
    line = f"{so_far} is {trial_words(told.best.trial)} ({point_words(told.best.values, search.keys)}): "
    line += f"{name} {value_words(first.metric, reached)}"
    if told.default is not None:
        default = told.default.measured[first.metric]
        line += f", default {value_words(first.metric, default)} ({difference_words(first, reached, default)})"
    if others:
        line += f"; the front of {len(search.objectives)} objectives stands in the report"
    return one_line(line)
