"""Findings are computed once for a file of predictions, and anew where that or the labels have changed."""

import json
from pathlib import Path

import numpy as np
import pytest

from reports.viewing import kept_findings
from reports.viewing.kept_findings import boxed_findings
from runners.contract.coco import read_coco
from runners.contract.errors import UserError
from tests.reports.viewing.viewed_sweep import made_up


def test_what_is_kept_is_read_again_and_holds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, detections = made_up(2)
    (tmp_path / "val.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(detections))
    coco, kept = read_coco(tmp_path / "val.json"), tmp_path / "viewing" / "val.npz"
    first = boxed_findings(tmp_path / "found.json", coco, kept)
    is_detection = first.findings.detection >= 0
    boxes = np.array([entry["bbox"] for entry in detections])
    np.testing.assert_array_equal(first.boxes[is_detection], boxes[first.findings.detection[is_detection]])
    assert np.isnan(first.boxes[~is_detection]).all()
    with monkeypatch.context() as patched:
        patched.delattr(kept_findings, "find_errors")
        again = boxed_findings(tmp_path / "found.json", coco, kept)
    for name, column in vars(first.findings).items():
        np.testing.assert_array_equal(column, vars(again.findings)[name])
    (tmp_path / "found.json").write_text(json.dumps(detections[:-5]))
    assert boxed_findings(tmp_path / "found.json", coco, kept).findings.detection.max() == len(detections) - 6
    kept.write_bytes(kept.read_bytes()[:100])
    assert boxed_findings(tmp_path / "found.json", coco, kept).findings.detection.max() == len(detections) - 6


@pytest.mark.parametrize("content", ["[{", '{"a": 1}', '[{"image_id": 1}]'])
def test_damaged_predictions_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "val.json").write_text(json.dumps(made_up(2)[0]))
    (tmp_path / "found.json").write_text(content)
    with pytest.raises(UserError, match=r"predictions damaged in .*found\.json"):
        boxed_findings(tmp_path / "found.json", read_coco(tmp_path / "val.json"), tmp_path / "kept.npz")
