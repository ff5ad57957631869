"""The job of a trial: a point of a search composed, checked and named as any other job of a plan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.identity import job_identity, recipe_identity
from runners.contract.naming import base_title
from runners.contract.search import Search
from runners.contract.trials import Trial
from sweeper.planning.axes import Axes
from sweeper.planning.compose import Composer
from sweeper.planning.job_configs import JobConfig, JobConfigs
from sweeper.planning.plan import PlannedJob, code_of
from sweeper.planning.plugins import PluginFinder, Plugins
from sweeper.project.project import find_project


class TrialJobs:
    """Composes the jobs of a search.

    Args:
        composer: composes them.
        fixed: overrides that all trials share.
        output_dir: where generated and split data goes.
        entry: the module that executes the sweep's attempts.
    """

    def __init__(self, composer: Composer, fixed: Sequence[str], output_dir: Path, entry: str) -> None:
        self._composer = composer
        self._fixed = list(fixed)
        self._output_dir = output_dir
        self.entry = entry
        self._finder = PluginFinder(find_project().root)
        # Points with the same keys differ in nothing but values, and share what they have in common.
        self._configs: dict[tuple[str, ...], JobConfigs] = {}

    def job(self, point: Mapping[str, str], trial: Trial | None = None) -> PlannedJob:
        """Return the job of a point; it has no number yet.

        Args:
            point: key to value, as they stand in overrides.
            trial: what it is in the search.

        Raises:
            UserError: all problems of its config, data set and plug-ins.
        """
        config, plugins = self._compose(point)
        title = base_title(config.config) + ("" if trial is None else f"_trial{trial.number}")
        told = (config.config, config.dataset.fingerprint, code_of(self.entry, plugins.digest))
        return PlannedJob(
            job_id="",
            title=title,
            overrides=self._axes(point).overrides(point),
            values=dict(point),
            config={**plugins.placed_in(config.config), "title": title},
            dataset=config.dataset,
            identity=job_identity(*told),
            recipe=recipe_identity(*told),
            trial=trial,
        )

    def plugins(self, point: Mapping[str, str]) -> Plugins:
        """Return the project's own code that a point's job imports."""
        return self._compose(point)[1]

    def _compose(self, point: Mapping[str, str]) -> tuple[JobConfig, Plugins]:
        keys = tuple(point)
        if keys not in self._configs:
            self._configs[keys] = JobConfigs(self._composer, self._axes(point), self._output_dir)
        config = self._configs[keys].job(point)
        return config, self._finder.find(config.config.get("plugins"))

    def _axes(self, point: Mapping[str, str]) -> Axes:
        return Axes({key: () for key in point}, self._fixed, ())


def fixed_overrides(search: Search, job: PlannedJob) -> list[str]:
    """Return the overrides that a trial's job shares with all others of its search."""
    return [line for line in job.overrides if line.partition("=")[0] not in search.keys]


def numbered(job: PlannedJob, trial: Trial) -> PlannedJob:
    """Return a job that has been composed already as that of a trial."""
    title = f"{base_title(job.config)}_trial{trial.number}"
    return replace(job, title=title, config={**job.config, "title": title}, trial=trial)


def sample_points(search: Search, default: Mapping[str, str]) -> list[dict[str, str]]:
    """Return points that have every choice of every dimension once, for a look at all that a search may compose.

    Args:
        search: the search.
        default: the point of the config without it.
    """
    points = [_completed(search, {}, default)]
    for dimension in search.dimensions:
        for value in dimension.choices or map(dimension.written, dimension.span):
            needed = {
                key: default[key] if default.get(key) in values else values[0] for key, values in dimension.when.items()
            }
            points.append(_completed(search, {**needed, dimension.key: value}, default))
    return [
        point for number, point in enumerate(points) if point not in points[:number] and not search.is_excluded(point)
    ]


def _completed(search: Search, chosen: Mapping[str, str], default: Mapping[str, str]) -> dict[str, str]:
    """Return a whole point: what is chosen, else the default's value, else the lowest or first."""
    point: dict[str, str] = {}
    for dimension in search.active(point):
        value = chosen.get(dimension.key, default.get(dimension.key, ""))
        if not dimension.holds(value):
            value = dimension.choices[0] if dimension.choices else dimension.written(dimension.span[0])
        point[dimension.key] = value
    return point


def compose_samples(jobs: TrialJobs, points: Iterable[Mapping[str, str]]) -> list[PlannedJob]:
    """Compose points before anything is started.

    Raises:
        UserError: what is wrong with any of them.
    """
    composed, problems = [], []
    for point in points:
        try:
            composed.append(jobs.job(point))
        except UserError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise UserError(*problems)
    return composed
