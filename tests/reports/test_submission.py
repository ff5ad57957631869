"""The study's competition file and COCO results."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reports.submission import write_submission
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder

CLASSES = ["General trash", "Paper", "Plastic bag"]
# Category ids begin where they like, and the file's images come in any order.
IMAGES = [
    {"id": 7, "file_name": "batch_01/0007.jpg", "width": 64, "height": 48},
    {"id": 3, "file_name": "=3.jpg", "width": 64, "height": 48},
    {"id": 5, "file_name": "비닐, 봉투.jpg", "width": 64, "height": 48},
]
DETECTIONS = [
    {"image_id": 7, "category_id": 11, "bbox": [10.0, 20.0, 5.5, 6.25], "score": 0.25},
    {"image_id": 7, "category_id": 15, "bbox": [0.0, 0.0, 64.0, 48.0], "score": 0.912345678},
    {"image_id": 5, "category_id": 12, "bbox": [1.5, 2.0, 3.0, 4.0], "score": 0.5},
]


def write_run(folder: Path, detections: list[dict[str, Any]], **dataset: Any) -> JobFolder:
    data = folder / "data"
    data.mkdir()
    categories = [{"id": number, "name": name} for number, name in zip((11, 12, 15), CLASSES, strict=True)]
    (data / "test.json").write_text(json.dumps({"images": IMAGES, "categories": categories}), encoding="utf-8")
    job = JobFolder(folder / "jobs" / "0001")
    job.predictions.mkdir(parents=True)
    node = {"root": str(data), "classes": CLASSES, "test": {"ann_file": "test.json", "image_dir": ""}, **dataset}
    job.config.write_text(yaml.safe_dump({"dataset": node}, allow_unicode=True), encoding="utf-8")
    (job.predictions / "a2_test.json").write_text(json.dumps(detections))
    # Of an earlier attempt, and of another split: not to be taken.
    (job.predictions / "a1_test.json").write_text("[]")
    (job.predictions / "a3_val_best.json").write_text("[]")
    return job


def test_every_image_has_its_row_with_labels_scores_and_corners(tmp_path: Path) -> None:
    written = write_submission(write_run(tmp_path, DETECTIONS), tmp_path / "out")
    with written.csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["PredictionString", "image_id"],
        ["2 0.912346 0 0 64 48 0 0.25 10 20 15.5 26.25", "batch_01/0007.jpg"],
        ["", "=3.jpg"],
        ["1 0.5 1.5 2 4.5 6", "비닐, 봉투.jpg"],
    ]
    assert (written.n_images, written.n_detections) == (3, 3)


def test_coco_results_keep_the_files_own_ids(tmp_path: Path) -> None:
    written = write_submission(write_run(tmp_path, DETECTIONS), tmp_path / "out")
    assert json.loads(written.results.read_text()) == DETECTIONS


def test_pycocotools_takes_the_results(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    written = write_submission(write_run(tmp_path, DETECTIONS), tmp_path / "out")
    loaded = COCO(str(tmp_path / "data" / "test.json")).loadRes(str(written.results))
    assert len(loaded.anns) == len(DETECTIONS)


def test_the_label_follows_the_training_classes_and_not_the_file(tmp_path: Path) -> None:
    job = write_run(tmp_path, DETECTIONS, classes=list(reversed(CLASSES)))
    text = write_submission(job, tmp_path / "out").csv.read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith("0 0.912346")


@pytest.mark.parametrize(
    ("detections", "dataset", "said"),
    [
        ([{**DETECTIONS[0], "image_id": 99}], {}, "1 of 1 are of images or categories that .* does not hold"),
        ([{**DETECTIONS[0], "category_id": 1}], {}, "1 of 1 are of images or categories that .* does not hold"),
        (DETECTIONS, {"classes": ["Paper"]}, "General trash, Plastic bag are not among the classes"),
        (DETECTIONS, {"test": None}, "the run had no test split"),
        (DETECTIONS, {"root": "/nowhere"}, "annotation file missing in dataset.test"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, detections: list[dict[str, Any]], dataset: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        write_submission(write_run(tmp_path, detections, **dataset), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_without_predictions_is_refused(tmp_path: Path) -> None:
    job = write_run(tmp_path, DETECTIONS)
    for path in job.predictions.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="only a completed run"):
        write_submission(job, tmp_path / "out")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file config\.yaml"):
        write_submission(JobFolder(tmp_path), tmp_path / "out")
