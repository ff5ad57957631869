"""Attempts that stand still or do not stop, at times that a hand-moved clock tells."""

from pathlib import Path

import pytest

from runners.contract.records import MetricRecord
from sweeper.control.running import Limits
from tests.sweeper.controller_stage import (
    Stage,
    completes,
    lives,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_job_that_stands_still_writes_its_stacks_and_is_stopped_and_killed_in_turn(stage: Stage) -> None:
    stage.executor.deaf = {"0001"}
    stage.more = {"limits": Limits(first_step_s=100.0, step_s=50.0)}
    calls_at: dict[float, list[str]] = {}

    def tick(number: int) -> None:
        stage.now_s += 0.5
        methods = [method for method, _ in stage.executor.asked("dump", "terminate", "kill")]
        calls_at[stage.now_s] = methods

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 1
    first = next(at for at, methods in calls_at.items() if methods == ["dump"])
    second = next(at for at, methods in calls_at.items() if methods == ["dump", "terminate"])
    third = next(at for at, methods in calls_at.items() if methods == ["dump", "terminate", "kill"])
    assert 100.0 < first <= 102.0
    assert second - first == pytest.approx(1.0)
    assert third - second == pytest.approx(30.0)
    ended = stage.events("ended")
    assert [(event["outcome"], event["kind"], event["state"]) for event in ended] == [
        ("stalled", "stalled", "PAUSED"),
        ("stalled", "stalled", "FAILED"),
    ]
    told = f"no progress for 2 min; its stacks are in {stage.attempt('0001').log}"
    assert ended[0]["reason"] == told
    assert f"0001: {told}" in stage.out.getvalue()


def test_progress_keeps_a_job_alive_and_signs_of_life_do_not(stage: Stage) -> None:
    stage.more = {"limits": Limits(first_step_s=100.0, step_s=50.0)}

    def tick(number: int) -> None:
        stage.now_s += 10.0
        attempt = stage.attempt("0001")
        if attempt.path.exists() and not stage.executor.asked("terminate"):
            iteration = min(number, 30)  # then it beats and does not step
            progress = {"phase": "train", "epoch": 1, "iteration": iteration}
            MetricRecord(0.0, 1, iteration, {"iter/loss": 0.1}, progress).append(attempt)
        if stage.attempt("0001", 2).path.exists():
            stage.executor.exit(stage.attempt("0001", 2), completes(stage.attempt("0001", 2)))
            stage.on_tick = lambda number: None

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 0
    assert 30 < stage.n_ticks < 45
    assert [event["state"] for event in stage.events("ended")] == ["PAUSED", "COMPLETED"]


def test_a_job_that_completes_after_all_has_completed(stage: Stage) -> None:
    stage.more = {"limits": Limits(first_step_s=10.0)}
    stage.executor.deaf = {"0001"}

    def tick(number: int) -> None:
        stage.now_s += 1.0
        if stage.executor.asked("terminate"):
            stage.on_tick = lambda number: None
            stage.executor.exit(stage.attempt("0001"), completes(stage.attempt("0001")))

    stage.on_tick = tick
    assert stage.run(lives, "0001") == 0
    assert stage.states() == {"0001": "COMPLETED"}
