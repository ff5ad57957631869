"""Arms that differ in evaluation only: judged run by run where their weights are the same, and like all others else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.judging.arms import find_cells
from reports.judging.decision import Word
from reports.judging.judge import JudgedStep, judge
from reports.judging.wording import noise_words, outlook_words
from reports.records import Point, RunRecord
from runners.contract.hypothesis import Hypothesis, Question
from runners.contract.yamlfile import dump_yaml, load_yaml
from tests.reports.judging.judged_sweep import CLAIM, write_run, write_truth

AXIS = "model.test_cfg.score_thr"
KEPT, CUT = "0.05", "0.5"
BY_SCORE = replace(CLAIM, axis=AXIS, arms=(CUT, KEPT))
# The nets of one recipe disagree by far more than the threshold costs.
RATES = (0.55, 0.7, 0.85)


@pytest.fixture
def runs(tmp_path: Path) -> list[RunRecord]:
    """Three nets, each judged with all that it finds, and with what scores high."""
    write_truth(tmp_path)
    found = []
    for number, threshold in enumerate((KEPT, CUT)):
        for seed, rate in enumerate(RATES):
            run = write_run(tmp_path, 10 * number + seed, "fpn", seed, rate, {AXIS: threshold})
            assert run.folder is not None
            predictions = run.folder / "predictions" / "a1_val_last.json"
            if threshold == CUT:
                first = tmp_path / "sweep" / "jobs" / f"{seed:04d}" / "predictions" / "a1_val_last.json"
                kept = [one for one in json.loads(first.read_text()) if one["score"] >= float(CUT)]
                predictions.write_text(json.dumps(kept))
            change(run, model={"test_cfg": {"score_thr": float(threshold)}, "depth": 18}, title=run.job_id, seed=seed)
            found.append(replace(run, recipe=f"recipe of {threshold}"))
    return found


def change(run: RunRecord, **parts: Any) -> None:
    assert run.folder is not None
    config = run.folder / "config.yaml"
    config.write_text(dump_yaml({**load_yaml(config.read_text()), **parts}))


def judged(runs: list[RunRecord], claim: Hypothesis = BY_SCORE) -> JudgedStep:
    (step,) = judge(claim, find_cells(claim, runs, [])).claims[0].steps
    return step


def test_the_same_weights_are_judged_run_by_run(runs: list[RunRecord]) -> None:
    step = judged(runs)
    assert step.verdict is not None
    assert step.verdict.effect.is_paired
    assert step.differences == ()
    assert step.word is Word.BETTER
    assert noise_words(step) == "paired: same weights, run by run; only how they are evaluated differs"
    # As runs of their own the same numbers decide nothing: the nets differ too much.
    alone = judged([replace(run, curves={**run.curves, "train/loss": (Point(1, n),)}) for n, run in enumerate(runs)])
    assert alone.verdict is not None
    assert alone.verdict.effect.difference == pytest.approx(step.verdict.effect.difference)
    assert not alone.verdict.effect.is_paired
    assert alone.word is Word.UNDECIDED
    assert outlook_words(alone) != ""


def test_one_other_loss_seed_or_setting_and_they_are_runs_of_their_own(runs: list[RunRecord]) -> None:
    def is_paired(some: list[RunRecord], claim: Hypothesis = BY_SCORE) -> bool:
        verdict = judged(some, claim).verdict
        assert verdict is not None
        return verdict.effect.is_paired

    last = runs[-1]
    assert is_paired(runs)
    almost = replace(last, curves={"train/loss": (Point(1, 2.0), Point(2, 1.0 - RATES[2] + 1e-15))})
    assert not is_paired([*runs[:-1], almost])
    assert not is_paired([*runs[:-1], replace(last, params={**last.params, "seed": "7"})])
    assert not is_paired([*runs[:-1], replace(last, curves={})])
    # What an axis of training changes is never judged so, whatever it comes to.
    necks = [replace(run, params={**run.params, "neck": run.params[AXIS]}) for run in runs]
    assert not is_paired(necks, replace(BY_SCORE, axis="neck"))
    change(last, model={"test_cfg": {"score_thr": float(CUT)}, "depth": 34})
    assert not is_paired(runs)


def test_time_is_no_property_of_weights(runs: list[RunRecord]) -> None:
    timed = [replace(run, metrics={"cost/wall_s": 10.0 + number}) for number, run in enumerate(runs)]
    step = judged(timed, replace(BY_SCORE, questions=(Question("cost/wall_s", 1.0),)))
    assert step.verdict is not None
    assert not step.verdict.effect.is_paired
