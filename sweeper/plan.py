"""The plan: every job of a sweep composed, checked and named before anything is started."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from runners.contract.errors import UserError
from runners.contract.identity import job_identity
from runners.contract.naming import titles
from sweeper.axes import SWEEP_SETTINGS, Axes
from sweeper.compose import Composer
from sweeper.dataset import PreparedDataset, prepare_dataset
from sweeper.setting_rules import batch_problems, class_count_problems
from sweeper.settings import resolve


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
    """

    job_id: str
    title: str
    overrides: Sequence[str]
    values: Mapping[str, str]
    config: Mapping[str, Any]
    dataset: PreparedDataset
    identity: str = ""


@dataclass(frozen=True)
class Plan:
    """All that a sweep will do, decided; nothing is started yet.

    Attributes:
        jobs: in the order in which they will be started.
        axes: what is varied.
        settings: the sweep's own settings (`gpus`, `output_dir`, ...).
        notices: lines worth telling before the start.
    """

    jobs: Sequence[PlannedJob]
    axes: Axes
    settings: Mapping[str, Any]
    notices: Sequence[str]

    @property
    def count(self) -> str:
        """How many jobs, in words."""
        return "1 job" if len(self.jobs) == 1 else f"{len(self.jobs)} jobs"


def make_plan(composer: Composer, axes: Axes, settings: Mapping[str, Any], output_dir: Path) -> Plan:
    """Compose and check every job.

    Raises:
        UserError: all problems of configs and data sets, together; or more jobs than `job_limit`.
    """
    n_jobs = math.prod(len(values) for values in axes.values.values())
    if n_jobs > settings["job_limit"]:
        factors = " x ".join(f"{len(values)} {key}" for key, values in axes.values.items())
        raise UserError(
            f"too many jobs in the sweep: {n_jobs} jobs ({factors}), limit {settings['job_limit']}; "
            "raise job_limit if that is meant"
        )
    problems: list[str] = []
    composed: list[tuple[Mapping[str, str], dict[str, Any], PreparedDataset]] = []
    sharing = SharedParts()
    notices = list(axes.notices)
    for point in axes.points():
        try:
            config = composer.compose(axes.overrides(point))
            dataset = _prepare(config, output_dir)
            mismatches = [
                *batch_problems(config, dataset.n_images["train"]),
                *class_count_problems(config, len(dataset.classes)),
            ]
            if mismatches:
                raise UserError(*mismatches)
            job_config = sharing.shared(_job_config(config, dataset))
        except UserError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            continue
        notices += [warning for warning in dataset.warnings if warning not in notices]
        composed.append((point, job_config, dataset))
    if problems:
        raise UserError(*problems)
    named = titles([config for _, config, _ in composed], [point for point, _, _ in composed])
    jobs = [
        PlannedJob(
            f"{number:04d}",
            title,
            axes.overrides(point),
            point,
            {**config, "title": title},
            dataset,
            job_identity(config, dataset.fingerprint),
        )
        for number, (title, (point, config, dataset)) in enumerate(zip(named, composed, strict=True), start=1)
    ]
    return Plan(jobs, axes, settings, notices)


class SharedParts:
    """Lets the configs of a sweep share what is equal in them: thousands of jobs differ in a few values."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def shared(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return an equal config, each part of which is the one object for all jobs; none of it may be changed."""
        return {key: self._one(value) for key, value in config.items()}

    def _one(self, part: Any) -> Any:
        if not isinstance(part, dict | list):
            return part
        return self._known.setdefault(json.dumps(part, default=repr), part)


def _prepare(config: DictConfig, output_dir: Path) -> PreparedDataset:
    """Check and place a data set; classes that are interpolated come from its own files, not from a resolver."""
    with open_dict(config.dataset):
        if OmegaConf.is_interpolation(config.dataset, "classes"):
            config.dataset.classes = None
    node = OmegaConf.to_container(config.dataset, resolve=True)
    assert isinstance(node, dict)
    return prepare_dataset({str(key): value for key, value in node.items()}, output_dir, config.fold)


def _job_config(config: DictConfig, dataset: PreparedDataset) -> dict[str, Any]:
    """Return what is trained: the resolved config without the sweep's own settings."""
    resolved = resolve(config, dataset.node)
    return {key: value for key, value in resolved.items() if key not in (*SWEEP_SETTINGS, "hydra")}
