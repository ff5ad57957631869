"""The fold of events and records, by literal events."""

import time
from pathlib import Path
from typing import Any

import pytest

from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult, MetricRecord
from runners.contract.states import AttemptOutcome, JobState
from sweeper.view.device_time import devices_of
from sweeper.view.finish_time import work_left_s
from sweeper.view.sweep_view import SweepView

HOUR = 3600.0


def new_view(folder: Path = Path("nowhere")) -> SweepView:
    return SweepView(SweepFolder(folder))


def tell(view: SweepView, at: float, event: str, **fields: Any) -> None:
    view.event({"at": at, "event": event, **fields})


def plan(view: SweepView, *expected_s: float, n_devices: int = 1) -> None:
    for number, expected in enumerate(expected_s, start=1):
        told = {"title": f"job {number}", "expected_s": expected, "memory_gb": 0.0, "n_devices": n_devices}
        tell(view, 0.0, "planned", job=f"{number:04d}", state="PLANNED", values={"seed": str(number)}, **told)


def start(view: SweepView, at: float, job: str, slot: str, attempt: int = 1, **fields: Any) -> None:
    told = {"resume": None, "batch_per_step": 16, "accumulation": 1, "state": "RUNNING"} | fields
    tell(view, at, "started", job=job, attempt=attempt, slot=slot, **told)


def end(view: SweepView, at: float, job: str, state: str = "COMPLETED", **fields: Any) -> None:
    tell(view, at, "ended", job=job, attempt=1, state=state, **({"reason": None, "kind": None} | fields))


def record(view: SweepView, at: float, job: str, iteration: int, **values: float) -> None:
    told = {"phase": "train", "epoch": 1, "n_epochs": 12, "iteration": iteration, "n_iterations": 100}
    view.record(job, MetricRecord(at, 1, iteration, dict(values), told))


@pytest.mark.parametrize(
    ("slot", "devices"),
    [
        ("gpu1", ["gpu1"]),
        ("gpu0/1", ["gpu0"]),
        ("gpu0+gpu1", ["gpu0", "gpu1"]),
        ("cpu/0", ["cpu"]),
        ("", []),
    ],
)
def test_a_slot_names_its_devices(slot: str, devices: list[str]) -> None:
    assert devices_of(slot) == devices


def test_a_device_is_busy_while_at_least_one_job_is_on_it() -> None:
    view = new_view()
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=2)
    tell(view, 0.0, "device_opened", device="gpu1", name="H100", n_shares=2)
    start(view, 10.0, "0001", "gpu0/0")
    start(view, 20.0, "0002", "gpu0/1")
    end(view, 30.0, "0001")
    end(view, 60.0, "0002")
    start(view, 80.0, "0003", "gpu0+gpu1")
    # gpu0: 10-60 and 80-100, gpu1: 80-100, of 200 device seconds
    assert view.busy_share(100.0) == pytest.approx(0.45)
    tell(view, 100.0, "device_closed", device="gpu1", reason="given back")
    assert view.busy_share(200.0) == pytest.approx((170.0 + 20.0) / 300.0)


def test_a_retried_job_carries_what_was_out_of_the_ordinary() -> None:
    view = new_view()
    start(view, 0.0, "0001", "gpu0")
    end(view, 10.0, "0001", "PAUSED", reason="CUDA out of memory", kind="oom")
    start(view, 11.0, "0001", "gpu1", attempt=2, batch_per_step=8, accumulation=2, resume="checkpoints/a1_epoch_1.pth")
    job = view.jobs["0001"]
    assert (job.is_halved, job.remark, job.reason, job.slot) == (True, "attempt 2, resumed", "", "gpu1")
    end(view, 31.0, "0001")
    assert (job.state, job.slot, job.spent_s) == (JobState.COMPLETED, "", 30.0)


def test_a_new_controller_begins_anew_with_the_devices_and_counts_no_time_without_one() -> None:
    view = new_view()
    tell(view, 0.0, "sweep_started", pid=1, host="a", command=["detsweep", "train"])
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=1)
    start(view, 0.0, "0001", "gpu0")
    tell(view, 50.0, "process", job="0001", attempt=1, pid=2, born_at=0.0)
    tell(view, 10_000.0, "sweep_started", pid=3, host="a", command=["detsweep", "train"])
    end(view, 10_001.0, "0001", "PAUSED")
    assert view.jobs["0001"].spent_s == 50.0
    assert view.busy_share(10_001.0) is None
    assert (view.controller["pid"], view.exit_code) == (3, None)
    tell(view, 10_002.0, "sweep_ended", exit_code=3)
    assert view.exit_code == 3


