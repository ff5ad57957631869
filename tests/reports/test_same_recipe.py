"""Runs that differ in their seed alone are one arm, with a name as short as tells it."""

from dataclasses import replace
from pathlib import Path

from reports.read import read_runs
from reports.records import RunRecord
from reports.same_recipe import find_arms
from runners.contract.states import JobState
from tests.reports.sweep_writing import WrittenJob, write_sweep


def runs_of(folder: Path, *jobs: WrittenJob) -> list[RunRecord]:
    runs = read_runs(write_sweep(folder, list(jobs))).runs
    return [
        replace(run, recipe=f"{run.params['backbone']} {run.params['optimizer']} {run.params['lr']}") for run in runs
    ]


def test_arms_are_named_by_what_they_differ_in(tmp_path: Path) -> None:
    runs = runs_of(
        tmp_path,
        WrittenJob(0.6, settings={"seed": 0}),
        WrittenJob(0.5, settings={"seed": 1}),
        WrittenJob(0.58, {"optimizer": "adamw"}, {"optimizer": {"lr": 0.0001}}),
    )
    arms = find_arms(runs)
    # The best run is of the other arm, but not the best mean; the rate follows from the optimizer.
    assert [(arm.name, len(arm.runs)) for arm in arms] == [("adamw", 1), ("sgd", 2)]
    assert [run.params["seed"] for run in arms[1].runs] == ["0", "1"]


def test_settings_are_named_with_their_key(tmp_path: Path) -> None:
    runs = runs_of(
        tmp_path, *(WrittenJob(rate, settings={"optimizer": {"name": "sgd", "lr": rate}}) for rate in (0.1, 0.2))
    )
    assert [arm.name for arm in find_arms(runs)] == ["lr=0.2", "lr=0.1"]


def test_a_setting_that_is_an_axis_as_well_is_named_once(tmp_path: Path) -> None:
    jobs = [WrittenJob(rate, settings={"optimizer": {"name": "sgd", "lr": rate}}) for rate in (0.1, 0.2)]
    first, second = (
        replace(run, params={**run.params, "optimizer.lr": value})
        for run, value in zip(runs_of(tmp_path, *jobs), ("1e-1", "2e-1"), strict=True)
    )
    assert [arm.name for arm in find_arms([first, second])] == ["lr=0.2", "lr=0.1"]


def test_a_rate_that_a_sweep_has_chosen_is_named_beside_the_optimizer(tmp_path: Path) -> None:
    jobs = [
        WrittenJob(0.5 + rate, {"optimizer": name}, {"optimizer": {"name": name, "lr": rate}})
        for name in ("sgd", "adamw")
        for rate in (0.1, 0.2)
    ]
    runs = runs_of(tmp_path, *jobs)
    chosen = [replace(run, params={**run.params, "optimizer.lr": run.params["lr"]}) for run in runs]
    names = {"sgd lr=0.1", "sgd lr=0.2", "adamw lr=0.1", "adamw lr=0.2"}
    assert {arm.name for arm in find_arms(chosen)} == names


def test_one_arm_has_its_title_and_recipes_that_are_not_known_stand_alone(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, WrittenJob())
    assert [arm.name for arm in find_arms([run])] == [run.title]
    twins = [replace(run, recipe=""), replace(run, recipe="", job_id="0002")]
    assert len({arm.name for arm in find_arms(twins)}) == 2


def test_a_run_and_one_that_points_to_it_are_one(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, WrittenJob())
    reused = replace(run, sweep_id="later", state=JobState.REUSED)
    assert [arm.runs for arm in find_arms([reused, run])] == [(run,)]
    other = replace(reused, params={**run.params, "seed": "1"})
    assert len(find_arms([other, run])[0].runs) == 2
