"""A sweep read back from its folder: the same plan, from what was written before its first job started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.identity import job_identity
from runners.contract.plugin_sources import DIGEST
from runners.contract.plugin_trust import TRUST
from runners.contract.states import JobState
from runners.contract.trials import Trial
from runners.contract.yamlfile import YamlParts
from sweeper.control.left import LeftSweep
from sweeper.planning.axes import Axes
from sweeper.planning.dataset import PreparedDataset, prepare_dataset
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.planning.settings import sweep_settings
from sweeper.project.places import asked_output_dir
from sweeper.stored.finding import find_sweep
from sweeper.stored.redaction import MASK
from sweeper.stored.sweep_file import read_sweep_file
from sweeper.stored.versions import stack_versions

# What may be another machine's affair by now; everything else of a sweep stays as it was planned, and as a checkpoint
# knows it.
CHANGEABLE = (
    "gpus",
    "jobs_per_gpu",
    "busy_gpus",
    "n_workers",
    "batch_per_step",
    "keep",
    "max_losses",
    "first_step_limit_min",
    "step_limit_min",
    "tracking.uri",
)
# Said on the command line that what has changed since the sweep was planned is meant.
ACCEPT = "accept_change"


@dataclass(frozen=True)
class StoredSweep:
    """What a sweep's folder says about it.

    Attributes:
        plan: its jobs and settings.
        command: the command line that started it.
        accepts_change: what has changed since it was planned is meant.
        trusted_plugins: beginnings of the digests of code that may run although another wrote it, commas between them.
    """

    plan: Plan
    command: Sequence[str]
    accepts_change: bool = False
    trusted_plugins: str = ""


def asked_sweep(verb: str, words: Sequence[str]) -> tuple[SweepFolder, list[str]]:
    """Return the sweep that a command line names (default: the newest), and the settings that stand behind it.

    Raises:
        UserError: there is no such sweep, or more than one is named.
    """
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UserError(f"sweep in detsweep {verb} {' '.join(words)}: {len(names)} given; name one")
    changes = [word for word in words if "=" in word and not word.startswith("output_dir=")]
    return find_sweep(names[0] if names else None, asked_output_dir(words)), changes


def read_stored(sweep: SweepFolder, changes: Sequence[str]) -> StoredSweep:
    """Read a sweep back.

    Args:
        sweep: its folder.
        changes: settings that are to differ from now on, ``gpus=1``.

    Raises:
        UserError: a setting that cannot be changed.
    """
    stored = read_sweep_file(sweep)
    datasets = {entry["fingerprint"]: entry for entry in stored["datasets"]}
    axes = Axes(stored["axes"], [], [])
    parts = YamlParts()
    jobs = [read_job(sweep, job, datasets[job["fingerprint"]], axes, parts) for job in stored["jobs"]]
    accepts = f"{ACCEPT}=true" in changes
    trusted = ",".join(change.partition("=")[2] for change in changes if change.partition("=")[0] == TRUST)
    changes = [change for change in changes if change.partition("=")[0] not in (ACCEPT, TRUST)]
    plan = Plan(jobs, axes, _changed(stored["settings"], changes), [])
    return StoredSweep(plan, stored["command"], accepts, trusted)


def find_changes(stored: StoredSweep, sweep: SweepFolder, left: LeftSweep) -> list[str]:
    """Return a line for each thing that is no longer what the sweep was planned with: data, configs, versions.

    Folds and shapes, which detsweep made itself, are made again if they are gone.
    """
    changes: list[str] = []
    states = left.states
    for job in stored.plan.jobs:
        if states.get(job.job_id, JobState.PLANNED).is_terminal:
            continue
        found = prepare_dataset(job.dataset.source, sweep.path.parent, job.config["fold"])
        if found.fingerprint != job.dataset.fingerprint:
            sizes = [f"{split} {n} -> {found.n_images.get(split, 0)}" for split, n in job.dataset.n_images.items()]
            changes.append(
                f"data set changed in {job.dataset.source['root']}: fingerprint {job.dataset.fingerprint[:12]} -> "
                f"{found.fingerprint[:12]}, images {', '.join(sizes)}"
            )
        planned = left.jobs[job.job_id].config_sha256 if job.job_id in left.jobs else ""
        path = sweep.job(job.job_id).config
        if planned and sha256_of(path) != planned:
            changes.append(f"config changed in {path}: SHA-256 {planned[:12]} -> {sha256_of(path)[:12]}")
    now = stack_versions()
    for name in sorted({*left.versions, *now}):
        before, after = left.versions.get(name, "none"), now.get(name, "none")
        if before != after:
            changes.append(f"version changed of {name}: {before} -> {after}")
    return list(dict.fromkeys(changes))


def refuse_changes(stored: StoredSweep, sweep: SweepFolder, left: LeftSweep) -> list[str]:
    """Return what has changed since the sweep was planned, if that is accepted.

    Raises:
        UserError: it is not; all changes, one line each.
    """
    changes = find_changes(stored, sweep, left)
    if changes and not stored.accepts_change:
        raise UserError(*(f"{change}; put it back, or go on all the same with {ACCEPT}=true" for change in changes))
    return changes


def read_job(
    sweep: SweepFolder,
    job: Mapping[str, Any],
    dataset: Mapping[str, Any],
    axes: Axes,
    parts: YamlParts | None = None,
) -> PlannedJob:
    """Return a job as it was planned.

    Args:
        sweep: the sweep's folder.
        job: what ``sweep.yaml`` says of it.
        dataset: what it says of its data set.
        axes: of the sweep.
        parts: what the configs of this sweep have in common; read once.

    Raises:
        UserError: its config is missing or damaged.
    """
    path = sweep.job(job["id"]).config
    try:
        config = (parts or YamlParts()).load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"config of a job in {path}: {' '.join(str(error).split())}; restore the file") from None
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
    place = {key: values[key] for key in axes.values if key in values}
    identity = job.get("identity") or job_identity(config, dataset["fingerprint"], config.get(DIGEST, ""))
    # A sweep that was stored before there were recipes does not have it: its runs are nobody's replicates.
    recipe = job.get("recipe", "")
    trial = Trial.read(job["trial"]) if "trial" in job else None
    return PlannedJob(job["id"], job["title"], job["overrides"], place, config, prepared, identity, recipe, trial)


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
