"""Finished runs of made-up arms, as a judge finds them: records, and folders with predictions on one set of images."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reports.records import Point, RunRecord
from runners.contract.hypothesis import Hypothesis, Question
from runners.contract.states import JobState
from runners.contract.yamlfile import dump_yaml

N_IMAGES = 60
CLAIM = Hypothesis(
    name="neck",
    claim="PAFPN finds more.",
    axis="neck",
    arms=("fpn", "pafpn"),
    baseline=None,
    blocks={},
    questions=(Question("val/bbox_mAP_50", 0.01),),
    n_seeds=3,
    confidence=0.95,
    until_decided=False,
    accepts={},
)


def write_truth(folder: Path, n_objects: int = 3) -> dict[str, Any]:
    """Write ``val.json``: images with objects of two classes in a grid."""
    annotations = [
        {
            "id": image * 10 + number + 1,
            "image_id": image,
            "category_id": 1 + number % 2,
            "bbox": [100.0 * number, 50.0, 60.0, 60.0],
            "area": 3600.0,
            "iscrowd": 0,
        }
        for image in range(1, N_IMAGES + 1)
        for number in range(n_objects)
    ]
    truth = {
        "images": [
            {"id": image, "width": 400, "height": 200, "file_name": f"{image}.png"} for image in range(1, N_IMAGES + 1)
        ],
        "categories": [{"id": 1, "name": "paper"}, {"id": 2, "name": "glass"}],
        "annotations": annotations,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "val.json").write_text(json.dumps(truth), encoding="utf-8")
    return truth


def write_run(
    root: Path, job: int, arm: str, seed: int, hit_rate: float, params: Mapping[str, str] | None = None, **changes: Any
) -> RunRecord:
    """Write a job's folder whose run finds a share of the objects, and return its record."""
    truth = json.loads((root / "val.json").read_text(encoding="utf-8"))
    draw = np.random.default_rng([job, seed, int(1000 * hit_rate)])
    found = [
        {
            "image_id": entry["image_id"],
            "category_id": entry["category_id"],
            "bbox": entry["bbox"],
            "score": float(draw.uniform(0.3, 1.0)),
        }
        for entry in truth["annotations"]
        if draw.random() < hit_rate
    ]
    folder = root / "sweep" / "jobs" / f"{job:04d}"
    (folder / "predictions").mkdir(parents=True)
    (folder / "predictions" / "a1_val_last.json").write_text(json.dumps(found), encoding="utf-8")
    dataset = {"root": str(root), "val": {"ann_file": "val.json"}, "group_by": None}
    (folder / "config.yaml").write_text(dump_yaml({"dataset": dataset}), encoding="utf-8")
    shown = {"neck": arm, "seed": str(seed), "batch_size": "4", "n_epochs": "4", **(params or {})}
    record = RunRecord(
        sweep_id="sweep",
        job_id=f"{job:04d}",
        title=f"{arm}_seed{seed}",
        state=JobState.COMPLETED,
        params=shown,
        curves={"train/loss": (Point(1, 2.0), Point(2, 1.0 - hit_rate))},
        dataset="made-up",
        fingerprint="f" * 32,
        folder=folder,
        recipe=f"recipe of {arm}",
    )
    return replace(record, **changes)


def write_arms(root: Path, rates: Mapping[str, float], n_seeds: int = 4) -> list[RunRecord]:
    """Write the runs of several arms."""
    write_truth(root)
    return [
        write_run(root, 1 + number * 10 + seed, arm, seed, rate)
        for number, (arm, rate) in enumerate(rates.items())
        for seed in range(n_seeds)
    ]
