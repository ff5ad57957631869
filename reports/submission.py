"""Writes a run's predictions of an unscored split in the forms that others score: the study's CSV, and COCO results."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runners.contract.coco import CocoFile, read_coco, split_files
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.jsonfile import write_text
from runners.contract.metrics import Split

HEADING = ("PredictionString", "image_id")
# The predictions file of a split that was predicted with the best checkpoint.
PREDICTIONS = {"val": "val_best", "test": "test"}


@dataclass(frozen=True)
class Submission:
    """A submission that was written.

    Attributes:
        csv: one row per image: ``label score xmin ymin xmax ymax ...`` and the image's file name.
        results: COCO results, one object per detection, with the annotation file's own ids.
        n_images: rows of the CSV; an image without a detection has a row without one.
        n_detections: in all images.
    """

    csv: Path
    results: Path
    n_images: int
    n_detections: int


def write_submission(job: JobFolder, out: Path, split: Split = "test") -> Submission:
    """Write ``submission.csv`` and ``coco_results.json`` of one run into a folder.

    Args:
        job: a run that completed.
        out: made if missing; older files in it are replaced.
        split: which predictions.

    Raises:
        UserError: the run has no such predictions, or they do not fit the annotation file.
    """
    dataset = _read_dataset(job)
    files = split_files(dataset, split)
    if files is None:
        raise UserError(f"dataset.{split} in {job.config}: the run had no {split} split; choose another run")
    predictions = find_predictions(job, split)
    detections = json.loads(predictions.read_text(encoding="utf-8"))
    coco = read_coco(files.ann_file, files.setting)
    return write_detections(detections, coco, dataset["classes"], out, predictions)


def write_detections(
    detections: Sequence[Mapping[str, Any]], coco: CocoFile, classes: Sequence[str], out: Path, source: Path
) -> Submission:
    """Write ``submission.csv`` and ``coco_results.json`` of detections into a folder.

    Args:
        detections: COCO results with the ids of `coco`.
        coco: the images, and the categories.
        classes: in the order of the labels that the CSV shows.
        out: made if missing; older files in it are replaced.
        source: where the detections come from, for messages.

    Raises:
        UserError: they do not fit the images, or the categories the classes.
    """
    labels = _labels(coco, classes, source)
    _check_fit(detections, coco, labels, source)
    out.mkdir(parents=True, exist_ok=True)
    submission = Submission(
        out / "submission.csv", out / "coco_results.json", n_images=len(coco.images), n_detections=len(detections)
    )
    write_text(submission.csv, submission_csv(detections, coco.images, labels))
    write_text(submission.results, json.dumps(detections, separators=(",", ":")) + "\n")
    return submission


def submission_csv(
    detections: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]], labels: Mapping[int, int]
) -> str:
    """Return the study's competition file.

    Args:
        detections: COCO results: ``image_id``, ``category_id``, ``bbox`` (x, y, width, height in pixels) and ``score``
            (0-1).
        images: image records; each has a row, in this order.
        labels: category id to label, the index of the class in the data set's list of classes.
    """
    by_image: dict[Any, list[Mapping[str, Any]]] = {image["id"]: [] for image in images}
    for detection in detections:
        by_image[detection["image_id"]].append(detection)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADING)
    for image in images:
        found = sorted(by_image[image["id"]], key=lambda detection: -detection["score"])
        words = [_detection_words(detection, labels[detection["category_id"]]) for detection in found]
        # The file name stands as it is, unlike in our tables: it is the key that the judge looks up.
        writer.writerow([" ".join(words), image["file_name"]])
    return file.getvalue()


def _detection_words(detection: Mapping[str, Any], label: int) -> str:
    x, y, width, height = detection["bbox"]
    return f"{label} {detection['score']:.6g} {x:.6g} {y:.6g} {x + width:.6g} {y + height:.6g}"


def find_predictions(job: JobFolder, split: Split) -> Path:
    """Return the file of what a run's best checkpoint found in a split when its training ended.

    Raises:
        UserError: there is none.
    """
    if split not in PREDICTIONS:
        raise UserError(f"split {split!r}: no predictions of it are kept; choose one of {', '.join(PREDICTIONS)}")
    pattern = re.compile(rf"a(\d+)_{PREDICTIONS[split]}\.json")
    found = {
        int(match[1]): path
        for path in (job.predictions.iterdir() if job.predictions.is_dir() else ())
        if (match := pattern.fullmatch(path.name))
    }
    if not found:
        raise UserError(
            f"{split} predictions in {job.predictions}: none; only a completed run of a data set with a {split} split"
            " has them"
        )
    return found[max(found)]


def _read_dataset(job: JobFolder) -> Mapping[str, Any]:
    if not job.config.is_file():
        raise UserError(
            f"run in {job.path}: no file {job.config.name}; give the folder of a job, as in SWEEP/jobs/0001"
        )
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    dataset: Mapping[str, Any] = config["dataset"]
    return dataset


def _labels(coco: CocoFile, classes: Sequence[str], source: Path) -> dict[int, int]:
    index = {name: number for number, name in enumerate(classes)}
    unknown = [name for name in coco.classes if name not in index]
    if unknown:
        raise UserError(
            f"categories in {coco.path}: {', '.join(unknown)} are not among the classes of {source}; these are"
            f" {', '.join(classes)}"
        )
    return {category["id"]: index[category["name"]] for category in coco.categories}


def _check_fit(
    detections: Sequence[Mapping[str, Any]], coco: CocoFile, labels: Mapping[int, int], predictions: Path
) -> None:
    known = {image["id"] for image in coco.images}
    n_foreign = sum(
        detection["image_id"] not in known or detection["category_id"] not in labels for detection in detections
    )
    if n_foreign:
        raise UserError(
            f"detections in {predictions}: {n_foreign} of {len(detections)} are of images or categories that"
            f" {coco.path} does not hold; has the annotation file changed since the run?"
        )
