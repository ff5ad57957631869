"""A search's best, trained again and judged on unseen images: what was luck goes, and what is true stays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.diagnosed_runs import DiagnosedRuns, diagnosed_arms
from reports.first_screen.decision import decision_sentences
from reports.judging.decision import Word
from reports.same_recipe import find_arms
from reports.search.candidates import arm_name, find_candidates
from reports.search.confirmation import Confirmation, confirm_search, confirm_searches, gain_table
from reports.search.trial_records import find_searches
from reports.section import leading_arm
from reports.verdicts import verdict_tables
from runners.contract.remarks import Remark, RemarkKind
from runners.contract.states import JobState
from tests.reports.search.confirmed_search import PlayedSearch

SEEDS = (1, 2, 3)
EQUAL = (0.6,) * 9
# The truth: one trial is much better than the default, the others are like it.
ONE_BETTER = (0.5, 0.5, 0.5, 0.85, 0.5)


def confirmed(play: PlayedSearch) -> Confirmation:
    (found,) = confirm_searches(play.run_set())
    return found


@pytest.fixture(scope="module")
def lucky(tmp_path_factory: pytest.TempPathFactory) -> PlayedSearch:
    """Trials that are all equal: whatever is ahead is so by luck."""
    play = PlayedSearch(tmp_path_factory.mktemp("lucky"), seed=1)
    play.trials(EQUAL)
    play.confirm(EQUAL, play.best(2), SEEDS)
    return play


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> PlayedSearch:
    play = PlayedSearch(tmp_path_factory.mktemp("true"), {"val": 40, "test": 120}, seed=2)
    play.trials(ONE_BETTER)
    play.confirm(ONE_BETTER, play.best(2), SEEDS)
    return play


def test_the_best_of_equal_trials_is_not_called_better_and_its_gain_does_not_last(lucky: PlayedSearch) -> None:
    found = confirmed(lucky)
    assert found.verdicts.judged is not None
    words = [claim.word for claim in found.verdicts.judged.claims]
    assert len(words) == 2
    assert Word.BETTER not in words
    for gain in found.gains:
        assert gain.searched is not None
        assert gain.unseen is not None
        assert gain.searched > 0
        assert gain.unseen < gain.searched
    assert all("did not last" in line or "nothing of the gain lasted" in line for line in found.lines)


def test_a_trial_that_is_better_is_called_better_and_its_rival_is_not(true: PlayedSearch) -> None:
    found = confirmed(true)
    assert found.verdicts.judged is not None
    first, second = found.verdicts.judged.claims
    assert first.steps[0].comparison.treatment == "trial 3 (adamw, lr 0.04)"
    assert (first.word, first.steps[0].n_seeds) == (Word.BETTER, (3, 3))
    assert second.word is not Word.BETTER
    # Holm: the clearer one of two at 97.5 %.
    assert first.steps[0].verdict is not None
    assert first.steps[0].verdict.alpha == pytest.approx(0.025)
    assert first.question.metric == "test/bbox_mAP_50"
    assert first.steps[0].n_images == 120


def test_luck_is_gone_with_the_images_and_not_with_the_seeds(tmp_path: Path) -> None:
    """Over several searches: fresh seeds on the same images keep a part of what chose the best, unseen images none."""
    gains = []
    for seed in range(6):
        play = PlayedSearch(tmp_path / str(seed), {"val": 30, "test": 30}, seed=10 + seed)
        play.trials(EQUAL)
        play.confirm(EQUAL, play.best(1), SEEDS)
        (gain,) = confirmed(play).gains
        gains.append([gain.searched or 0.0, gain.retrained or 0.0, gain.unseen or 0.0])
    searched, retrained, unseen = np.mean(gains, axis=0)
    assert searched > 0.05
    assert unseen < retrained < searched
    assert unseen < 0.5 * searched


def test_what_to_try_next_goes_on_from_a_trial_that_was_trained_again(tmp_path: Path) -> None:
    play = PlayedSearch(tmp_path / "search", seed=1)
    play.trials(EQUAL)
    play.confirm((0.2,) * len(EQUAL), play.best(3)[1:], SEEDS)  # the luckiest trial of all is not one of them
    arms = diagnosed_arms(find_arms(play.run_set().runs), DiagnosedRuns())
    assert len(arms[0].arm.runs) == 1
    leading = leading_arm(arms)
    assert leading is not None
    assert len(leading.arm.runs) == 1 + len(SEEDS)
    assert leading_arm(arms[:1]) == arms[0]


def test_the_runs_of_the_search_itself_have_no_part_in_the_verdict(true: PlayedSearch) -> None:
    found = confirmed(true)
    assert found.verdicts.judged is not None
    assert [cell.seeds for cell in found.verdicts.judged.cells] == [list(SEEDS)] * 3
    # Without their fresh runs nothing is confirmed, however many runs of the recipe there are.
    runs = true.run_set()
    own = [run for run in runs.runs if run.trial is not None and run.trial.origin != "confirm"]
    assert confirm_searches(replace(runs, runs=tuple(own))) == []
    again = [replace(run, sweep_id="other", trial=None) for run in runs.runs]
    assert confirm_searches(replace(runs, runs=tuple(own)), again) == []


def test_what_a_candidate_consists_of_is_no_confound_and_other_data_or_lost_seeds_are(true: PlayedSearch) -> None:
    found = confirmed(true)
    assert found.verdicts.judged is not None
    assert all(step.differences == () for claim in found.verdicts.judged.claims for step in claim.steps)
    runs = true.run_set()
    candidate = next(run for run in runs.runs if run.trial is not None and run.trial.of == "0004")
    split = Remark(RemarkKind.OTHER_SPLIT, "2 x 2 instead of 4")
    for changed, key in (
        (replace(candidate, remarks=(split,)), "batch split"),
        (replace(candidate, state=JobState.FAILED, failure="diverged"), "lost seeds"),
    ):
        others = tuple(changed if run is candidate else run for run in runs.runs)
        (judged,) = confirm_searches(replace(runs, runs=others))
        assert judged.verdicts.judged is not None
        step = judged.verdicts.judged.claims[0].steps[0]
        assert [one.key for one in step.differences] == [key]
        assert step.word is Word.UNDECIDED


def test_seeds_that_have_not_finished_are_named_and_nothing_is_decided_by_two(true: PlayedSearch) -> None:
    runs = true.run_set()
    cut = tuple(
        replace(run, state=JobState.RUNNING)
        if run.trial is not None and run.trial.of == "0004" and run.params["seed"] == "3"
        else run
        for run in runs.runs
    )
    (found,) = confirm_searches(replace(runs, runs=cut))
    assert found.verdicts.missing == ("trial 3 (adamw, lr 0.04): seed 3",)
    assert found.verdicts.judged is not None
    assert found.verdicts.judged.claims[0].word is Word.UNDECIDED
    waiting = tuple(
        replace(run, state=JobState.PLANNED) if run.trial is not None and run.trial.of == "0004" else run
        for run in runs.runs
    )
    (found,) = confirm_searches(replace(runs, runs=waiting))
    assert found.verdicts.judged is not None
    assert "no finished run of trial 3" in found.verdicts.judged.claims[0].steps[0].problem
    assert found.gains[0].unseen is None


def test_it_stands_where_a_reports_verdicts_do(true: PlayedSearch) -> None:
    found = confirmed(true)
    (sentence,) = decision_sentences([found.verdicts], [])
    assert sentence.startswith("Take trial 3 (adamw, lr 0.04): better than the default, +")
    (table,) = verdict_tables([found.verdicts])
    assert table.rows[0].cells[2].text == "better"
    assert set(found.lines) <= set(table.notes)
    assert any("The best of 5 trials" in note for note in table.notes)
    gained = gain_table(found)
    assert [row.cells[0].text for row in gained.rows] == [gain.name for gain in found.gains]
    assert all(cell.text.startswith(("+", "-")) for row in gained.rows for cell in row.cells[1:4])


def test_a_split_that_is_gone_does_not_end_the_report(true: PlayedSearch) -> None:
    runs = true.run_set()
    moved = tuple(replace(run, folder=None) for run in runs.runs)
    (found,) = confirm_searches(replace(runs, runs=moved))
    assert found.verdicts.judged is not None
    step = found.verdicts.judged.claims[0].steps[0]
    assert step.verdict is None
    assert "not on this machine" in step.left_out[0]


def test_a_search_by_cost_has_no_images_to_be_judged_on(true: PlayedSearch) -> None:
    runs = true.run_set()
    node = {**(runs.sweeps[0].search or {}), "objectives": {"cost/wall_s": "minimize"}, "prune_by": "val/bbox_mAP_50"}
    by_cost = replace(runs, sweeps=(replace(runs.sweeps[0], search=node),))
    ((searched,), problems) = find_searches(by_cost)
    assert problems == []
    assert confirm_search(searched, by_cost.runs) is None


def test_candidates_are_named_by_what_they_differ_in_from_the_default(true: PlayedSearch) -> None:
    ((searched,), _) = find_searches(true.run_set())
    found = find_candidates(searched)
    assert found is not None
    assert [arm.name for arm in found.arms][:2] == ["the default", "trial 3 (adamw, lr 0.04)"]
    record = found.best[0].record
    many = {**record.trial.params, "a.x": 1, "a.warmup_steps": 0.25, "a.z": 3}
    assert (
        arm_name(searched, replace(record, trial=replace(record.trial, params=many)))
        == "trial 3 (adamw, lr 0.04, x 1, warmup steps 0.25, ...)"
    )
