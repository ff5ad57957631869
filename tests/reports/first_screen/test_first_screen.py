"""The first screen: the decision, why, what is not true yet, and what to run next."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reports.box_pictures import DrawnBox, draw_boxes
from reports.first_screen.screen import markdown_screen
from reports.sweep_report import Report, write_report
from runners.contract.states import JobState
from tests.reports.diagnosed_sweep import CLAIM, write_diagnosed_sweep
from tests.reports.gallery import write_gallery
from tests.reports.sweep_writing import WrittenJob, write_sweep


def report_of(folder: Path, n_seeds: int, claim: dict[str, Any] | None) -> Report:
    sweep = write_diagnosed_sweep(folder, n_seeds, claim)
    return write_report(sweep, sweep.report)


def test_a_decision_has_effect_interval_seeds_and_cost(diagnosed: Report) -> None:
    (told,) = diagnosed.screen.decisions
    assert told.startswith("Take resnet101: better than resnet50, +")
    assert "points of val mAP50 (95 % interval, 3 seeds each); as many device-hours (0.2)." in told
    (row,) = diagnosed.screen.questions.rows
    assert [cell.text for cell in row.cells][::2] == [
        "resnet101 over resnet50, val mAP50",
        row.cells[2].text,
        "nothing",
    ]
    assert row.cells[1].text == "better"
    assert row.cells[3].text == "3 + 3"


def test_the_reasons_name_errors_pairs_fit_and_sizes(diagnosed: Report) -> None:
    errors, pair, fit, other_fit, sizes = diagnosed.screen.reasons
    assert errors.startswith("Errors, in points of AP50 that they cost, resnet101 over resnet50: classification ")
    assert pair.startswith("Paper pack called Paper: ")
    assert "noise" not in pair
    assert (fit.partition(":")[0], other_fit.partition(":")[0]) == ("resnet101", "resnet50")
    assert sizes.startswith("resnet101: AP50 ")


def test_pictures_are_few_small_and_of_different_images(diagnosed: Report) -> None:
    pictures = diagnosed.screen.pictures
    assert 2 <= len(pictures) <= 6
    assert pictures[0].caption == "Paper pack called Paper by resnet50"
    for picture in pictures:
        head, _, content = picture.source.partition(",")
        assert head == "data:image/jpeg;base64"
        drawn = Image.open(io.BytesIO(base64.b64decode(content)))
        assert drawn.width <= 300
        assert drawn.height <= 225
        assert len(content) < 80_000
    assert len({picture.source for picture in pictures}) == len(pictures)


def test_a_picture_of_a_confused_pair_shows_that_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = write_diagnosed_sweep(tmp_path)
    # The first run of the arm calls the same objects by a third name, and too faintly to count.
    path = sweep.job("0001").predictions / "a1_val_last.json"
    labels = json.loads((tmp_path / "data" / "val.json").read_text())["annotations"]
    packs = [entry for entry in labels if entry["category_id"] == 1]
    found = [one for one in json.loads(path.read_text()) if one["category_id"] == 3]
    faint = [{"image_id": one["image_id"], "category_id": 3, "bbox": one["bbox"], "score": 0.11} for one in packs]
    path.write_text(json.dumps([*found, *faint]))
    drawn: list[list[str]] = []

    def draw(path: Path, boxes: Sequence[DrawnBox], *rest: Any) -> Image.Image:
        drawn.append([box.label for box in boxes])
        return draw_boxes(path, boxes, *rest)

    monkeypatch.setattr("reports.first_screen.telling_pictures.draw_boxes", draw)
    first = write_report(sweep, sweep.report).screen.pictures[0]
    assert first.caption == "Paper pack called Paper by resnet50"
    assert drawn[0] == ["Paper pack", "Paper"]


def test_too_few_seeds_are_not_decided_and_the_missing_runs_come_first(tmp_path: Path) -> None:
    screen = report_of(tmp_path, 2, CLAIM).screen
    assert screen.decisions[0].startswith("Not decided, leans to better: resnet101 over resnet50, +")
    assert "2 seeds each); 3 seeds in each arm would probably decide" in screen.decisions[0]
    assert screen.commands[0].what == "the runs that would decide"
    assert screen.commands[0].command.endswith("seed=2")


def test_without_a_hypothesis_the_best_arm_is_told_with_what_noise_explains(tmp_path: Path) -> None:
    screen = report_of(tmp_path, 3, None).screen
    (told,) = screen.decisions
    assert told.startswith(
        "Best on val so far: resnet101 (mean of 3 seeds) with 71.7 mAP50 (test 70.0), for 0.2 device-h"
    )
    assert "12.3 points ahead of resnet50, more than the seeds' noise explains" in told
    assert not screen.questions.rows
    assert screen.reasons[0].startswith("Costliest errors, in points of AP50: missed ")


def test_single_runs_without_a_hypothesis_say_that_noise_is_not_known(tmp_path: Path) -> None:
    report = write_report(write_gallery(tmp_path), tmp_path / "report")
    (told,) = report.screen.decisions
    assert told.startswith("Best on val so far: cascade_rcnn resnet101")
    assert "nobody knows how much equal runs differ" in told
    said = "\n".join(report.screen.open)
    assert "1 of 10 jobs ended without a result: 0008 failed (loss is NaN at iteration 118)" in said
    assert "2 of 10 jobs have not finished yet" in said
    assert "1 of 10 narrow width" in said
    assert "One run of each recipe" in said
    assert "Errors of 7 of 7 finished runs were not looked at: its predictions are not on this machine" in said


def test_what_was_never_measured_is_said(tmp_path: Path) -> None:
    unlabelled = write_report(
        write_sweep(tmp_path / "a", [WrittenJob()], labelled={"val": True, "test": False}), tmp_path / "x"
    )
    assert "The test split is not labelled" in "\n".join(unlabelled.screen.open)
    without = write_report(write_sweep(tmp_path / "b", [WrittenJob()], labelled={"val": True}), tmp_path / "y")
    assert "There is no test split" in "\n".join(without.screen.open)
    for report in (unlabelled, without):
        assert report.screen.open[-1].startswith("Not covered by the intervals")


def test_a_confound_is_not_true_yet(tmp_path: Path) -> None:
    sweep = write_diagnosed_sweep(tmp_path)
    config = sweep.job("0004").config
    config.write_text(config.read_text().replace("batch_size: 16", "batch_size: 8"))
    screen = write_report(sweep, sweep.report).screen
    assert screen.decisions[0].startswith("Not decided")
    assert any(line == "resnet101 over resnet50: not only the axis differs: batch_size" for line in screen.open)


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    report = write_report(write_sweep(tmp_path, [WrittenJob(state=JobState.PLANNED)]), tmp_path / "report")
    assert report.screen.decisions == ["Nothing has finished yet."]
    assert report.screen.open[0] == "1 of 1 jobs have not finished yet"


def test_the_noise_floor_is_told_in_a_sentence(tmp_path: Path) -> None:
    floor = {**CLAIM, "name": "noise", "axis": None, "arms": [], "metrics": {"val/bbox_mAP_50": {"margin": 0}}}
    sweep = write_diagnosed_sweep(tmp_path, 4, floor)
    (told,) = write_report(sweep, sweep.report).screen.decisions
    assert told.startswith("Equal runs differ by a deviation of ")
    assert "points of val mAP50" in told


def test_a_cost_of_errors_can_be_judged(tmp_path: Path) -> None:
    claim = {**CLAIM, "metrics": {"val/error_classification": {"margin": 0.5}}}
    (told,) = report_of(tmp_path, 3, claim).screen.decisions
    assert told.startswith("Take resnet101: better than resnet50, -")
    assert "points of val AP lost to classification errors" in told


@pytest.mark.parametrize("name", ["a|b", "<img src=x>", "[x](javascript:1)"])
def test_markdown_holds_the_screen_and_names_do_nothing(tmp_path: Path, name: str) -> None:
    sweep = write_diagnosed_sweep(tmp_path, 1, None, names=(name, "Paper", "Glass"))
    text = markdown_screen(write_report(sweep, sweep.report).screen)
    assert text.startswith("**Best on val so far")
    assert "## Why" in text
    assert "## What is not true yet" in text
    assert name not in text
