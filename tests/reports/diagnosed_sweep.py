"""A finished sweep of two arms with everything that a diagnosis reads: config, images, labels, predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from runners.contract.folder import SweepFolder
from tests.reports.sweep_writing import WrittenJob, write_predictions, write_sweep

N_IMAGES = 24
CLASSES = ("Paper pack", "Paper", "Glass")
CLAIM = {
    "name": "bigger",
    "claim": "A bigger backbone finds more.",
    "axis": "backbone",
    "arms": ["resnet50", "resnet101"],
    "metrics": {"val/bbox_mAP_50": {"margin": 1.0}},
    "seeds": 3,
    "confidence": 0.95,
}


def write_images(root: Path, n_images: int = N_IMAGES) -> dict[str, Any]:
    """Write ``val.json`` and its images: three objects in each, of three classes and sizes."""
    root.mkdir(parents=True)
    annotations = [
        {
            "id": 3 * image + number + 1,
            "image_id": image + 1,
            "category_id": 1 + (image + number) % len(CLASSES),
            "bbox": [10.0 + 70 * number, 20.0, 12.0 + 20 * number, 12.0 + 20 * number],
            "area": (12.0 + 20 * number) ** 2,
            "iscrowd": 0,
        }
        for image in range(n_images)
        for number in range(3)
    ]
    truth = {
        "images": [
            {"id": image + 1, "width": 240, "height": 120, "file_name": f"{image}.png"} for image in range(n_images)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
        "annotations": annotations,
    }
    (root / "val.json").write_text(json.dumps(truth), encoding="utf-8")
    for image in range(n_images):
        Image.new("RGB", (240, 120), (40 + 5 * image, 90, 120)).save(root / f"{image}.png")
    return truth


def predict(truth: dict[str, Any], seed: int, confused: float, missed: float) -> list[dict[str, Any]]:
    """Return detections that name a part of the first class's objects with the second's, and miss a part of all."""
    draw = np.random.default_rng(seed)
    found = []
    for entry in truth["annotations"]:
        if draw.random() < missed:
            continue
        is_confused = entry["category_id"] == 1 and draw.random() < confused
        box = [side + float(draw.normal(0, 0.5)) for side in entry["bbox"]]
        category = 2 if is_confused else entry["category_id"]
        score = float(draw.uniform(0.4, 1.0))
        found.append({"image_id": entry["image_id"], "category_id": category, "bbox": box, "score": score})
    return found


def write_diagnosed_sweep(
    output_dir: Path, n_seeds: int = 3, claim: dict[str, Any] | None = CLAIM, names: tuple[str, ...] = CLASSES
) -> SweepFolder:
    """Write a sweep of two backbones of which the first takes paper packs for paper, with runs of several seeds."""
    truth = write_images(output_dir / "data")
    if names != CLASSES:
        truth["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        (output_dir / "data" / "val.json").write_text(json.dumps(truth), encoding="utf-8")
    dataset = {"name": "coco", "root": str(output_dir / "data"), "val": {"ann_file": "val.json", "image_dir": ""}}
    arms = {"resnet50": (0.6, 0.7), "resnet101": (0.72, 0.1)}
    jobs = [
        WrittenJob(
            strength + 0.01 * seed,
            {"backbone": backbone},
            {"seed": seed, "dataset": dataset},
            title=f"{backbone}_seed{seed}",
        )
        for backbone, (strength, _) in arms.items()
        for seed in range(n_seeds)
    ]
    sweep = write_sweep(output_dir, jobs)
    content = yaml.safe_load(sweep.sweep.read_text(encoding="utf-8"))
    content["settings"]["hypothesis"] = claim
    content["command"] = ["detsweep", "train", "hypothesis=bigger", f"dataset.root={output_dir / 'data'}"]
    places = [(backbone, seed) for backbone in arms for seed in range(n_seeds)]
    for job, (backbone, seed) in zip(content["jobs"], places, strict=True):
        job["recipe"] = f"recipe of {backbone}"
        found = predict(truth, 10 * seed + len(backbone), confused=arms[backbone][1], missed=0.1)
        write_predictions(sweep.job(job["id"]).predictions, "a1_val_last.json", found)
    sweep.sweep.write_text(yaml.safe_dump(content), encoding="utf-8")
    return sweep
