"""What is kept of a run beside it: equal to what is computed, and computed anew when anything has changed."""

import json
from pathlib import Path

import numpy as np
import pytest

from reports.judging.evaluation_set import EvaluationSet, read_evaluation_set
from reports.judging.matches import Matches
from reports.judging.run_values import run_values
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from tests.reports.judging.test_average_precision import by_pycocotools, made_up


@pytest.fixture
def on(tmp_path: Path) -> EvaluationSet:
    truth, _ = made_up(4)
    path = tmp_path / "val.json"
    path.write_text(json.dumps(truth), encoding="utf-8")
    return read_evaluation_set(path)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "jobs" / "0001")
    folder.predictions.mkdir(parents=True)
    (folder.predictions / "a1_val_last.json").write_text(json.dumps(made_up(5)[1]), encoding="utf-8")
    (folder.predictions / "a2_val_last.json").write_text(json.dumps(made_up(4)[1]), encoding="utf-8")
    return folder


def test_the_first_value_is_that_of_the_newest_attempt_on_the_set_itself(job: JobFolder, on: EvaluationSet) -> None:
    found = run_values(job, "val", on)
    theirs = by_pycocotools(*made_up(4))
    assert found.values["val/bbox_mAP"][0] == pytest.approx(np.nanmean(theirs[0]), abs=1e-12)
    assert found.values["val/bbox_mAP_50"][0] == pytest.approx(np.nanmean(theirs[0, :, 0]), abs=1e-12)
    assert found.values["val/bbox_mAP_s"][0] == pytest.approx(np.nanmean(theirs[1]), abs=1e-12)
    assert found.values["val/bbox_mAP_class/2"][0] == pytest.approx(np.nanmean(theirs[0, 1]), abs=1e-12)
    assert found.values["val/bbox_mAP"].shape == (1001,)
    not_crowds = [entry for entry in on.truth["annotations"] if not entry["iscrowd"]]
    assert found.n_objects["val/bbox_mAP"] == len(not_crowds)
    assert found.n_groups["val/bbox_mAP"] == len({entry["image_id"] for entry in not_crowds})


def test_what_is_kept_is_what_was_computed(job: JobFolder, on: EvaluationSet) -> None:
    first = run_values(job, "val", on)
    kept = job.path / "judging" / "val_values.npz"
    written_at = kept.stat().st_mtime_ns
    again = run_values(job, "val", on)
    assert kept.stat().st_mtime_ns == written_at
    assert again.n_objects == first.n_objects
    assert all(np.array_equal(again.values[name], first.values[name], equal_nan=True) for name in first.values)
    assert Matches.load(job.path / "judging" / "val_matches.npz").n_objects.sum() > 0


def test_other_predictions_and_a_torn_file_are_computed_anew(job: JobFolder, on: EvaluationSet) -> None:
    first = run_values(job, "val", on)
    kept = job.path / "judging" / "val_values.npz"
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(run_values(job, "val", on).values["val/bbox_mAP"], first.values["val/bbox_mAP"])
    (job.predictions / "a3_val_last.json").write_text(json.dumps(made_up(5)[1]), encoding="utf-8")
    assert not np.array_equal(run_values(job, "val", on).values["val/bbox_mAP"], first.values["val/bbox_mAP"])


def test_groups_are_drawn_whole(tmp_path: Path) -> None:
    truth, _ = made_up(4)
    for number, image in enumerate(truth["images"]):
        image["video"] = number // 4
    del truth["images"][0]["video"]
    path = tmp_path / "grouped.json"
    path.write_text(json.dumps(truth), encoding="utf-8")
    on = read_evaluation_set(path, "video")
    assert np.array_equal(on.weights[:, 5], on.weights[:, 6])
    assert not np.array_equal(on.weights[:, 0], on.weights[:, 1])
    assert on.n_groups_with(np.ones(40, bool)) == 11


@pytest.mark.parametrize("text", ["[{", '[{"image_id": 1}]'])
def test_missing_and_damaged_predictions_are_told(job: JobFolder, on: EvaluationSet, text: str) -> None:
    (job.predictions / "a3_val_last.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"predictions damaged in .*a3_val_last"):
        run_values(job, "val", on)
    for path in job.predictions.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="none of val_last"):
        run_values(job, "val", on)
