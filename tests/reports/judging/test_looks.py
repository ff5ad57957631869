"""Planned looks: what each sees, what it keeps, who gets more seeds, and what counts as rejected."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.judging.arms import CellKey, find_cells
from reports.judging.decision import Word
from reports.judging.looks import Look, judge_in_looks, replay_looks, take_look
from reports.judging.wording import look_words
from reports.records import RunRecord
from runners.contract.states import JobState
from tests.reports.judging.judged_sweep import CLAIM, write_arms

UNTIL = replace(CLAIM, until_decided=True)
NAME = "val/bbox_mAP_50"
THREE = replace(UNTIL, arms=("fpn", "pafpn", "third"), baseline="fpn")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    """Three arms of eight seeds: the second is better by far, the third about as good as the first."""
    return write_arms(tmp_path_factory.mktemp("arms"), {"fpn": 0.5, "pafpn": 0.95, "third": 0.51}, n_seeds=8)


def with_seeds(runs: list[RunRecord], **n_seeds: int) -> list[RunRecord]:
    return [run for run in runs if int(run.params["seed"]) < n_seeds[run.params["neck"]]]


def test_a_look_decides_what_it_can_and_asks_for_seeds_of_the_other_arms(runs: list[RunRecord]) -> None:
    cells = find_cells(THREE, with_seeds(runs, fpn=3, pafpn=3, third=3), ())
    look, wanted = take_look(THREE, cells, {}, [])
    assert look.words == {f"{NAME} pafpn": Word.BETTER, f"{NAME} third": Word.UNDECIDED}
    assert not look.is_final
    assert {key.arm for key in wanted} == {"fpn", "third"}
    assert Look.read(look.describe()) == look


def test_what_was_decided_counts_as_rejected_and_keeps_its_interval(runs: list[RunRecord]) -> None:
    cells = find_cells(THREE, with_seeds(runs, fpn=3, pafpn=3, third=3), ())
    first, _ = take_look(THREE, cells, {}, [])
    then = judge_in_looks(THREE, cells, {}, [first])
    cells = find_cells(THREE, with_seeds(runs, fpn=5, pafpn=3, third=5), ())
    second, wanted = take_look(THREE, cells, {}, [first])
    now = judge_in_looks(THREE, cells, {}, [first, second])
    kept, other = now.claims
    assert (kept.look, kept.word) == (3, Word.BETTER)
    assert kept.steps[0].verdict == then.claims[0].steps[0].verdict
    # One of the two is rejected: the other has the second look's whole share.
    assert other.steps[0].verdict is not None
    assert other.steps[0].verdict.alpha == pytest.approx(0.3 * 0.05)
    assert {key.arm for key in wanted} == {"fpn", "third"}
    # The first look's share of two claims: half of 1 %.
    assert look_words(kept, kept.steps[0]) == "decided at the look at 3 seeds; 99.5 % interval"
    assert look_words(other, other.steps[0]).startswith("undecided at the look at 5 seeds; 98.5 %")


def test_the_last_look_is_final_and_later_seeds_change_nothing(runs: list[RunRecord]) -> None:
    claim = replace(UNTIL, arms=("fpn", "third"))
    looks: list[Look] = []
    for n_seeds in (3, 5, 8):
        found, wanted = take_look(claim, find_cells(claim, runs, ()), {}, looks)
        looks.append(found)
        assert (found.n_seeds, found.is_final, bool(wanted)) == (n_seeds, n_seeds == 8, n_seeds < 8)
    judged = judge_in_looks(claim, find_cells(claim, runs, ()), {}, looks)
    assert judged.claims[0].steps[0].n_seeds == (8, 8)
    early = judge_in_looks(claim, find_cells(claim, runs, ()), {}, looks[:1])
    assert early.claims[0].steps[0].n_seeds == (3, 3)
    assert "undecided at 8 seeds is final" in look_words(judged.claims[0], judged.claims[0].steps[0])


def test_looks_that_nobody_kept_are_those_that_the_runs_allow(runs: list[RunRecord]) -> None:
    here = with_seeds(runs, fpn=6, pafpn=3, third=5)
    cells = find_cells(THREE, here, ())
    replayed = replay_looks(THREE, cells, {})
    assert [look.n_seeds for look in replayed] == [3, 5]
    first, _ = take_look(THREE, cells, {}, [])
    assert replayed[0] == first
    assert replay_looks(THREE, find_cells(THREE, with_seeds(runs, fpn=3, pafpn=2, third=3), ()), {}) == []


def test_the_shorter_arm_is_topped_up_first(runs: list[RunRecord]) -> None:
    claim = replace(UNTIL, arms=("fpn", "third"))
    lost = [
        replace(run, state=JobState.FAILED) if (run.params["neck"], run.params["seed"]) == ("third", "1") else run
        for run in runs
    ]
    accepting = replace(claim, accepts={"lost seeds": "a broken disk"})
    cells = find_cells(accepting, with_seeds(lost, fpn=3, pafpn=0, third=3), ())
    _, wanted = take_look(accepting, cells, {}, [])
    assert wanted == [CellKey("third", ()), CellKey("fpn", ())]


def test_seeds_are_not_added_to_what_is_unfair_or_cannot_be_judged(runs: list[RunRecord]) -> None:
    claim = replace(UNTIL, arms=("fpn", "third"))
    unfair = [
        replace(run, params={**run.params, "lr": "0.1" if run.params["neck"] == "fpn" else "0.2"}) for run in runs
    ]
    look, wanted = take_look(claim, find_cells(claim, unfair, ()), {}, [])
    assert (look.is_final, wanted) == (True, [])
    pruned = [
        replace(run, state=JobState.PRUNED) if (run.params["neck"], run.params["seed"]) == ("third", "2") else run
        for run in runs
    ]
    look, wanted = take_look(claim, find_cells(claim, pruned, ()), {}, [])
    assert look.is_final


def test_before_the_first_look_nothing_is_decided(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.95}, n_seeds=2)
    judged = judge_in_looks(UNTIL, find_cells(UNTIL, runs, ()), {}, [])
    assert judged.claims[0].word is Word.UNDECIDED
    assert look_words(judged.claims[0], judged.claims[0].steps[0]) == ""


def test_a_decision_that_was_written_down_stands(tmp_path: Path) -> None:
    runs = write_arms(tmp_path, {"fpn": 0.5, "pafpn": 0.52}, n_seeds=3)
    told = Look(3, {NAME: Word.BETTER}, is_final=True)
    judged = judge_in_looks(UNTIL, find_cells(UNTIL, runs, ()), {}, [told])
    assert (judged.claims[0].word, judged.claims[0].look) == (Word.BETTER, 3)
