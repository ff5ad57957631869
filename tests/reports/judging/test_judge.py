"""A hypothesis judged from runs: which runs count, which words come out, what downgrades them, what would decide."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.judging.arms import find_cells, other_recipes
from reports.judging.decision import Word
from reports.judging.judge import JudgedHypothesis, judge, judge_family
from reports.judging.preparing import prepare
from reports.judging.wording import (
    bound_words,
    effect_words,
    level_words,
    more_seeds,
    noise_words,
    objects_words,
    outlook_words,
    verdict_words,
)
from reports.records import RunRecord
from runners.contract.hypothesis import Hypothesis, Question
from runners.contract.remarks import Remark, RemarkKind
from runners.contract.states import JobState
from runners.contract.yamlfile import dump_yaml
from tests.reports.judging.judged_sweep import CLAIM, write_arms, write_run, write_truth


def judged(runs: list[RunRecord], claim: Hypothesis = CLAIM, others: list[RunRecord] | None = None) -> JudgedHypothesis:
    cells = find_cells(claim, runs, others or [])
    return judge(claim, cells, other_recipes(cells, others or []))


def test_a_clear_gain_is_better_and_the_same_recipe_twice_is_not(tmp_path: Path) -> None:
    clear = judged(write_arms(tmp_path / "clear", {"fpn": 0.5, "pafpn": 0.9}))
    assert clear.claims[0].word is Word.BETTER
    (step,) = clear.claims[0].steps
    assert step.n_seeds == (4, 4)
    assert step.means is not None
    assert step.verdict is not None
    assert step.verdict.effect.difference == pytest.approx(step.means[0] - step.means[1])
    assert (verdict_words(step), effect_words(step)[0]) == ("better", "+")
    assert objects_words(step) == "on 180 objects in 60 images"
    equal = judged(write_arms(tmp_path / "equal", {"fpn": 0.7, "pafpn": 0.7}))
    assert equal.claims[0].word is not Word.BETTER


def test_a_loss_is_better_when_it_is_lower(tmp_path: Path) -> None:
    claim = replace(CLAIM, questions=(Question("train/loss", 0.02),))
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    (step,) = judged(runs, claim).claims[0].steps
    assert step.word is Word.BETTER
    assert (verdict_words(step), effect_words(step).split()[0]) == ("better", "-0.40")
    assert objects_words(step) == ""
    assert step.n_objects is None


def test_runs_of_other_sweeps_count_as_replicates_and_others_lend(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.6}, n_seeds=2)
    elsewhere = [
        write_run(tmp_path, first + seed, arm, seed, rate, sweep_id="earlier")
        for first, arm, rate in ((50, "fpn", 0.5), (60, "pafpn", 0.6))
        for seed in (1, 2)
    ]
    (step,) = judged(runs, others=elsewhere).claims[0].steps
    assert step.n_seeds == (3, 3)  # seed 1 was trained twice, and counts once
    lenders = [
        write_run(tmp_path, 100 + 10 * arm + seed, "other", seed, 0.6, sweep_id="earlier", recipe=f"other {arm}")
        for arm in range(3)
        for seed in range(3)
    ]
    (step,) = judged(runs, others=lenders).claims[0].steps
    assert step.verdict is not None
    assert step.verdict.effect.donors is not None
    donors, terms = step.verdict.effect.donors, step.verdict.effect.terms
    lent = f"seed noise partly borrowed from 3 arms, whose runs deviate by {100 * donors.deviation:.1f}"
    own = ", ".join(f"{100 * term.own**0.5:.1f}" for term in terms)
    assert noise_words(step) == f"{lent} (own runs by {own})"


def test_two_seeds_lean_and_the_command_for_the_rest_is_given(tmp_path: Path) -> None:
    found = judged(write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9}, n_seeds=2))
    assert found.claims[0].word is Word.UNDECIDED
    command = more_seeds(found, ["detsweep", "train", "hypothesis=neck", "dataset.root=my data", "seed=0,1"])
    assert command == "detsweep train hypothesis=neck 'dataset.root=my data' seed=2"
    assert outlook_words(found.claims[0].steps[0]) == "3 seeds in each arm would probably decide"


def test_seeds_that_are_under_way_are_not_asked_for_again(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9}, n_seeds=3)
    begun = [*runs[:-2], *(replace(run, state=JobState.RUNNING) for run in runs[-2:])]
    assert more_seeds(judged(begun), ["detsweep", "train"]) == ""
    failed = [*begun[:-1], replace(runs[-1], state=JobState.FAILED)]
    assert more_seeds(judged(failed), ["detsweep", "train"]) == "detsweep train seed=2"


def test_what_differs_beside_the_axis_downgrades_unless_it_is_accepted(tmp_path: Path) -> None:
    write_truth(tmp_path)
    runs = [
        write_run(tmp_path, 10 * number + seed, arm, seed, rate, {"lr": lr})
        for number, (arm, rate, lr) in enumerate((("fpn", 0.5, "0.02"), ("pafpn", 0.9, "0.01")))
        for seed in range(3)
    ]
    (step,) = judged(runs).claims[0].steps
    assert step.word is Word.UNDECIDED
    assert [str(one) for one in step.differences] == ["optimizer.lr: 0.01 against 0.02"]
    assert step.verdict is not None
    assert step.verdict.reason == "not only the axis differs: optimizer.lr"
    assert verdict_words(step) == "undecided, leans to better"
    accepting = replace(CLAIM, accepts={"optimizer.lr": "as published"})
    (step,) = judged(runs, accepting).claims[0].steps
    assert step.word is Word.BETTER
    assert "accepted: as published" in str(step.differences[0])


def test_a_retry_and_lost_seeds_are_told(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    runs[0] = replace(runs[0], remarks=(Remark(RemarkKind.OUT_OF_MEMORY, "2 x 2"),))
    runs[-1] = replace(runs[-1], state=JobState.FAILED, failure="loss is NaN")
    (step,) = judged(runs).claims[0].steps
    assert {one.key for one in step.differences} == {"batch split", "lost seeds"}


def test_losses_that_both_arms_have_are_told_and_count_for_nothing(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    for number in (3, 7):
        runs[number] = replace(runs[number], state=JobState.FAILED, failure="loss is NaN")
    (step,) = judged(runs).claims[0].steps
    assert step.word is Word.BETTER
    assert str(step.differences[0]).endswith("(accepted: as many in both arms)")


def test_a_rate_that_was_searched_for_in_one_arm_only_downgrades(tmp_path: Path) -> None:
    write_truth(tmp_path)
    runs = [
        write_run(tmp_path, 10 * number + seed, arm, seed, rate, {"lr": "0.02"})
        for number, (arm, rate) in enumerate((("fpn", 0.5), ("pafpn", 0.9)))
        for seed in range(3)
    ]
    tried = replace(runs[-1], sweep_id="search", recipe="another rate", params={**runs[-1].params, "lr": "0.01"})
    cells = find_cells(CLAIM, runs, [])
    (step,) = judge(CLAIM, cells, others=[*runs, tried]).claims[0].steps
    assert step.word is Word.UNDECIDED
    assert [str(one) for one in step.differences] == [
        "optimizer.lr: learning rates tried: 2 for pafpn against 1 for fpn"
    ]
    equally = replace(tried, job_id="0099", params={**runs[0].params, "lr": "0.01"})
    (step,) = judge(CLAIM, cells, others=[*runs, tried, equally]).claims[0].steps
    assert step.differences == ()


def test_settings_of_the_configs_are_compared_except_what_the_axis_changes(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    for run, prob in ((run, 0.3 if run.params["neck"] == "pafpn" else 0.5) for run in runs):
        assert run.folder is not None
        config = run.folder / "config.yaml"
        shown = {"pipeline": {"train": {"flip": {"prob": prob}}, "test": {"resize": {"scale": [96, 96]}}}}
        config.write_text(config.read_text(encoding="utf-8") + dump_yaml(shown), encoding="utf-8")
    (step,) = judged(runs).claims[0].steps
    assert [str(one) for one in step.differences] == ["pipeline.train: flip.prob 0.3 against 0.5"]
    accepting = replace(CLAIM, accepts={"pipeline": "each as published"})
    assert judged(runs, accepting).claims[0].word is Word.BETTER
    by_rate = replace(CLAIM, axis="pipeline.train.flip.prob", arms=("0.5", "0.3"))
    varied = [
        replace(run, params={**run.params, "neck": "fpn", "pipeline.train.flip.prob": prob})
        for run, prob in zip(runs, ["0.5"] * 4 + ["0.3"] * 4, strict=True)
    ]
    assert judged(varied, by_rate).claims[0].steps[0].differences == ()


def test_pretraining_is_told_as_weights_and_not_of_older_runs(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    sources = ["ImageNet-1k"] * 4 + ["ImageNet-22k"] * 4
    known = [replace(run, params={**run.params, "pretraining": told}) for run, told in zip(runs, sources, strict=True)]
    (step,) = judged(known).claims[0].steps
    assert [str(one) for one in step.differences] == ["weights: ImageNet-22k against ImageNet-1k"]
    assert judged([*runs[:4], *known[4:]]).claims[0].steps[0].differences == ()


def test_versions_are_compared_where_they_are_known(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    split = [replace(run, sweep_id="earlier") if run.params["neck"] == "fpn" else run for run in runs]
    cells = find_cells(CLAIM, split, [])
    old, new = {"torch": "2.14.0"}, {"torch": "2.15.0"}
    (step,) = judge(CLAIM, cells, (), {"sweep": new, "earlier": old}).claims[0].steps
    assert [str(one) for one in step.differences] == ["versions: torch 2.15.0 against torch 2.14.0"]
    for known in ({"sweep": new, "earlier": new}, {"sweep": new}):
        (step,) = judge(CLAIM, cells, (), known).claims[0].steps
        assert (step.differences, step.word) == ((), Word.BETTER)


def test_several_hypotheses_are_one_family(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    cells = find_cells(CLAIM, runs, [])
    prepared = [prepare(claim, cells, [], {}, runs) for claim in (CLAIM, replace(CLAIM, name="again"))]
    levels = sorted(
        one.claims[0].steps[0].verdict.alpha for one in judge_family(prepared) if one.claims[0].steps[0].verdict
    )
    assert levels == pytest.approx([0.025, 0.05])
    assert judge_family([]) == []


def test_pruned_arms_and_missing_ones_are_not_judged(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9})
    pruned = [*runs[:-1], replace(runs[-1], state=JobState.PRUNED)]
    assert "pruned" in judged(pruned).claims[0].steps[0].problem
    found = judged(runs[:4])
    assert found.claims[0].word is None
    assert found.claims[0].steps[0].problem == "no finished run of pafpn"


def test_few_objects_are_shown_and_not_judged(tmp_path: Path) -> None:
    claim = replace(CLAIM, questions=(Question("val/bbox_mAP_s", 0.01),))
    (step,) = judged(write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.9}), claim).claims[0].steps
    assert step.word is None
    assert step.problem == "too few objects, 0 in 0 images; at least 20 in 12 are needed"


def test_an_order_needs_every_step_and_two_metrics_are_a_family(tmp_path: Path) -> None:
    claim = replace(CLAIM, arms=("a", "b", "c"))
    runs = write_arms(tmp_path / "order", {"a": 0.3, "b": 0.6, "c": 0.6})
    found = judged(runs, claim)
    assert found.claims[0].is_ordered
    assert [step.comparison.treatment for step in found.claims[0].steps] == ["b", "c"]
    assert found.claims[0].word is not Word.BETTER
    both = replace(CLAIM, questions=(CLAIM.questions[0], Question("train/loss", 0.02)))
    found = judged(write_arms(tmp_path / "family", {"fpn": 0.5, "pafpn": 0.9}), both)
    levels = sorted(claim.steps[0].verdict.alpha for claim in found.claims if claim.steps[0].verdict)
    assert levels == pytest.approx([0.025, 0.05])
    told = sorted(level_words(claim.steps[0], both.confidence) for claim in found.claims)
    assert told == ["", "97.5 % interval, as several claims are judged together"]


def test_a_claim_that_does_not_hold_says_how_large_a_gain_may_be(tmp_path: Path) -> None:
    (step,) = judged(write_arms(tmp_path / "worse", {"fpn": 0.9, "pafpn": 0.5})).claims[0].steps
    assert step.word is Word.WORSE
    assert bound_words(step) == "there is no gain"
    generous = replace(CLAIM, questions=(Question("val/bbox_mAP_50", 0.5),))
    (step,) = judged(write_arms(tmp_path / "same", {"fpn": 0.7, "pafpn": 0.7}), generous).claims[0].steps
    assert step.word is Word.NO_RELEVANT_DIFFERENCE
    assert step.verdict is not None
    assert bound_words(step) == f"a gain of at most {100 * step.verdict.interval[1]:.1f} points"


def test_runs_on_other_images_are_not_compared(tmp_path: Path) -> None:
    runs = write_arms(tmp_path / "one", {"fpn": 0.5}) + write_arms(tmp_path / "other", {"pafpn": 0.9})
    path = tmp_path / "other" / "val.json"
    path.write_text(path.read_text(encoding="utf-8").replace("paper", "papier"), encoding="utf-8")
    assert judged(runs).claims[0].steps[0].problem == "the arms were evaluated on different images"
