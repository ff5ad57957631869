"""``detsweep ensemble`` on what runs have left: stored predictions and evaluations, scored, written and refused."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from runners.contract.evaluations import EvaluationResult
from runners.contract.folder import EvaluationFolder, SweepFolder
from sweeper.cli import main
from tests.reports.sweep_writing import WrittenJob, write_sweep
from tests.sweeper.runs.test_addresses import OFF

CLASSES = ["bag", "유리"]
BOXES = {1: [10.0, 10.0, 40.0, 30.0], 2: [60.0, 20.0, 30.0, 30.0]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of two images, with an object of each class in both."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in (1, 2)]
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
    annotations = [
        {"id": 10 * image + category, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}
        for image in (1, 2)
        for category, box in BOXES.items()
    ]
    for split in ("train", "val", "test"):
        content: dict[str, Any] = {"images": images, "categories": categories}
        if split != "test":
            content["annotations"] = [{**entry, "area": entry["bbox"][2] * entry["bbox"][3]} for entry in annotations]
        (root / f"{split}.json").write_text(json.dumps(content))
    return root


def found(image: int, category: int, score: float, shift: float = 0.0) -> dict[str, Any]:
    x, y, width, height = BOXES[category]
    return {"image_id": image, "category_id": category, "bbox": [x + shift, y, width, height], "score": score}


ONE = [found(1, 1, 0.8), found(2, 1, 0.8)]
OTHER = [found(1, 1, 0.6, shift=4.0), found(1, 2, 0.9), found(2, 2, 0.9)]


def written(output_dir: Path, root: Path, *members: list[dict[str, Any]], day: int = 3, **dataset: Any) -> SweepFolder:
    """Write a sweep of one job for each list of detections, which are those of val and of test."""
    splits = {name: {"ann_file": f"{name}.json", "image_dir": "images/"} for name in ("train", "val", "test")}
    node = {"name": "coco", "root": str(root), "classes": CLASSES, **splits, **dataset}
    jobs = [
        WrittenJob(settings={"dataset": node}, title=f"run-{day}-{number}") for number in range(1, len(members) + 1)
    ]
    sweep = write_sweep(output_dir, jobs, sweep_id=f"2026110{day}-101500_trash_{day}f3a", fingerprint=str(day) * 32)
    stored = yaml.safe_load(sweep.sweep.read_text())
    stored["settings"]["tracking"] = dict(OFF)
    sweep.sweep.write_text(yaml.safe_dump(stored, allow_unicode=True))
    for job, detections in zip(sweep.all_jobs(), members, strict=True):
        job.predictions.mkdir()
        for name in ("val_best", "test"):
            (job.predictions / f"a1_{name}.json").write_text(json.dumps(detections))
    return sweep


def test_runs_are_fused_scored_beside_each_other_and_submitted(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "out", data, ONE, OTHER)
    assert main(["ensemble", "1", "2", f"output_dir={tmp_path / 'out'}"]) == 0
    (folder,) = (tmp_path / "out" / "ensembles").iterdir()
    told = json.loads((folder / "ensemble.json").read_text())
    assert [member["title"] for member in told["members"]] == ["run-3-1", "run-3-2"]
    alone = [member["metrics"]["val/bbox_mAP_50"] for member in told["members"]]
    # The first finds one class only, the second the other and half of the first.
    assert alone == pytest.approx([0.5, (1 + 51 / 101) / 2], abs=1e-6)
    assert told["metrics"]["val/bbox_mAP_50"] == pytest.approx(1.0)
    val = json.loads((folder / "val.json").read_text())
    of_both = next(entry for entry in val if (entry["image_id"], entry["category_id"]) == (1, 1))
    assert of_both["bbox"] == pytest.approx([10 + 4 * 0.6 / 1.4, 10, 40, 30], abs=1e-3)
    assert of_both["score"] == pytest.approx(0.7)
    rows = list(csv.reader((folder / "submission" / "submission.csv").open(encoding="utf-8")))
    assert [row[1] for row in rows] == ["image_id", "1.jpg", "2.jpg"]
    assert json.loads((folder / "test.json").read_text()) == val
    out = capsys.readouterr().out
    assert "Ensemble by wbf, val" in out
    assert "run-3-2" in out
    assert "AP 유리" in out.replace("\n", " ") or "유리" in out
    assert oct((folder / "val.json").stat().st_mode & 0o777) == "0o600"

    assert main(["ensemble", "2", "1", "method=nms", "weights=1,3", "name=mine", f"output_dir={tmp_path / 'out'}"]) == 0
    mine = json.loads((tmp_path / "out" / "ensembles" / "mine" / "val.json").read_text())
    kept = next(entry for entry in mine if (entry["image_id"], entry["category_id"]) == (1, 1))
    assert (kept["bbox"], kept["score"]) == ([10.0, 10.0, 40.0, 30.0], 0.8)


def test_a_stored_evaluation_stands_in_for_what_the_training_left(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = written(tmp_path / "out", data, ONE, OTHER)
    job = sweep.job("0002")

    def evaluated(name: str, detections: list[dict[str, Any]]) -> EvaluationFolder:
        folder = job.evaluation(name)
        folder.path.mkdir(parents=True)
        shutil.copy(job.config, folder.config)
        folder.detections.write_text(json.dumps(detections))
        EvaluationResult({}, 2, len(detections)).write(folder)
        return folder

    words = ["ensemble", "1", "2:flip", f"output_dir={tmp_path / 'out'}"]
    assert main(words) == 2
    assert "no val predictions of 2:flip; make them: detsweep evaluate 2 split=val tta=flip" in capsys.readouterr().err
    evaluated("val_flip", [found(2, 2, 0.5)])
    assert main(words) == 0
    assert (
        "no test predictions of 2:flip; make them: detsweep evaluate 2 split=test tta=flip" in capsys.readouterr().out
    )
    (folder,) = (tmp_path / "out" / "ensembles").iterdir()
    assert [entry["score"] for entry in json.loads((folder / "val.json").read_text())] == [0.4, 0.4, 0.25]
    assert not (folder / "test.json").exists()
    evaluated("test_flip", [found(2, 2, 0.5)])
    assert main(["ensemble", "1", "2:test_flip", f"output_dir={tmp_path / 'out'}"]) == 0
    assert (folder / "submission" / "submission.csv").exists()  # the same members by another word


def test_runs_that_cannot_be_compared_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first = written(out, data, ONE, day=3).sweep_id
    other = written(out, data, OTHER, day=4).sweep_id
    named = written(out, data, OTHER, day=5, classes=["bag", "Glas"]).sweep_id

    def refused(*words: str) -> str:
        assert main(["ensemble", *words, f"output_dir={out}"]) == 2
        return capsys.readouterr().err

    assert "data sets differ between" in refused(f"{first}/1", f"{other}/1")
    assert "classes differ between" in refused(f"{first}/1", f"{named}/1")
    assert "same run twice in" in refused(f"{first}/1", f"{first}/1")
    assert "1 given; name two or more" in refused(f"{first}/1")
    assert "2 runs; give one number above 0 for each" in refused(f"{first}/1", f"{other}/1", "weights=1")
    assert "did you mean 'wbf'?" in refused(f"{first}/1", f"{other}/1", "method=wbff")
    assert "value out of range in iou=55; give one from 0.01 to 0.99" in refused(f"{first}/1", f"{other}/1", "iou=55")
    assert "no setting 'skipscore'" in refused(f"{first}/1", f"{other}/1", "skipscore=0.1")


def test_runs_of_several_folds_have_test_in_common(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((data / "val.json").read_text())
    (data / "fold1.json").write_text(json.dumps({**content, "images": content["images"][:1], "annotations": []}))
    sweep = written(tmp_path / "out", data, ONE, OTHER)
    config = yaml.safe_load(sweep.job("0002").config.read_text())
    config["dataset"]["val"]["ann_file"] = "fold1.json"
    sweep.job("0002").config.write_text(yaml.safe_dump(config, allow_unicode=True))
    words = ["ensemble", "1", "2", f"output_dir={tmp_path / 'out'}"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "val files differ between the runs" in told
    assert "fuse their test predictions alone with split=test" in told
    assert main([*words, "split=test"]) == 0
    (folder,) = (tmp_path / "out" / "ensembles").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["ensemble.json", "submission", "test.json"]
