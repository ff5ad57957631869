"""A plan of small jobs that trains nothing, for what writes plans down and reads them back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeper.planning.axes import Axes
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import Plan, PlannedJob

SETTINGS: Mapping[str, Any] = {
    "gpus": "all",
    "jobs_per_gpu": 1,
    "tracking": {"uri": "postgresql://ann:secret@host/db", "kind": "server"},
}


def planned_job(number: int, seed: int, root: str = "data", fingerprint: str = "f" * 64) -> PlannedJob:
    """Return a job that differs from others in its seed."""
    node = {"name": "sample", "root": root, "classes": ["a", "b"]}
    config = {"seed": seed, "fold": 0, "batch_size": 4, "n_epochs": 2, "dataset": node, "choices": {"dataset": "coco"}}
    dataset = PreparedDataset(
        node, {"root": root}, ["a", "b"], fingerprint, {"train": 8, "val": 4}, {"val": True}, ["a warning"]
    )
    overrides = [f"seed={seed}", "dataset.root=data"]
    return PlannedJob(f"{number:04d}", f"title {seed}", overrides, {"seed": str(seed)}, config, dataset, f"id {seed}")


def plan_of(seeds: Sequence[int], **changes: Any) -> Plan:
    """Return a plan of one job for each seed, in this order."""
    jobs = [planned_job(number, seed, **changes) for number, seed in enumerate(seeds, start=1)]
    return Plan(jobs, Axes({"seed": [str(seed) for seed in seeds]}, [], []), SETTINGS, [])


def folder_names(path: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(entry.name for entry in path.iterdir())
