"""Verdicts in a report: the tables that are seen first, and what stands below them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.judging.arms import find_cells
from reports.judging.noise_floor import noise_floor
from reports.records import RunRecord, RunSet, SweepRecord
from reports.verdicts import judge_sweeps, verdict_tables
from runners.contract.hypothesis import Question, read_hypothesis
from tests.reports.judging.judged_sweep import write_arms

CLAIM: dict[str, Any] = {
    "name": "neck",
    "claim": "PAFPN finds more.",
    "axis": "neck",
    "arms": ["fpn", "pafpn"],
    "metrics": {"val/bbox_mAP_50": {"margin": 1.0}},
    "seeds": 4,
    "confidence": 0.95,
}
FLOOR = {
    **CLAIM,
    "axis": None,
    "arms": [],
    "metrics": {"val/bbox_mAP_50": {"margin": 0}, "val/bbox_mAP_s": {"margin": 0}},
}


def run_set(runs: list[RunRecord], claim: dict[str, Any]) -> RunSet:
    sweep = SweepRecord("sweep", "neck", ("detsweep", "train", "hypothesis=neck"), hypothesis=claim)
    return RunSet("neck", (sweep,), tuple(runs))


def test_the_answer_stands_with_effect_interval_and_what_matters(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    (table,) = verdict_tables(judge_sweeps(run_set(runs, CLAIM)))
    (row,) = table.rows
    question, by, answer, difference, seeds, differs = (cell.text for cell in row.cells)
    assert (question, by, answer, seeds, differs) == ("pafpn over fpn", "val mAP50", "better", "4 + 4", "nothing")
    assert difference.startswith("+")
    assert "1.0 points of val mAP50" in " ".join(table.notes)
    assert table.notes[-1].startswith("Not covered by the intervals: another training set")


def test_an_undecided_claim_names_the_command_for_the_missing_seeds(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9}, n_seeds=2)
    (table,) = verdict_tables(judge_sweeps(run_set(runs, CLAIM)))
    assert table.rows[0].cells[2].text == "undecided, leans to better"
    assert "next: detsweep train hypothesis=neck seed=2" in table.notes


def test_a_claim_that_cannot_be_judged_does_not_end_the_report(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    (found,) = judge_sweeps(run_set(runs, {**CLAIM, "arms": ["fpn"]}))
    assert "no comparison in sweep sweep" in found.problem
    (table,) = verdict_tables([found])
    assert table.rows[0].cells[0].text.startswith("not judged: no comparison")


def test_a_sweep_without_a_claim_has_no_verdicts(tmp_path: Path) -> None:
    runs = run_set(write_arms(tmp_path, {"fpn": 0.5}), CLAIM)
    assert judge_sweeps(replace(runs, sweeps=(replace(runs.sweeps[0], hypothesis=None),))) == []


def test_the_noise_of_equal_runs_is_shown_with_its_own_uncertainty(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.6}, n_seeds=5)
    claim = read_hypothesis({**FLOOR, "metrics": {"train/loss": {"margin": 0}}}, "x")
    varied = [
        replace(run, curves={}, metrics={"train/loss": value}) for run, value in zip(runs, (1, 2, 3, 4, 5), strict=True)
    ]
    (floor,) = noise_floor(claim, find_cells(claim, varied, []))
    assert (floor.n_seeds, floor.mean) == (5, 3.0)
    assert floor.deviation == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))
    # As the method's own page says of five runs.
    assert [end / floor.deviation for end in floor.deviation_range] == pytest.approx([0.60, 2.87], abs=0.01)
    assert list(floor.detectable) == sorted(floor.detectable, reverse=True)
    (table,) = verdict_tables(judge_sweeps(run_set(runs, FLOOR)))
    precision, small = table.rows
    assert precision.cells[1].value == 5
    assert "too few" in small.cells[3].text


def test_one_run_has_no_noise(tmp_path: Path) -> None:
    claim = replace(read_hypothesis(FLOOR, "x"), questions=(Question("val/bbox_mAP_50", 0.0),))
    (floor,) = noise_floor(claim, find_cells(claim, write_arms(tmp_path, {"fpn": 0.6}, n_seeds=1), []))
    assert math.isnan(floor.deviation)
    assert floor.problem