def test_an_event_of_a_later_version_changes_nothing() -> None:
    view = new_view()
    plan(view, 1.0)
    tell(view, 1.0, "weather", is_fine=True)
    tell(view, 1.0, "petted", job="0001")
    assert view.jobs["0001"].state is JobState.PLANNED


def test_the_finish_is_expected_longest_first_over_the_places() -> None:
    view = new_view()
    plan(view, 3 * HOUR, HOUR, HOUR, HOUR)
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=1)
    tell(view, 0.0, "device_opened", device="gpu1", name="H100", n_shares=1)
    assert work_left_s(view, 0.0) == pytest.approx(3 * HOUR)
    plan(view, *[HOUR] * 3)
    assert work_left_s(view, 0.0) == pytest.approx(2 * HOUR)


def test_the_finish_follows_what_completed_jobs_took() -> None:
    view = new_view()
    plan(view, HOUR, HOUR)
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=1)
    start(view, 0.0, "0001", "gpu0")
    end(view, 2 * HOUR, "0001")
    assert work_left_s(view, 2 * HOUR) == pytest.approx(2 * HOUR)


def test_the_finish_follows_the_pace_of_what_runs() -> None:
    view = new_view()
    plan(view, 0.0, 0.0)
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=1)
    assert work_left_s(view, 0.0) is None
    start(view, 0.0, "0001", "gpu0", resume="checkpoints/a1_epoch_6.pth")
    record(view, 100.0, "0001", 50)
    record(view, 150.0, "0001", 75)
    # 25 of 100 iterations in 50 s: 50 s to go, less the 10 s since; then a whole job of 200 s
    assert work_left_s(view, 160.0) == pytest.approx(40.0 + 200.0)


def test_a_job_on_two_devices_waits_for_both() -> None:
    view = new_view()
    plan(view, HOUR, HOUR, n_devices=2)
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=1)
    tell(view, 0.0, "device_opened", device="gpu1", name="H100", n_shares=1)
    assert work_left_s(view, 0.0) == pytest.approx(2 * HOUR)


def test_only_as_many_places_are_counted_as_jobs_were_seen_to_fit() -> None:
    view = new_view()
    plan(view, *[HOUR] * 5)
    tell(view, 0.0, "device_opened", device="gpu0", name="H100", n_shares=8)
    start(view, 0.0, "0001", "gpu0/0")
    assert view.n_places() == 1
    start(view, 0.0, "0002", "gpu0/1")
    assert view.n_places() == 2


def test_numbers_of_a_job_that_ended_unseen_are_read_from_its_folder(tmp_path: Path) -> None:
    view = new_view(tmp_path)
    start(view, 0.0, "0001", "cpu/0")
    end(view, 10.0, "0001")
    attempt = view.attempt_folder(view.jobs["0001"])
    attempt.path.mkdir(parents=True)
    MetricRecord(1.0, 1, 1, {"train/loss": 0.5, "val/bbox_mAP_50": 0.4}).append(attempt)
    metrics = {"best/val/bbox_mAP_50": 0.6, "cost/peak_host_gb": 1.5}
    AttemptResult(1, AttemptOutcome.COMPLETED, metrics=metrics).write(attempt)
    job = view.look_into(view.jobs["0001"])
    assert (job.loss, job.ap50, job.memory_gb) == (0.5, 0.6, 1.5)


def test_numbers_that_are_torn_leave_the_cells_empty(tmp_path: Path) -> None:
    view = new_view(tmp_path)
    start(view, 0.0, "0001", "cpu/0")
    end(view, 10.0, "0001")
    attempt = view.attempt_folder(view.jobs["0001"])
    attempt.path.mkdir(parents=True)
    attempt.metrics.write_text("not json\n")
    assert view.look_into(view.jobs["0001"]).loss is None


def test_ten_thousand_jobs_fold_in_two_seconds() -> None:
    view = new_view()
    events: list[dict[str, Any]] = []
    for number in range(10_000):
        job = f"{number:05d}"
        events.append({"at": 0.0, "event": "planned", "job": job, "state": "PLANNED", "title": job, "values": {}})
        started = {"job": job, "attempt": 1, "slot": "gpu0", "resume": None, "batch_per_step": 16, "state": "RUNNING"}
        events.append({"at": float(number), "event": "started", **started})
        events.append({"at": number + 1.0, "event": "ended", "job": job, "state": "COMPLETED", "reason": None})
    before = time.process_time()
    for event in events:
        view.event(event)
    assert view.counts()[JobState.COMPLETED] == 10_000
    assert time.process_time() - before < 2.0
