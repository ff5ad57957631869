"""Data that detsweep made itself, folds and shapes, is made again where a sweep's folder has been moved."""

from collections.abc import Mapping
from typing import Any

from runners.contract.coco import SPLITS, split_files
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from sweeper.planning.dataset import prepare_dataset
from sweeper.stored.sweep_file import read_sweep_file


def with_data_here(config: Mapping[str, Any], job: JobFolder) -> dict[str, Any]:
    """Return a job's config with the places of its data as they are now.

    A config that names files which are gone is returned as it is, if the same data cannot be made again: whoever reads
    them says what is missing.

    Args:
        config: of the job.
        job: its folder, in that of its sweep.
    """
    sweep = SweepFolder(job.path.parent.parent)
    if not sweep.sweep.is_file() or not _is_gone(config["dataset"]):
        return dict(config)
    try:
        stored = read_sweep_file(sweep)
        fingerprint = next(entry["fingerprint"] for entry in stored["jobs"] if entry["id"] == job.job_id)
        source = dict(next(entry["source"] for entry in stored["datasets"] if entry["fingerprint"] == fingerprint))
        if source.get("shapes") is not None:
            source["root"] = None  # where they were written is another's place now
        found = prepare_dataset(source, sweep.path.parent, config.get("fold"))
    except (UserError, StopIteration, KeyError):
        return dict(config)
    return {**config, "dataset": found.node} if found.fingerprint == fingerprint else dict(config)


def _is_gone(dataset: Mapping[str, Any]) -> bool:
    files = [split_files(dataset, split) for split in SPLITS]
    return any(split is not None and not split.ann_file.is_file() for split in files)
