"""A search through the real controller: trials rest, go on and are given up; killed and resumed on the way."""

import itertools

from runners.contract.trials import Trial
from sweeper.stored.sweep_file import read_sweep_file
from tests.faults.driver import Driver
from tests.quick_job import Play

LEARNS = Play(n_iterations=2, iteration_s=0.03, learns=True)
# Slow enough for the controller to be heard at the epoch's end, and to be killed in the middle of.
SLOW = Play(n_iterations=2, iteration_s=0.35, learns=True)
SEARCH = (
    *("search=narrow_optimizer", "dataset.shapes.n_train=8", "dataset.shapes.n_val=4", "dataset.shapes.n_test=24"),
    *("dataset.shapes.image_px=96", "n_epochs=4", "entry=tests.quick_job", "tracking=off", "gpus=none"),
    # A default that can be beaten.
    "demo_lr.sgd=0.012",
)


def test_a_search_that_is_killed_goes_on_to_the_same_budget_and_trains_nothing_twice(drive: Driver) -> None:
    drive.begin("train", *SEARCH, "search.n_trials=7", "search.confirm=2", "search.candidates=1", play=SLOW)
    drive.until(lambda: len(drive.events("decided")) >= 2 and len(drive.events("started")) >= 4)
    drive.cut_the_power()
    resumed = drive.run("resume", play=LEARNS)
    assert resumed.process.returncode == 0, resumed.said
    trials = [Trial.read(job["trial"]) for job in read_sweep_file(drive.sweep)["jobs"]]
    searched = [trial for trial in trials if trial.origin != "confirm"]
    assert [trial.number for trial in searched] == list(range(7))
    assert [trial.origin for trial in searched] == ["default"] + ["sampled"] * 6
    states = drive.states
    assert set(states.values()) == {"COMPLETED", "PRUNED"}
    assert states["0001"] == "COMPLETED"
    resumed_jobs = {event["job"] for event in drive.events("started") if event["attempt"] > 1}
    assert resumed_jobs
    # Each that was let go on began where it had rested.
    told = [event for event in drive.events() if event["event"] in ("decided", "started")]
    went_on = [
        event
        for before, event in itertools.pairwise(told)
        if before.get("decision") == "promote" and event["event"] == "started"
    ]
    assert went_on
    assert all(event["resume"] for event in went_on), went_on
    assert len(drive.events("asking_ended")) == 1
    confirming = [trial for trial in trials if trial.origin == "confirm"]
    assert len(confirming) == 4
    assert sorted({trial.of for trial in confirming})[0] == "0001"
    assert "nothing left to do" in drive.run("resume").said


def test_what_is_searched_and_cannot_be_is_told_before_anything_starts(drive: Driver) -> None:
    refused = drive.run("train", *SEARCH, "optimizer.lr=-1,0.1", "seed=0,1", "search.sampler.name=tpee")
    assert refused.process.returncode == 2
    assert refused.said.count("error:") >= 2, refused.said
    assert not drive.sweeps


def test_trials_that_fail_are_told_and_the_search_goes_on(drive: Driver) -> None:
    from tests.quick_job import Fault

    play = Play(n_iterations=2, iteration_s=0.01, learns=True, faults=(Fault("diverged", job="0002"),))
    ended = drive.run("train", *SEARCH, "search.n_trials=4", "search.pruner.name=none", play=play)
    assert ended.process.returncode == 1, ended.said
    assert drive.states["0002"] == "FAILED"
    assert [drive.states[job] for job in ("0001", "0003", "0004")] == ["COMPLETED"] * 3


def test_a_grid_is_gone_through_in_order_and_pruned_on_the_way(drive: Driver) -> None:
    words = [word for word in SEARCH if not word.startswith("search=")]
    grid = ("search=grid", "width=narrow", "weights=none", "backbone=resnet18", "image_size=96px", "batch_size=4")
    ended = drive.run(
        "train",
        *grid,
        *words[:-1],
        "dataset=shapes",
        "optimizer.lr=0.08,0.0001,0.07,0.0002",
        "search.n_trials=9",
        play=SLOW,
    )
    assert ended.process.returncode == 0, ended.said
    values = [event["values"]["optimizer.lr"] for event in drive.events("planned")]
    assert values[1:] == ["0.08", "0.0001", "0.07", "0.0002"]
    assert drive.states["0003"] == "PRUNED"
