"""A sweep of two finished runs with predictions of one small split, and images that show what is labelled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from reports.viewing.view import RunFiles, View, ViewFiles, open_view
from runners.contract.folder import JobFolder, SweepFolder
from tests.reports.sweep_writing import WrittenJob, write_predictions, write_sweep

CLASSES = ("ring", "disc")
SIDE_PX = 128
N_IMAGES = 8


def write_viewed_sweep(folder: Path, names: tuple[str, str] = CLASSES, title: str = "second") -> SweepFolder:
    """Write the data to ``folder/data`` and the sweep to ``folder/outputs``; its jobs are 1 and 2.

    Every image holds a ring and a disc. The first run finds all rings, and takes the discs of odd images for rings; the
    second finds all discs, the rings of even images, and sees a disc on the background of the first image.

    Args:
        folder: where to.
        names: of the two classes.
        title: of the second run.
    """
    truth = write_data(folder / "data", names)
    dataset = {
        "name": "coco",
        "root": str(folder / "data"),
        "classes": list(names),
        "val": {"ann_file": "val.json", "image_dir": "images"},
        "train": None,
        "test": None,
    }
    jobs = [WrittenJob(title=name) for name in ("first", title)]
    sweep = write_sweep(folder / "outputs", jobs)
    for number, found in enumerate(_detections(truth), start=1):
        job = sweep.job(f"{number:04d}")
        _set_dataset(job, dataset)
        write_predictions(job.predictions, "a1_val_last.json", found)
    return sweep


def write_data(root: Path, names: tuple[str, str] = CLASSES) -> dict[str, Any]:
    """Write images and ``val.json``; return the latter's content."""
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(N_IMAGES):
        image_id, name = number + 10, f"image_{number}.png"
        images.append({"id": image_id, "file_name": name, "width": SIDE_PX, "height": SIDE_PX})
        picture = Image.new("RGB", (SIDE_PX, SIDE_PX), (200, 190, 180))
        draw = ImageDraw.Draw(picture)
        for category, box in ((1, (10, 10, 30, 30)), (2, (70, 60, 40, 40))):
            x, y, width, height = box
            draw.ellipse((x, y, x + width, y + height), fill=(60, 90, 60) if category == 2 else None, outline=(0, 0, 0))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": list(box),
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
        picture.save(root / "images" / name)
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (root / "val.json").write_text(json.dumps(truth), encoding="utf-8")
    return truth


def _detections(truth: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    first, second = [], []
    for label in truth["annotations"]:
        is_odd, is_ring = label["image_id"] % 2, label["category_id"] == 1
        found = {"image_id": label["image_id"], "category_id": label["category_id"], "bbox": label["bbox"]}
        if is_ring:
            first.append({**found, "score": 0.9})
        elif is_odd:
            first.append({**found, "category_id": 1, "score": 0.8})
        if not is_ring or not is_odd:
            second.append({**found, "score": 0.7})
    spot = {"image_id": truth["images"][0]["id"], "category_id": 2, "bbox": [5, 90, 30, 30]}
    second.append({**spot, "score": 0.6})
    return first, second


def _set_dataset(job: JobFolder, dataset: dict[str, Any]) -> None:
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    job.config.write_text(yaml.safe_dump({**config, "dataset": dataset}, allow_unicode=True), encoding="utf-8")


def view_of(folder: Path, truth: dict[str, Any], runs: list[list[dict[str, Any]]]) -> View:
    """Return a view of runs whose detections are given; nothing can be drawn of it."""
    (folder / "val.json").write_text(json.dumps(truth), encoding="utf-8")
    files = []
    for number, detections in enumerate(runs):
        predictions = folder / f"run_{number}.json"
        predictions.write_text(json.dumps(detections), encoding="utf-8")
        files.append(RunFiles(f"run {number}", str(predictions), str(folder / f"kept_{number}.npz")))
    return open_view(ViewFiles("val", str(folder / "val.json"), str(folder / "images"), files))


def view_files(folder: Path, names: tuple[str, str] = CLASSES, title: str = "second") -> ViewFiles:
    """Write a sweep, and return what a page of its two runs needs."""
    sweep = write_viewed_sweep(folder, names, title)
    runs = [
        RunFiles(name, str(job.predictions / "a1_val_last.json"), str(job.path / "viewing" / "val.npz"))
        for name, job in zip(("first", title), sweep.all_jobs(), strict=True)
    ]
    return ViewFiles("val", str(folder / "data" / "val.json"), str(folder / "data" / "images"), runs)


def view_of_sweep(folder: Path) -> View:
    """Return a view of the two runs of the sweep."""
    return open_view(view_files(folder))


def made_up(seed: int, other: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return labels with crowds among them, and detections with every kind of error; those of another run if asked."""
    random = np.random.default_rng(seed)
    n_images, n_classes = 30, 4
    annotations: list[dict[str, Any]] = []
    for image_id in range(n_images):
        for _ in range(random.integers(0, 8)):
            box = [*random.uniform(0, 400, 2), *random.uniform(10, 150, 2)]
            is_crowd = int(random.random() < 0.08)
            category = int(random.integers(1, n_classes + 1))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [float(side) for side in box],
                    "iscrowd": is_crowd,
                }
            )
    truth = {
        "images": [
            {"id": number, "file_name": f"{(7 * number) % n_images:02d}.jpg", "width": 640, "height": 480}
            for number in range(n_images)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, n_classes + 1)],
    }
    random = np.random.default_rng([seed, int(other)])
    detections = []
    for label in annotations:
        for _ in range(random.integers(0, 3)):
            moved = np.array(label["bbox"]) + random.normal(0, 0.15, 4) * np.tile(label["bbox"][2:], 2)
            moved[2:] = np.maximum(moved[2:], 2.0)
            is_renamed = random.random() < 0.2
            category = int(random.integers(1, n_classes + 1)) if is_renamed else label["category_id"]
            detections.append({**_detection(label["image_id"], category, moved), "score": float(random.random())})
    for image_id in range(n_images):
        for _ in range(random.integers(0, 3)):
            box = np.array([*random.uniform(0, 400, 2), *random.uniform(10, 150, 2)])
            found = _detection(image_id, int(random.integers(1, n_classes + 1)), box)
            detections.append({**found, "score": float(random.random())})
    return truth, detections


def _detection(image_id: int, category: int, box: NDArray[np.float64]) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category, "bbox": [float(side) for side in box]}
