"""The plan: every job of a sweep composed, checked and named before anything is started."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.identity import job_identity, recipe_identity
from runners.contract.naming import titles
from runners.contract.trials import Trial
from sweeper.planning.axes import Axes
from sweeper.planning.compose import Composer
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.job_configs import JobConfig, JobConfigs
from sweeper.planning.plugins import PluginFinder, Plugins
from sweeper.project.project import find_project

# The module that trains with MMDetection.
OWN_ENTRY = "runners.job"


@dataclass(frozen=True)
class PlannedJob:
    """One job of a plan.

    Attributes:
        job_id: its number in the sweep, ``0001``.
        title: what people call it.
        overrides: everything that composes it again.
        values: what the axes are for this job.
        config: the resolved config, what ``config.yaml`` holds.
        dataset: what the preparation of its data set found.
        identity: tells what is trained from anything else (`runners.contract.identity`).
        recipe: the same of all that differ from it in nothing but their seed.
        trial: which point of a search it trains, or repeats; None of a sweep that is no search.
    """

    job_id: str
    title: str
    overrides: Sequence[str]
    values: Mapping[str, str]
    config: Mapping[str, Any]
    dataset: PreparedDataset
    identity: str = ""
    recipe: str = ""
    trial: Trial | None = None


@dataclass(frozen=True)
class Plan:
    """All that a sweep will do, decided; nothing is started yet.

    Attributes:
        jobs: in the order in which they will be started.
        axes: what is varied.
        settings: the sweep's own settings (`gpus`, `output_dir`, ...).
        notices: lines worth telling before the start.
        plugins: the project's own code that jobs import, each set once.
        samples: of a search, jobs with every choice that may come up; they are composed and not trained.
    """

    jobs: Sequence[PlannedJob]
    axes: Axes
    settings: Mapping[str, Any]
    notices: Sequence[str]
    plugins: Sequence[Plugins] = field(default=())
    samples: Sequence[PlannedJob] = field(default=())

    @property
    def n_jobs(self) -> int:
        """How many jobs there may be in the end: of a search more than are planned."""
        search = self.settings.get("search")
        n_asked = search["n_trials"] + search["confirm"] * (search["candidates"] + 1) if search else 0
        return max(len(self.jobs), n_asked)

    @property
    def count(self) -> str:
        """How many jobs, in words."""
        if self.n_jobs > len(self.jobs):
            return f"up to {self.n_jobs} jobs"
        return "1 job" if len(self.jobs) == 1 else f"{len(self.jobs)} jobs"

    def of_samples(self) -> "Plan":
        """Return the plan of the jobs that a search may come to ask for, for a look at each kind of them."""
        named = titles([job.config for job in self.samples], [job.values for job in self.samples])
        jobs = [
            replace(job, job_id=f"{number:04d}", title=title, config={**job.config, "title": title})
            for number, (title, job) in enumerate(zip(named, self.samples, strict=True), start=1)
        ]
        return replace(self, jobs=jobs, settings={**self.settings, "search": None})


def make_plan(composer: Composer, axes: Axes, settings: Mapping[str, Any], output_dir: Path) -> Plan:
    """Compose and check every job.

    Raises:
        UserError: all problems of configs, data sets and plug-ins, together; or more jobs than `job_limit`.
    """
    n_jobs = math.prod(len(values) for values in axes.values.values())
    if n_jobs > settings["job_limit"]:
        factors = " x ".join(f"{len(values)} {key}" for key, values in axes.values.items())
        raise UserError(
            f"too many jobs in the sweep: {n_jobs} jobs ({factors}), limit {settings['job_limit']}; "
            "raise job_limit if that is meant"
        )
    problems: list[str] = []
    composed: list[tuple[Mapping[str, str], JobConfig, Plugins]] = []
    configs = JobConfigs(composer, axes, output_dir)
    finder = PluginFinder(find_project().root)
    notices = list(axes.notices)
    for point in axes.points():
        try:
            job = configs.job(point)
            plugins = finder.find(job.config.get("plugins"))
        except UserError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            continue
        notices += [warning for warning in job.dataset.warnings if warning not in notices]
        composed.append((point, job, plugins))
    if problems:
        raise UserError(*problems)
    named = titles([job.config for _, job, _ in composed], [point for point, _, _ in composed])
    jobs = [
        PlannedJob(
            f"{number:04d}",
            title,
            axes.overrides(point),
            point,
            {**plugins.placed_in(job.config), "title": title},
            job.dataset,
            job_identity(job.config, job.dataset.fingerprint, code_of(settings["entry"], plugins.digest)),
            recipe_identity(job.config, job.dataset.fingerprint, code_of(settings["entry"], plugins.digest)),
        )
        for number, (title, (point, job, plugins)) in enumerate(zip(named, composed, strict=True), start=1)
    ]
    found = {plugins.digest: plugins for _, _, plugins in composed if plugins.digest}
    return Plan(jobs, axes, settings, notices, list(found.values()))


def code_of(entry: str, plugin_digest: str) -> str:
    """Return what tells the code of a job from any other's, beside detsweep's own."""
    # Another module that executes attempts gives other results.
    return " ".join(part for part in ("" if entry == OWN_ENTRY else entry, plugin_digest) if part)
