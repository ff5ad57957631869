"""A sweep read back from its folder: the same plan, from what was written before its first job started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.axes import Axes
from sweeper.dataset import PreparedDataset, prepare_dataset
from sweeper.plan import Plan, PlannedJob
from sweeper.redaction import MASK
from sweeper.report import find_sweep
from sweeper.settings import sweep_settings

# What may be another machine's affair by now; everything else of a sweep stays as it was planned, and as a checkpoint
# knows it.
CHANGEABLE = ("gpus", "jobs_per_gpu", "n_workers", "tracking.uri")


@dataclass(frozen=True)
class StoredSweep:
    """What a sweep's folder says about it.

    Attributes:
        plan: its jobs and settings.
        command: the command line that started it.
    """

    plan: Plan
    command: Sequence[str]


def asked_sweep(verb: str, words: Sequence[str]) -> tuple[SweepFolder, list[str]]:
    """Return the sweep that a command line names (default: the newest), and the settings that stand behind it.

    Raises:
        UserError: there is no such sweep, or more than one is named.
    """
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UserError(f"sweep in detsweep {verb} {' '.join(words)}: {len(names)} given; name one")
    changes = [word for word in words if "=" in word and not word.startswith("output_dir=")]
    output_dir = next((word.partition("=")[2] for word in words if word.startswith("output_dir=")), "outputs")
    return find_sweep(names[0] if names else None, Path(output_dir).absolute()), changes


def read_stored(sweep: SweepFolder, changes: Sequence[str]) -> StoredSweep:
    """Read a sweep back.

    Args:
        sweep: its folder.
        changes: settings that are to differ from now on, ``gpus=1``.

    Raises:
        UserError: a setting that cannot be changed.
    """
    stored = yaml.safe_load(sweep.sweep.read_text(encoding="utf-8"))
    datasets = {entry["fingerprint"]: entry for entry in stored["datasets"]}
    axes = Axes(stored["axes"], [], [])
    jobs = [_read_job(sweep, job, datasets[job["fingerprint"]], axes) for job in stored["jobs"]]
    plan = Plan(jobs, axes, _changed(stored["settings"], changes), [])
    return StoredSweep(plan, stored["command"])


def refuse_changed_data(stored: StoredSweep, sweep: SweepFolder) -> None:
    """Prepare the data of every job again; folds and shapes, which detsweep made itself, are made again if gone.

    Raises:
        UserError: a data set is no longer the one that the sweep was planned with.
    """
    for job in stored.plan.jobs:
        found = prepare_dataset(job.dataset.source, sweep.path.parent, job.config["fold"])
        if found.fingerprint != job.dataset.fingerprint:
            sizes = [f"{split} {n} -> {found.n_images.get(split, 0)}" for split, n in job.dataset.n_images.items()]
            raise UserError(
                f"data set changed in {job.dataset.source['root']}: fingerprint {job.dataset.fingerprint[:12]} -> "
                f"{found.fingerprint[:12]}, images {', '.join(sizes)}; put the old files back, or start a new sweep"
            )


def _read_job(sweep: SweepFolder, job: Mapping[str, Any], dataset: Mapping[str, Any], axes: Axes) -> PlannedJob:
    config = yaml.safe_load(sweep.job(job["id"]).config.read_text(encoding="utf-8"))
    prepared = PreparedDataset(
        node=config["dataset"],
        source=dataset["source"],
        classes=config["dataset"]["classes"],
        fingerprint=dataset["fingerprint"],
        n_images=dataset["n_images"],
        labelled=dataset["labelled"],
        warnings=[],
    )
    values = dict(override.split("=", 1) for override in job["overrides"] if "=" in override)
    return PlannedJob(
        job["id"], job["title"], job["overrides"], {key: values[key] for key in axes.values}, config, prepared
    )


def _changed(settings: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    unknown = [change for change in changes if change.partition("=")[0] not in CHANGEABLE or "=" not in change]
    if unknown:
        raise UserError(f"no change in resume: {', '.join(unknown)}; what may change is {', '.join(CHANGEABLE)}")
    config = OmegaConf.create(dict(settings))
    try:
        for change in changes:
            key, _, value = change.partition("=")
            # A list of devices is text; everything else is read as YAML, as Hydra reads it.
            OmegaConf.update(config, key, value if key == "gpus" else yaml.safe_load(value))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"broken setting in resume: {' '.join(str(error).split())}") from None
    if MASK in str(config.tracking.uri):
        raise UserError(
            f"password in tracking.uri: {config.tracking.uri} was stored without it; give tracking.uri= again"
        )
    return sweep_settings(config)
