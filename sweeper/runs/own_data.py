"""A run's own data where detsweep made a part of it, folds or shapes, that is not where it was: it is made again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners.contract.coco import split_files
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.metrics import Split
from sweeper.planning.dataset import prepare_dataset
from sweeper.stored.sweep_file import read_sweep_file


def with_own_data(job: JobFolder, config: Mapping[str, Any], split: Split, output_dir: Path) -> dict[str, Any]:
    """Return a job's config with a split that is there, if it can be made again from what the sweep was planned with.

    Args:
        job: the job; one that is in no sweep keeps its config.
        config: its config.
        split: the split that is wanted.
        output_dir: where generated and split data goes.

    Raises:
        UserError: the data that is there is another than the job was trained on.
    """
    files = split_files(config["dataset"], split)
    sweep = SweepFolder(job.path.parent.parent)
    if files is None or files.ann_file.is_file() or not sweep.sweep.is_file():
        return dict(config)
    stored = read_sweep_file(sweep)
    wanted = next((str(entry["fingerprint"]) for entry in stored["jobs"] if entry["id"] == job.job_id), "")
    source = next((entry.get("source") for entry in stored["datasets"] if entry["fingerprint"] == wanted), None)
    if source is None:
        return dict(config)
    try:
        found = prepare_dataset(source, output_dir, config.get("fold"))
    except UserError:
        return dict(config)  # what is missing is told when the split is looked at
    if found.fingerprint != wanted:
        raise UserError(
            f"data set changed in {source.get('root')}: fingerprint {wanted[:12]} -> {found.fingerprint[:12]}; take "
            "what is there with dataset=... dataset.root=..."
        )
    return {**config, "dataset": {**found.node, "classes": config["dataset"]["classes"]}}
