"""``sweep.yaml``: what a sweep is about, written before its first job starts and read by whoever looks at it later."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.naming import dataset_name
from runners.contract.yamlfile import YamlParts, dump_entries, dump_yaml
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.stored.redaction import without_password
from sweeper.stored.versions import stack_versions

# The list of jobs as `dump_entries` writes it, an entry a line, at the file's end.
_JOBS = re.compile(r"^jobs:\n(?:- \{.*\}\n)+\Z", re.MULTILINE)


def write_sweep_file(folder: SweepFolder, plan: Plan, name: str, command: Sequence[str]) -> None:
    """Write ``sweep.yaml`` in one piece."""
    datasets = {job.dataset.fingerprint: describe_dataset(job) for job in plan.jobs}
    content = {
        "id": folder.sweep_id,
        "name": name,
        "command": list(command),
        "axes": {key: list(values) for key, values in plan.axes.values.items()},
        "settings": _without_secrets(plan.settings),
        "versions": stack_versions(),
        "datasets": list(datasets.values()),
    }
    write_text(folder.sweep, dump_yaml(content) + dump_entries("jobs", [describe_job(job) for job in plan.jobs]))


def read_sweep_file(folder: SweepFolder) -> dict[str, Any]:
    """Read ``sweep.yaml``.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        content = YamlParts().load(folder.sweep.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"sweep in {folder.path}: no file {folder.sweep.name}; name the folder of a sweep") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"sweep file damaged in {folder.sweep}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not {"jobs", "datasets", "settings", "axes", "versions"} <= content.keys():
        raise UserError(f"sweep file damaged in {folder.sweep}: not all of its parts are there; restore the file")
    return content


def add_to_sweep_file(
    folder: SweepFolder,
    jobs: Sequence[Mapping[str, Any]],
    datasets: Sequence[Mapping[str, Any]],
    axes: Mapping[str, Sequence[str]],
) -> None:
    """Add jobs to ``sweep.yaml``, in one piece; what is there already is not added again.

    Args:
        folder: the sweep's.
        jobs: as `describe_job` gives them.
        datasets: as `describe_dataset` gives them.
        axes: axis key to values, some of them new.
    """
    content = read_sweep_file(folder)
    known = {job["id"] for job in content["jobs"]}
    content["jobs"] += [dict(job) for job in jobs if job["id"] not in known]
    fingerprints = {dataset["fingerprint"] for dataset in content["datasets"]}
    content["datasets"] += [dict(dataset) for dataset in datasets if dataset["fingerprint"] not in fingerprints]
    for key, values in axes.items():
        content["axes"][key] = list(dict.fromkeys([*content["axes"].get(key, []), *values]))
    jobs = content.pop("jobs")
    write_text(folder.sweep, dump_yaml(content) + dump_entries("jobs", jobs))


def append_job(folder: SweepFolder, job: PlannedJob) -> None:
    """Add one job to ``sweep.yaml``, in one piece; of thousands that are there already none is read again."""
    text = folder.sweep.read_text(encoding="utf-8")
    entry = describe_job(job)
    written = dump_entries("jobs", [entry])
    is_listed = _JOBS.search(text) and _JOBS.search(written) and f"fingerprint: {job.dataset.fingerprint}\n" in text
    if is_listed:
        write_text(folder.sweep, text + written.removeprefix("jobs:\n"))
    else:
        add_to_sweep_file(folder, [entry], [describe_dataset(job)], {})


def tell_store(folder: SweepFolder, tracking: Mapping[str, Any]) -> None:
    """Change the store that a sweep belongs to, in one piece; nothing is written where it belongs to it already.

    Args:
        folder: the sweep's.
        tracking: the setting `tracking`.
    """
    content = read_sweep_file(folder)
    settings = _without_secrets({**content["settings"], "tracking": dict(tracking)})
    if settings != content["settings"]:
        jobs = content.pop("jobs")
        write_text(folder.sweep, dump_yaml({**content, "settings": settings}) + dump_entries("jobs", jobs))


def describe_job(job: PlannedJob) -> dict[str, Any]:
    """Return what ``sweep.yaml`` holds of a job."""
    return {
        "id": job.job_id,
        "title": job.title,
        "overrides": list(job.overrides),
        "fingerprint": job.dataset.fingerprint,
        "identity": job.identity,
        "recipe": job.recipe,
        **({} if job.trial is None else {"trial": job.trial.describe()}),
    }


def describe_dataset(job: PlannedJob) -> dict[str, Any]:
    """Return what ``sweep.yaml`` holds of a job's data set."""
    dataset = job.dataset
    return {
        "name": dataset_name(job.config),
        "fingerprint": dataset.fingerprint,
        "n_images": dict(dataset.n_images),
        "labelled": dict(dataset.labelled),
        "source": dataset.source,
    }


def _without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as they may be written down: an address without the user and password in it."""
    tracking = dict(settings["tracking"])
    return {**settings, "tracking": {**tracking, "uri": tracking["uri"] and without_password(tracking["uri"])}}
