"""What jobs are expected to need: memory only where it decides, measured once for jobs alike, kept for later sweeps."""

from pathlib import Path
from typing import Any

import pytest

from runners.contract.metrics import IMAGES_PER_S, ITERATION_S, PEAK_HOST_GB, VALIDATION_IMAGE_S, WALL_S
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from sweeper.control.packing import Need
from sweeper.forecast.job_estimates import JobForecast, ProbeForecast, processor_name
from sweeper.forecast.measurements import FILE
from sweeper.hardware.devices import CPU
from sweeper.hardware.machine import Capacity
from sweeper.hardware.slots import Offer, Slot
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import PlannedJob
from tests.composition import compose

SETTINGS: dict[str, Any] = {"devices_per_job": 1, "batch_per_step": None, "keep": "best", "entry": "runners.job"}
SMALL = ("dataset=shapes", "backbone=resnet18", "width=narrow", "weights=none", "image_size=96px", "batch_size=4")


def job(number: int, *overrides: str) -> PlannedJob:
    dataset = PreparedDataset({}, {}, ["a"], "f" * 64, {"train": 40, "val": 8, "test": 8}, {"val": True}, [])
    return PlannedJob(f"{number:04d}", f"job {number}", [], {}, compose(*SMALL, *overrides), dataset)


JOBS = [job(1), job(2, "seed=1"), job(3, "backbone=resnet34")]


def forecast(folder: Path, *, by_memory: bool = True, clock: Any = lambda: 0.0, **settings: Any) -> JobForecast:
    capacity = Capacity((CPU,), (Offer(2, 16.0 if by_memory else 0.0),), 2)
    return JobForecast({**SETTINGS, **settings}, capacity, len(JOBS), folder, clock)


def finish(forecast: JobForecast, job: PlannedJob, mode: Any = "train") -> bool:
    metrics = {ITERATION_S: 0.5, VALIDATION_IMAGE_S: 0.1, PEAK_HOST_GB: 2.0, IMAGES_PER_S: 8.0, WALL_S: 100.0}
    spec = AttemptSpec(1, "cpu", 1, 0, 4, 1, mode)
    result = AttemptResult(1, AttemptOutcome.COMPLETED, metrics=metrics)
    return forecast.learn(job, spec, Slot((CPU,), 0, 2, 1), result)


def test_memory_is_part_of_a_need_only_where_it_decides(tmp_path: Path) -> None:
    packed, shared = forecast(tmp_path), forecast(tmp_path, by_memory=False)
    assert packed.of(JOBS[0])[0].memory_gb > 0.0
    assert shared.of(JOBS[0])[0] == Need(1, 0.0)
    assert packed.of(JOBS[0])[1] == shared.of(JOBS[0])[1] > 0.0


def test_jobs_that_differ_in_the_seed_are_measured_once_and_for_later_sweeps_too(tmp_path: Path) -> None:
    first = forecast(tmp_path)
    assert [found.job_id for found in first.unmeasured(JOBS)] == ["0001", "0003"]
    finish(first, JOBS[0], "probe")
    assert [found.job_id for found in first.unmeasured(JOBS)] == ["0003"]
    assert first.estimate(JOBS[1]).source == "probe"
    later = forecast(tmp_path)
    assert [found.job_id for found in later.unmeasured(JOBS)] == ["0003"]
    assert later.estimate(JOBS[1]) == first.estimate(JOBS[1])


def test_a_finished_job_corrects_those_like_it_exactly(tmp_path: Path) -> None:
    learnt = forecast(tmp_path)
    before = learnt.of(JOBS[1])
    finish(learnt, JOBS[0])
    need, expected_s = learnt.of(JOBS[1])
    assert need.memory_gb == pytest.approx(2.0 * 1.1)
    assert (need, expected_s) != before


def test_thousands_that_end_do_not_each_have_thousands_estimated_again(tmp_path: Path) -> None:
    now = [100.0]
    learnt = forecast(tmp_path, clock=lambda: now[0])
    assert finish(learnt, JOBS[0])
    assert not finish(learnt, JOBS[0])
    now[0] += 31.0
    assert finish(learnt, JOBS[0])


def test_what_another_module_takes_is_kept_from_real_estimates(tmp_path: Path) -> None:
    finish(forecast(tmp_path, entry="tests.quick_job"), JOBS[0])
    assert not (tmp_path / FILE).exists()


def test_a_probe_is_placed_whatever_memory_is_expected_and_changes_no_order(tmp_path: Path) -> None:
    whole = forecast(tmp_path)
    probes = ProbeForecast(whole)
    assert probes.of(JOBS[2]) == (Need(1, 0.0), 0.0)
    assert not probes.learn(
        JOBS[0],
        AttemptSpec(1, "cpu", 1, 0, 4, 1, "probe"),
        Slot((CPU,), 0, 1, 2),
        AttemptResult(1, AttemptOutcome.COMPLETED, metrics={ITERATION_S: 0.5, PEAK_HOST_GB: 1.0}),
    )
    assert whole.estimate(JOBS[1]).source == "probe"


def test_a_processor_is_known_by_its_model(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nmodel name\t: AMD  EPYC 9B45\n")
    assert processor_name(listed) == "AMD EPYC 9B45"
    assert processor_name(tmp_path / "missing")
