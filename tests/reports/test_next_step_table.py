"""Command lines that train an arm again, and go on from it."""

import shlex
from dataclasses import replace
from pathlib import Path

from reports.next_step_table import overrides_of
from reports.read import read_runs
from reports.records import RunRecord
from reports.sweep_report import Report
from tests.reports.sweep_writing import WrittenJob, write_sweep


def run_of(folder: Path) -> RunRecord:
    (run,) = read_runs(write_sweep(folder, [WrittenJob(choices={"backbone": "resnet101"})])).runs
    return run


def test_of_an_axis_a_run_has_one_value_and_seeds_are_left_out(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    command = ["detsweep", "train", "-m", "backbone=resnet50,resnet101", "dataset.root=data", "seed=0,1", "n_epochs=12"]
    assert overrides_of(run, command) == ["backbone=resnet101", "dataset.root=data", "n_epochs=12"]


def test_what_a_hypothesis_or_recipe_chose_is_said_group_by_group(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    for whole in ("hypothesis=bigger_backbone", "recipe=faster_rcnn_backbones"):
        words = overrides_of(run, ["detsweep", "train", whole, "hypothesis.seeds=3", "dataset.root=data"])
        assert not any(word.startswith(("hypothesis", "recipe", "seed")) for word in words)
        assert {"detector=faster_rcnn", "backbone=resnet101", "dataset=coco", "n_epochs=12", "optimizer.lr=0.02"} < set(
            words
        )
        assert words[-1] == "dataset.root=data"


def test_a_trial_has_all_that_its_search_chose(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    chosen = {"optimizer.lr": "0.0123456789", "optimizer.betas": "[0.9,0.98]"}
    words = overrides_of(
        replace(run, params={**run.params, "lr": "0.0123457", **chosen}), ["detsweep", "train", "search=optimizer"]
    )
    assert {"optimizer.lr=0.0123456789", "optimizer.betas=[0.9,0.98]"} < set(words)
    assert len({word.partition("=")[0] for word in words}) == len(words)


def test_a_comma_within_a_value_that_is_no_axis_stays(tmp_path: Path) -> None:
    word = "model.rpn_head.anchor_generator.scales=[4,8]"
    assert overrides_of(run_of(tmp_path), ["detsweep", "train", word]) == [word]


def test_a_config_of_mmdet_is_named_by_its_file(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert run.folder is not None
    config = run.folder / "config.yaml"
    config.write_text("choices: {detector: zoo, dataset: coco}\ndetector: {title: SSD300, config: ssd/ssd300_coco}\n")
    words = overrides_of(replace(run, params={"detector": "SSD300"}), ["detsweep", "train", "recipe=x"])
    assert words == ["detector=zoo", "dataset=coco", "detector.config=ssd/ssd300_coco"]


def test_steps_stand_with_evidence_and_a_line_to_paste(diagnosed: Report) -> None:
    (table,) = (table for table in diagnosed.tables if table.name == "next-steps")
    what, evidence, command = (cell.text for cell in table.rows[0].cells)
    assert what == "larger input"
    assert "missed objects cost" in evidence
    words = shlex.split(command)
    assert words[:2] == ["detsweep", "train"]
    assert {"backbone=resnet101", "image_size=512px,1024px", "seed=0,1,2"} < set(words)


def test_without_a_known_command_the_data_are_named_too(tmp_path: Path) -> None:
    words = overrides_of(run_of(tmp_path), ())
    assert words[-1] == "dataset.root=/home/somebody/blood cells"
    assert {"dataset=coco", "backbone=resnet101"} < set(words)
