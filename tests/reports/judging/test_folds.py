"""Folds pooled: equal to one run on all images; seeds are replicates, and with one seed the folds are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.judging.arms import find_cells
from reports.judging.decision import Word
from reports.judging.evaluation_set import EvaluationSet
from reports.judging.folds import pool_matches, pool_sets
from reports.judging.judge import judge
from reports.judging.matches import match_run
from reports.judging.wording import more_seeds, noise_words, outlook_words
from reports.records import RunRecord
from runners.contract.errors import UserError
from runners.contract.hypothesis import Question
from tests.reports.judging.judged_sweep import CLAIM, N_IMAGES, write_run, write_truth
from tests.reports.judging.test_average_precision import made_up

FOLDS = ("0", "1", "2")
BY_FOLD = replace(CLAIM, blocks={"fold": FOLDS})


def write_folds(root: Path, rates: dict[str, float], n_seeds: int) -> list[RunRecord]:
    runs = []
    for fold in FOLDS:
        folder = root / fold
        truth = write_truth(folder)
        for entry in (*truth["images"], *truth["annotations"]):
            entry["id"] += 1000 * int(fold)
        for entry in truth["annotations"]:
            entry["image_id"] += 1000 * int(fold)
        (folder / "val.json").write_text(json.dumps(truth), encoding="utf-8")
        for number, (arm, rate) in enumerate(rates.items()):
            for seed in range(n_seeds):
                job = 100 * int(fold) + 10 * number + seed
                recipe = f"{arm} {fold}"
                runs.append(write_run(folder, job, arm, seed, rate, {"fold": fold}, recipe=recipe))
    return runs


def test_matches_of_folds_are_those_of_one_run_on_all_images() -> None:
    truth, detections = made_up(5, with_ties=True)
    parts = []
    for fold in range(3):
        ids = {image["id"] for image in truth["images"] if image["id"] % 3 == fold}
        own = {
            **truth,
            "images": [image for image in truth["images"] if image["id"] in ids],
            "annotations": [entry for entry in truth["annotations"] if entry["image_id"] in ids],
        }
        parts.append(match_run(own, [found for found in detections if found["image_id"] in ids]))
    pooled, whole = pool_matches(parts), match_run(truth, detections)
    for name, value in vars(whole).items():
        assert np.array_equal(getattr(pooled, name), value), name


def test_seeds_are_replicates_on_all_images_together(tmp_path: Path) -> None:
    runs = write_folds(tmp_path, {"fpn": 0.5, "pafpn": 0.9}, n_seeds=3)
    (step,) = judge(BY_FOLD, find_cells(BY_FOLD, runs, [])).claims[0].steps
    assert step.word is Word.BETTER
    assert (step.n_seeds, step.n_images, step.n_objects) == ((3, 3), 3 * N_IMAGES, 3 * 3 * N_IMAGES)
    assert step.verdict is not None
    assert not step.verdict.effect.is_by_fold
    one_fold = replace(CLAIM, blocks={"fold": ("0",)})
    alone = judge(one_fold, find_cells(one_fold, runs, [])).claims[0].steps[0].verdict
    assert alone is not None
    assert step.verdict.effect.deviation < alone.effect.deviation
    # Kept beside the run of the first fold, and read back the same.
    assert (tmp_path / "0" / "sweep" / "jobs" / "0000" / "judging" / "out_of_fold_values.npz").is_file()
    (again,) = judge(BY_FOLD, find_cells(BY_FOLD, runs, [])).claims[0].steps
    assert again.verdict == step.verdict


def test_with_one_seed_in_each_the_folds_tell_the_noise(tmp_path: Path) -> None:
    runs = write_folds(tmp_path, {"fpn": 0.5, "pafpn": 0.9}, n_seeds=1)
    (step,) = judge(BY_FOLD, find_cells(BY_FOLD, runs, [])).claims[0].steps
    assert step.verdict is not None
    effect = step.verdict.effect
    assert effect.is_by_fold
    assert effect.df == len(FOLDS) - 1
    assert len(effect.block_differences) == len(FOLDS)
    assert effect.variance >= np.var(effect.block_differences, ddof=1) / len(FOLDS)
    assert noise_words(step) == "noise as between folds, one seed in each"
    close = write_folds(tmp_path / "close", {"fpn": 0.7, "pafpn": 0.71}, n_seeds=1)
    judged = judge(BY_FOLD, find_cells(BY_FOLD, close, []))
    assert judged.claims[0].word is Word.UNDECIDED
    assert outlook_words(judged.claims[0].steps[0]) == "3 seeds in each arm are the least that can decide"
    assert more_seeds(judged, ["detsweep", "train", "hypothesis=neck"]) == "detsweep train hypothesis=neck seed=1,2"


def test_a_fold_that_is_missing_and_losses_are_as_before(tmp_path: Path) -> None:
    runs = write_folds(tmp_path, {"fpn": 0.5, "pafpn": 0.9}, n_seeds=2)
    lacking = [run for run in runs if not (run.params["fold"] == "2" and run.params["neck"] == "pafpn")]
    (step,) = judge(BY_FOLD, find_cells(BY_FOLD, lacking, [])).claims[0].steps
    assert "no finished run of pafpn" in step.problem
    by_loss = replace(BY_FOLD, questions=(Question("train/loss", 0.02),))
    (step,) = judge(by_loss, find_cells(by_loss, runs, [])).claims[0].steps
    assert step.verdict is not None
    assert len(step.verdict.effect.block_differences) == len(FOLDS)


def test_folds_that_share_images_are_no_folds(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    one = EvaluationSet(tmp_path / "val.json", truth, "aa" * 32)
    with pytest.raises(UserError, match="they share images"):
        pool_sets([one, one])
    other = {**truth, "images": [], "annotations": [], "categories": [{"id": 1, "name": "glass"}]}
    with pytest.raises(UserError, match="their classes differ"):
        pool_sets([one, EvaluationSet(tmp_path / "val.json", other, "bb" * 32)])
