"""What is expected of jobs, what users ask of a running sweep, and devices that come and go."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.packing import Need
from sweeper.control.running import Limits
from sweeper.hardware.slots import Offer
from sweeper.stored.requests import ask
from tests.sweeper.controller_stage import (
    Estimates,
    Stage,
    asks_at,
    completes,
    fails,
    lives,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_estimates_decide_the_order_and_what_finished_corrects_them_before_the_next_starts(stage: Stage) -> None:
    def told(**seconds: float) -> dict[str, tuple[Need, float]]:
        return {f"000{key[1]}": (Need(), s) for key, s in seconds.items()}

    stage.more = {"estimates": Estimates(told(j1=1.0, j2=3.0, j3=2.0, j4=2.0), told(j1=9.0, j2=3.0, j3=2.01, j4=5.5))}
    assert stage.run(completes, "0001", "0002", "0003", "0004") == 0
    assert [event["expected_s"] for event in stage.events("planned")] == [1.0, 3.0, 2.0, 2.0]
    assert stage.told("started") == [f"started {job}" for job in ("0002", "0001", "0004", "0003")]
    # Of 0003 hardly anything else is expected, of 0002 nothing more.
    corrected = [(event["job"], event["expected_s"]) for event in stage.events("estimated")]
    assert sorted(corrected) == [("0001", 9.0), ("0004", 5.5)]
    assert stage.told().index("estimated 0001") < stage.told().index("started 0001")


def test_jobs_are_packed_by_the_memory_that_is_expected_of_them(stage: Stage) -> None:
    stage.devices, stage.offer = stage.gpus(1), Offer(8, 20.0)
    needs = {job: (Need(1, gb), 1.0) for job, gb in (("0001", 12.0), ("0002", 12.0), ("0003", 8.0), ("0004", 8.0))}
    stage.more = {"estimates": Estimates(needs, needs)}
    assert stage.run(lives_until_all_are_there(stage, 2), "0001", "0002", "0003", "0004") == 0
    assert [(event["job"], event["slot"]) for event in stage.events("started")][:2] == [
        ("0001", "gpu0/0"),
        ("0003", "gpu0/1"),
    ]
    assert stage.events("planned")[0]["memory_gb"] == 12.0


def lives_until_all_are_there(stage: Stage, n: int) -> Callable[[AttemptFolder], None]:
    """Return a play whose jobs complete once `n` of them run side by side, or in the tick after next."""
    running: list[AttemptFolder] = []

    def tick(number: int) -> None:
        if len(running) >= n or number % 3 == 0:
            for attempt in running:
                stage.executor.exit(attempt, completes(attempt))
            running.clear()

    stage.on_tick = tick
    return running.append


def test_a_running_job_that_is_cancelled_is_told_so_and_the_others_go_on(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int | None:
        return None if attempt.job.job_id == "0001" else completes(attempt)

    asks_at(stage, t3=("stop", {"job": "0001"}), t2=("stop", {"job": "0003"}))
    assert stage.run(play, "0001", "0002", "0003") == 0
    assert stage.attempt("0001").stop.read_text() == "cancel"
    assert stage.states() == {"0001": "CANCELLED", "0002": "COMPLETED", "0003": "CANCELLED"}
    assert stage.told("requested", "cancelled") == ["requested 0003", "cancelled 0003", "requested 0001"]
    assert not list(stage.sweep.requests.iterdir())


def test_a_sweep_that_is_asked_to_stop_saves_and_ends_with_3(stage: Stage) -> None:
    asks_at(stage, t2=("stop", {}))
    assert stage.run(lives, "0001", "0002") == 3
    assert stage.states() == {"0001": "PAUSED", "0002": "PLANNED"}
    assert [event["reason"] for event in stage.events("stop_asked")] == ["request"]


def test_a_sweep_that_is_paused_gives_its_devices_back_and_goes_on_when_it_is_told(stage: Stage) -> None:
    stage.devices = stage.gpus(1)
    node = stage.devices[0].node
    n_starts: list[int] = []

    def go_on() -> None:
        assert stage.executor.asked("hold", "release") == [("hold", node), ("release", node)]
        n_starts.append(len(stage.executor.asked("start")))
        stage.executor.play = completes
        ask(stage.sweep, "continue")

    asks_at(stage, t3=("pause", {}), t30=go_on)
    assert stage.run(lives, "0001", "0002") == 0
    assert n_starts == [1]  # nothing was started while it rested
    named = stage.told("paused", "device_closed", "continued", "device_opened")
    assert named == ["device_opened gpu0", "paused", "device_closed gpu0", "continued", "device_opened gpu0"]
    assert stage.states() == {"0001": "COMPLETED", "0002": "COMPLETED"}


def test_a_pause_that_is_taken_back_before_the_jobs_have_saved_keeps_the_devices(stage: Stage) -> None:
    stage.devices = stage.gpus(1)
    stage.executor.deaf = {"0001"}

    def saved() -> None:
        stage.executor.deaf, stage.executor.play = set(), completes
        attempt = stage.attempt("0001")
        AttemptResult(1, AttemptOutcome.INTERRUPTED).write(attempt)
        stage.executor.exit(attempt, 3)

    asks_at(stage, t2=("pause", {}), t4=("continue", {}), t8=saved)
    assert stage.run(lives, "0001") == 0
    assert stage.told("device_opened", "device_closed") == ["device_opened gpu0"]
    assert len(stage.events("started")) == 2


def test_a_gpu_that_is_given_back_is_free_after_its_job_has_saved_and_taken_again_later(stage: Stage) -> None:
    stage.devices = stage.gpus(2)
    nodes = [device.node for device in stage.devices]

    def finish() -> None:
        stage.executor.play = completes
        for job, number in (("0001", 1), ("0002", 2), ("0003", 1)):
            attempt = stage.attempt(job, number)
            if attempt.path.exists() and not attempt.result.exists():
                stage.executor.exit(attempt, completes(attempt))

    asks_at(stage, t3=("gpus", {"minus": [1], "plus": []}), t6=("gpus", {"plus": [1]}), t20=finish)
    stage.now_s = 1000.0
    assert stage.run(lives, "0001", "0002", "0003") == 0
    assert stage.executor.asked("hold", "release") == [
        ("hold", nodes[0]),
        ("hold", nodes[1]),
        ("release", nodes[1]),
        ("hold", nodes[1]),
    ]
    slots = [(event["job"], event["slot"]) for event in stage.events("started")]
    assert slots == [("0001", "gpu0"), ("0002", "gpu1"), ("0002", "gpu1"), ("0003", slots[3][1])]
    assert [event["reason"] for event in stage.events("device_closed")] == ["given back"]


def test_a_job_that_is_held_waits_and_one_that_is_moved_up_goes_first(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int | None:
        return None if len(stage.executor.asked("start")) == 1 else completes(attempt)

    asks_at(
        stage,
        t2=("pause", {"job": "0002"}),
        t3=("next", {"job": "0004"}),
        t4=("pause", {"job": "0001"}),
        t40=lambda: pytest.fail("it should have ended"),
    )
    assert stage.run(play, "0001", "0002", "0003", "0004") == 3
    assert stage.told("started") == ["started 0001", "started 0004", "started 0003"]
    assert stage.told("postponed") == ["postponed 0002"]
    assert stage.states() == {"0001": "PAUSED", "0002": "PAUSED", "0003": "COMPLETED", "0004": "COMPLETED"}


def test_a_failed_job_is_tried_again_if_that_is_asked(stage: Stage) -> None:
    def play(attempt: AttemptFolder) -> int | None:
        if attempt.job.job_id == "0002":
            return None
        return fails(FailureKind.BUG)(attempt) if attempt.number == 1 else completes(attempt)

    asks_at(
        stage,
        t4=("retry", {"job": "0001"}),
        t8=lambda: stage.executor.exit(stage.attempt("0002"), completes(stage.attempt("0002"))),
    )
    assert stage.run(play, "0001", "0002") == 0
    assert stage.told("retried", "ended") == ["ended 0001", "retried 0001", "ended 0002", "ended 0001"]


def test_a_cancelled_job_stays_cancelled_when_the_sweep_is_stopped(stage: Stage) -> None:
    stage.executor.deaf = {"0001"}

    def saved() -> None:
        AttemptResult(1, AttemptOutcome.INTERRUPTED).write(stage.attempt("0001"))
        stage.executor.exit(stage.attempt("0001"), 3)

    asks_at(stage, t2=("stop", {"job": "0001"}), t4=("stop", {}), t6=saved)
    assert stage.run(lives, "0001", "0002") == 3
    assert stage.attempt("0001").stop.read_text() == "cancel"
    assert stage.executor.asked("terminate") == [("terminate", "0001")]
    assert stage.states() == {"0001": "CANCELLED", "0002": "PLANNED"}


def test_a_gpu_in_use_is_waited_for_and_told_once(stage: Stage) -> None:
    stage.devices, stage.busy = stage.gpus(1), {"gpu0"}

    def tick(number: int) -> None:
        stage.now_s += 1.0
        if number == 20:
            stage.busy = set()

    stage.on_tick = tick
    assert stage.run(completes, "0001") == 0
    assert stage.out.getvalue().count(f"waiting: gpu0 (H200) is used by pid {os.getpid()} (") == 1
    assert stage.n_ticks >= 20


def test_a_gpu_that_breaks_twice_is_taken_out_and_its_jobs_move(stage: Stage) -> None:
    stage.devices = stage.gpus(2)

    def play(attempt: AttemptFolder) -> int | None:
        if stage.executor.environments[-1]["CUDA_VISIBLE_DEVICES"] == "GPU-0":
            return fails(FailureKind.DEVICE, "CUDA error: unspecified launch failure")(attempt)
        return completes(attempt)

    assert stage.run(play, "0001", "0002", "0003") == 0
    assert [event["reason"] for event in stage.events("device_closed")] == ["it failed 2 times"]
    assert ("release", stage.devices[0].node) in stage.executor.calls
    assert set(stage.states().values()) == {"COMPLETED"}


def test_without_a_gpu_that_works_the_sweep_is_left_for_a_resume(stage: Stage) -> None:
    stage.devices = stage.gpus(1)
    assert stage.run(fails(FailureKind.DEVICE), "0001", "0002") == 3
    assert stage.told("device_closed") == ["device_closed gpu0"]
    assert JobState.FAILED.value not in stage.states().values()


def test_what_an_earlier_controller_of_this_invocation_has_leased_is_there_at_once(stage: Stage) -> None:
    """A probe's controller leaves the pool as it was."""
    stage.devices, stage.is_leased_before = stage.gpus(2), True
    assert stage.run(completes, "0001") == 0
    assert stage.executor.asked("hold") == [("hold", device.node) for device in stage.devices]
    assert stage.told("device_opened") == ["device_opened gpu0", "device_opened gpu1"]


def test_a_job_that_had_to_be_killed_for_its_device_is_not_blamed(stage: Stage) -> None:
    stage.devices, stage.executor.deaf = stage.gpus(2), {"0001"}

    def tick(number: int) -> None:
        stage.now_s += 10.0
        if number == 2:
            ask(stage.sweep, "gpus", minus=[0])
        if stage.executor.asked("kill"):
            stage.executor.play = completes

    stage.on_tick = tick
    stage.more = {"limits": Limits(max_losses=1, grace_s=60.0)}
    assert stage.run(lambda attempt: None if attempt.job.job_id == "0001" else completes(attempt), "0001", "0002") == 0
    first, last = (event for event in stage.events("ended") if event["job"] == "0001")
    assert (first["outcome"], first["state"], first["counted"]) == ("lost", "PAUSED", False)
    assert last["state"] == "COMPLETED"
    assert [event["slot"] for event in stage.events("started") if event["job"] == "0001"] == ["gpu0", "gpu1"]
