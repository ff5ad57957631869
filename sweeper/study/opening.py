"""A search before its first job: its plan, with all that can be wrong with it told at once; and one that goes on."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.search import Search, read_search
from runners.contract.trials import WARM_STARTED, Trial, TrialRecord
from sweeper.control.left import LeftSweep
from sweeper.planning.axes import Axes
from sweeper.planning.compose import Composer
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.planning.search_check import hints, space_problems
from sweeper.planning.search_space import default_point, file_of, inside
from sweeper.stored.journal import read_journal
from sweeper.study.confirming import confirm_problems
from sweeper.study.counting import count_trials
from sweeper.study.methods import notice_of
from sweeper.study.samplers import check_methods
from sweeper.study.search_run import SearchRun
from sweeper.study.trial_jobs import TrialJobs, compose_samples, fixed_overrides, numbered, sample_points

_SEARCH = "search"


def make_search_plan(
    composer: Composer, search: Search, fixed: Sequence[str], settings: Mapping[str, Any], output_dir: Path
) -> Plan:
    """Compose the default's job, which is a search's first, and one for every choice that may come up.

    Args:
        composer: composes jobs.
        search: what is searched.
        fixed: overrides that all trials share.
        settings: the sweep's own.
        output_dir: where generated and split data goes.

    Raises:
        UserError: all that is wrong with search, configs and data.
    """
    if search.n_jobs > settings["job_limit"]:
        raise UserError(
            f"too many jobs in the search: {search.n_jobs} (search.n_trials={search.n_trials}, search.confirm="
            f"{search.confirm}), limit {settings['job_limit']}; raise job_limit if that is meant"
        )
    config = composer.compose(fixed)
    where = file_of(config)
    problems = space_problems(search, composer, fixed, where)
    if problems:
        raise UserError(*problems)
    point = default_point(search, config)
    jobs = TrialJobs(composer, fixed, output_dir, settings["entry"])
    default = jobs.job(point)
    check_methods(search, int(default.config["n_epochs"]), where)
    problems = confirm_problems(search, default.dataset)
    if problems:
        raise UserError(*problems)
    n_points = count_trials(search, point)
    few = [f"search.n_trials={search.n_trials}: the space has {n_points} points, and each is tried once"]
    few, search = few if n_points < search.n_trials else [], replace(search, n_trials=n_points)
    samples = compose_samples(jobs, sample_points(search, point))
    first = numbered(default, Trial(0, search.params(point), "default"))
    notices = [*dict.fromkeys(warning for job in (first, *samples) for warning in job.dataset.warnings)]
    notices += [f"the default lies outside of the space: {line}" for line in inside(search, point)]
    notices += [*hints(search), *few, *filter(None, [notice_of(search)])]
    plugins = jobs.plugins(point)
    return Plan(
        [PlannedJob(**{**vars(first), "job_id": "0001"})],
        Axes({key: () for key in search.keys}, list(fixed), []),
        {**settings, _SEARCH: search.describe()},
        notices,
        [plugins] if plugins.digest else [],
        samples,
    )


def search_of_plan(plan: Plan) -> Search:
    """Return the search of a plan that is one."""
    return read_search(plan.settings[_SEARCH], "sweep.yaml")


def open_search(
    plan: Plan, sweep: SweepFolder, composer: Composer, left: LeftSweep | None, say: Callable[[str], None]
) -> SearchRun:
    """Return a plan's search, ready to be asked; one that was broken off knows all that it knew.

    Args:
        plan: its jobs so far, and its settings.
        sweep: its folder.
        composer: composes more.
        left: where the jobs stand; None of a new sweep.
        say: takes one line.

    Raises:
        UserError: the default's job is not what it was: files of groups, data or plug-ins have changed.
    """
    search = search_of_plan(plan)
    trials = [job for job in plan.jobs if job.trial is not None]
    default = next(job for job in trials if job.trial and job.trial.origin == "default")
    jobs = TrialJobs(composer, fixed_overrides(search, default), sweep.path.parent, plan.settings["entry"])
    if left is not None and not left.has_asked_all and jobs.job(default.values).identity != default.identity:
        raise UserError(
            f"configs changed since the search of {sweep.path} began: the default would be another job today; put the "
            "files of conf/, data and plug-ins back, or begin a new search (warm_start=true knows this one's runs)"
        )
    warm, spent_s = _told(sweep)
    return SearchRun(search, sweep, trials, jobs, left, warm, spent_s, say, time.monotonic)


def _told(sweep: SweepFolder) -> tuple[list[TrialRecord], float]:
    """Return what a journal holds of other sweeps' runs, and for how many seconds its controllers ran."""
    warm: list[TrialRecord] = []
    spent_s, began, last = 0.0, None, None
    for event in read_journal(sweep.journal):
        if event["event"] == "sweep_started":
            spent_s += 0.0 if began is None or last is None else last - began
            began = event["at"]
        elif event["event"] == WARM_STARTED:
            warm = [TrialRecord.read(node) for node in event["trials"]]
        last = event["at"]
    return warm, spent_s
