"""Finished runs of other sweeps that a search begins with: of the recipe of a point of its space, on the same data."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.search import Search
from runners.contract.trials import Trial, TrialRecord
from runners.contract.yamlfile import load_yaml
from sweeper.planning.plan import PlannedJob
from sweeper.planning.search_space import inside
from sweeper.study.trial_jobs import TrialJobs

if TYPE_CHECKING:
    from reports.gathering import Sources
    from reports.records import RunRecord

# Each is composed to see whether it is one; the newest say most of what is known today.
MOST_LOOKED_AT = 500


def find_warm(search: Search, jobs: TrialJobs, default: PlannedJob, sources: "Sources") -> list[TrialRecord]:
    """Return what earlier runs tell of a search's space, oldest first; of a recipe with several seeds the newest run.

    A run counts if the job of its point, composed today, is of its recipe: then everything besides the space is the
    same, the number of epochs, the data and the project's own code among it.

    Args:
        search: whose space it is.
        jobs: composes points.
        default: the default's job.
        sources: where runs are looked for.

    Raises:
        UserError: the store cannot be reached.
    """
    from reports.gathering import gather
    from reports.search.trial_records import trial_record

    found: dict[str, TrialRecord] = {}
    for run in list(_finished(gather(sources, {default.dataset.fingerprint}).runs, default))[:MOST_LOOKED_AT]:
        if run.recipe in found:
            continue
        point = _point_of(search, run)
        if point is None or inside(search, point):
            continue
        try:
            recipe = jobs.job(point).recipe
        except UserError:
            continue  # what could not be composed today is no point of this search
        if recipe == run.recipe:
            name = f"{run.sweep_id}/{run.job_id}"
            record = trial_record(replace(run, trial=Trial(0, search.params(point), "warm", run=name)), search)
            if record.values:
                found[recipe] = record
    return [
        replace(record, job_id="", trial=replace(record.trial, number=-number))
        for number, record in enumerate(reversed(found.values()), start=1)
    ]


def _finished(runs: "tuple[RunRecord, ...]", default: PlannedJob) -> "Iterator[RunRecord]":
    """Yield the finished runs that were trained as long, the newest first."""
    n_epochs = str(default.config["n_epochs"])
    for run in sorted(runs, key=lambda run: (run.sweep_id, run.job_id), reverse=True):
        if run.has_result and run.recipe and run.params.get("n_epochs") == n_epochs:
            yield run


def _point_of(search: Search, run: "RunRecord") -> dict[str, str] | None:
    """Return where a run lies in a space, by its config where that is at hand; None where it lacks a dimension."""
    config = _config_of(run)
    point: dict[str, str] = {}
    for dimension in search.active(point):
        key = dimension.key.lstrip("+")
        value = _value_at(config, key) if config else run.params.get(key)
        if value is None:
            return None
        try:
            point[dimension.key] = dimension.written(dimension.value(str(value)))
        except ValueError:
            return None
    return point


def _config_of(run: "RunRecord") -> Mapping[str, Any]:
    if run.folder is None:
        return {}
    try:
        config = load_yaml(JobFolder(Path(run.folder)).config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return config if isinstance(config, dict) else {}


def _value_at(config: Mapping[str, Any], key: str) -> Any:
    """Return a group's choice, or the value of a dotted key."""
    if key in config.get("choices", {}):
        return config["choices"][key]
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return None if isinstance(node, Mapping) else node
