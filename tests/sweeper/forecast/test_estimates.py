"""Estimates from literal measurements: what is measured wins, what is like it is corrected, the rest is guessed."""

import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from runners.contract import metrics as names
from sweeper.forecast.estimates import CUDA_CONTEXT_GB, MARGINS, DeviceKind, Estimate, Estimator
from sweeper.forecast.first_guess import Pace, guess_memory, guess_pace, job_seconds
from sweeper.forecast.measurements import Measurement, probe_key
from sweeper.forecast.workload import Workload, read_workload
from tests.sweeper.estimated_jobs import job_config

N_IMAGES = {"train": 400, "val": 100, "test": 100}
GPU = DeviceKind("cuda", "NVIDIA A100-SXM4-80GB", 8)
CPU = DeviceKind("cpu", "Xeon", 2)

JOB = ("backbone=resnet50", "image_size=512px")
LIKE_IT = ("backbone=resnet50", "image_size=512px", "seed=4", "optimizer.lr=0.005", "n_epochs=24")
OTHER = ("backbone=resnet101", "image_size=512px")

PROBED = {names.ITERATION_S: 0.2, names.VALIDATION_IMAGE_S: 0.03, names.PEAK_MEMORY_GB: 5.0, names.PEAK_DEVICE_GB: 5.5}


def work(*overrides: str) -> Workload:
    return read_workload(job_config(*overrides), N_IMAGES, 8, 2)


def guessed(*overrides: str) -> Pace:
    pace = guess_pace(work(*overrides), "cuda", 8)
    assert pace is not None
    return pace


def estimate(estimator: Estimator, *overrides: str) -> Estimate:
    return estimator.estimate(job_config(*overrides), N_IMAGES, 8, 2)


def learn(estimator: Estimator, values: Mapping[str, float], *overrides: str, is_probe: bool = False) -> Measurement:
    origin = "probe" if is_probe else "job"
    return estimator.learn(job_config(*overrides), values, 8, 2, N_IMAGES, origin=origin, at=7.0)


def finished(pace: Pace, wall_ratio: float = 1.0, device_gb: float = 6.0, *overrides: str) -> dict[str, float]:
    """Return the metrics of a job that went at a pace."""
    return {
        names.IMAGES_PER_S: 8 / pace.iteration_s,
        names.ITERATION_S: pace.iteration_s * 0.9,  # without the waiting for images
        names.VALIDATION_IMAGE_S: pace.validation_image_s,
        names.PEAK_MEMORY_GB: device_gb - 0.5,
        names.PEAK_DEVICE_GB: device_gb,
        names.WALL_S: job_seconds(work(*overrides), pace) * wall_ratio,
    }


def test_with_nothing_measured_it_is_a_guess_and_says_so() -> None:
    found = estimate(Estimator([], GPU), *JOB)
    guess = guess_memory(work(*JOB), "cuda")
    assert guess is not None
    assert found.memory_gb == pytest.approx((guess[0] + CUDA_CONTEXT_GB) * MARGINS["zoo"])
    assert found.expected_s == pytest.approx(job_seconds(work(*JOB), guessed(*JOB)))
    assert (found.source, found.is_rough) == ("zoo", True)


def test_a_model_that_the_zoo_has_not_gets_a_larger_margin() -> None:
    found = estimate(Estimator([], GPU), "backbone=resnet50", "width=narrow")
    guess = guess_memory(work("backbone=resnet50", "width=narrow"), "cuda")
    assert guess is not None
    assert found.source == "model"
    assert found.memory_gb == pytest.approx((guess[0] + CUDA_CONTEXT_GB) * MARGINS["model"])


def test_a_probe_answers_for_all_jobs_with_its_key() -> None:
    estimator = Estimator([], GPU)
    learn(estimator, PROBED, *JOB, is_probe=True)
    for overrides in (JOB, LIKE_IT):
        found = estimate(estimator, *overrides)
        assert found.memory_gb == pytest.approx(5.5 * MARGINS["probe"])
        assert found.expected_s == pytest.approx(job_seconds(work(*overrides), Pace(0.2, 0.03)))
        assert (found.source, found.is_rough) == ("probe", False)


def test_a_finished_job_is_believed_before_its_probe() -> None:
    estimator = Estimator([], GPU)
    learn(estimator, finished(Pace(0.25, 0.04), 1.2, 6.0, *JOB), *JOB)
    learn(estimator, PROBED, *JOB, is_probe=True)
    found = estimate(estimator, *LIKE_IT)
    assert found.memory_gb == pytest.approx(6.0 * MARGINS["measured"])
    # Its pace, and by what the whole of it took longer than that.
    assert found.expected_s == pytest.approx(job_seconds(work(*LIKE_IT), Pace(0.25, 0.04)) * 1.2)
    assert found.source == "measured"


def test_the_largest_peak_of_several_jobs_counts_and_the_median_of_their_pace() -> None:
    estimator = Estimator([], GPU)
    for iteration_s, device_gb in ((0.2, 6.0), (0.3, 7.0), (0.9, 6.5)):
        learn(estimator, finished(Pace(iteration_s, 0.04), 1.0, device_gb, *JOB), *JOB)
    found = estimate(estimator, *JOB)
    assert found.memory_gb == pytest.approx(7.0 * MARGINS["measured"])
    assert found.expected_s == pytest.approx(job_seconds(work(*JOB), Pace(0.3, 0.04)))


def test_other_models_are_corrected_by_how_far_the_guess_was_off() -> None:
    estimator = Estimator([], GPU)
    twice = Pace(guessed(*JOB).iteration_s * 2, guessed(*JOB).validation_image_s * 3)
    learn(estimator, finished(twice, 1.1, 6.0, *JOB), *JOB)
    found = estimate(estimator, *OTHER)
    expected = Pace(guessed(*OTHER).iteration_s * 2, guessed(*OTHER).validation_image_s * 3)
    assert found.expected_s == pytest.approx(job_seconds(work(*OTHER), expected) * 1.1)
    assert (found.source, found.is_rough) == ("zoo", False)


def test_the_median_of_several_models_corrects_and_each_counts_once() -> None:
    estimator = Estimator([], GPU)
    for factor, overrides in ((1.0, JOB), (2.0, ("backbone=resnet18",)), (8.0, ("backbone=resnet34",))):
        for _ in range(5 if factor == 8.0 else 1):
            pace = Pace(guessed(*overrides).iteration_s * factor, guessed(*overrides).validation_image_s * factor)
            learn(estimator, finished(pace, 1.0, 6.0, *overrides), *overrides)
    expected = Pace(guessed(*OTHER).iteration_s * 2, guessed(*OTHER).validation_image_s * 2)
    assert estimate(estimator, *OTHER).expected_s == pytest.approx(job_seconds(work(*OTHER), expected))


def test_memory_of_small_jobs_lowers_no_guess_by_much_and_raises_it() -> None:
    first = estimate(Estimator([], GPU), *OTHER).memory_gb
    for device_gb, ratio in ((0.1, 0.8), (60.0, None)):
        estimator = Estimator([], GPU)
        measured = learn(estimator, finished(guessed(*JOB), 1.0, device_gb, *JOB), *JOB)
        wanted = ratio or 60.0 / measured.guessed_memory_gb
        assert estimate(estimator, *OTHER).memory_gb == pytest.approx(first * wanted)


def test_a_job_that_went_on_from_another_attempt_says_nothing_of_the_whole_time() -> None:
    estimator = Estimator([], GPU)
    assert learn(estimator, finished(Pace(0.2, 0.04), 0.4, 6.0, *JOB), *JOB).wall_ratio == 0.0
    assert estimate(estimator, *JOB).expected_s == pytest.approx(job_seconds(work(*JOB), Pace(0.2, 0.04)))


def test_what_was_measured_on_other_devices_is_left_aside() -> None:
    measurement = learn(Estimator([], GPU), PROBED, *JOB, is_probe=True)
    there = Estimator([replace(measurement, device="Tesla T4")], GPU)
    assert estimate(there, *JOB) == estimate(Estimator([], GPU), *JOB)
    assert estimate(Estimator([measurement], GPU), *JOB).source == "probe"


def test_a_measurement_carries_the_key_that_the_sweep_asks_for() -> None:
    measurement = learn(Estimator([], GPU), PROBED, *JOB, is_probe=True)
    assert measurement.key == probe_key(job_config(*LIKE_IT), 8, GPU.label)
    assert measurement.at == 7.0


def test_the_cpu_counts_the_process_and_its_threads() -> None:
    estimator = Estimator([], CPU)
    assert CPU.label == "Xeon x2"
    measured = learn(estimator, {names.ITERATION_S: 2.0, names.PEAK_HOST_GB: 1.6}, *JOB, is_probe=True)
    assert measured.peak_memory_gb == 1.6
    assert estimate(estimator, *JOB).memory_gb == pytest.approx(1.6 * MARGINS["probe"])
    faster = estimate(Estimator([], replace(CPU, n_threads=8)), *JOB).expected_s
    assert faster < estimate(Estimator([], CPU), *JOB).expected_s


def test_an_older_job_without_the_devices_own_peak_gets_the_driver_on_top() -> None:
    estimator = Estimator([], GPU)
    assert learn(estimator, {names.PEAK_MEMORY_GB: 4.0}, *JOB).peak_memory_gb == 4.0 + CUDA_CONTEXT_GB


def test_values_that_are_none_are_not_learnt() -> None:
    estimator = Estimator([], GPU)
    learn(estimator, {names.ITERATION_S: float("nan"), names.PEAK_DEVICE_GB: 0.0}, *JOB, is_probe=True)
    assert estimate(estimator, *JOB) == estimate(Estimator([], GPU), *JOB)


def test_a_backbone_of_ones_own_is_unknown_until_it_is_probed() -> None:
    config = {**job_config(), "choices": {**job_config()["choices"], "backbone": "ours"}}
    estimator = Estimator([], GPU)
    assert estimator.estimate(config, N_IMAGES, 8, 2) == Estimate(0.0, 0.0, "unknown")
    estimator.learn(config, PROBED, 8, 2, N_IMAGES, origin="probe")
    found = estimator.estimate(config, N_IMAGES, 8, 2)
    assert found.source == "probe"
    assert found.expected_s > 12 * 50 * 0.2


# As NVML tells their memory, in 1e9 bytes.
RTX_4090_GB, A100_80_GB = 25.76, 85.9


@pytest.mark.parametrize("detector", ["faster_rcnn", "cascade_rcnn"])
@pytest.mark.parametrize("backbone", ["resnet50", "resnet101", "resnext101_32x4d", "swin_t", "swin_l"])
def test_where_the_studys_jobs_go(detector: str, backbone: str) -> None:
    """At 512 px a batch of 16 fits 24 GB; at 1024 px it wants 80 GB, or to be split in four."""
    optimizer = "adamw" if backbone.startswith("swin") else "sgd"
    chosen = [f"detector={detector}", f"backbone={backbone}", f"optimizer={optimizer}"]
    estimator = Estimator([], GPU)

    def memory_gb(image_size: str, batch_per_step: int) -> float:
        config = job_config(*chosen, f"image_size={image_size}")
        return estimator.estimate(config, N_IMAGES, batch_per_step, 16 // batch_per_step).memory_gb

    assert memory_gb("512px", 16) < RTX_4090_GB < memory_gb("1024px", 16) < A100_80_GB
    assert memory_gb("1024px", 4) < RTX_4090_GB
    assert memory_gb("1024px", 4) > memory_gb("512px", 4)
    if backbone == "resnet50":  # two small jobs side by side
        assert 2 * memory_gb("512px", 16) < RTX_4090_GB


@pytest.mark.parametrize("n_devices", [2, 4])
def test_several_devices_share_images_and_take_less_each(n_devices: int) -> None:
    estimator = Estimator([], GPU)
    alone = estimator.estimate(job_config(*JOB), N_IMAGES, 16, 1)
    shared = estimator.estimate(job_config(*JOB), N_IMAGES, 16, 1, n_devices)
    assert shared.memory_gb < alone.memory_gb
    assert alone.expected_s / n_devices < shared.expected_s < alone.expected_s


def test_ten_thousand_jobs_are_estimated_in_two_seconds() -> None:
    estimator = Estimator([], GPU)
    learn(estimator, PROBED, *JOB, is_probe=True)
    configs = [job_config(*JOB), job_config(*OTHER)]
    began = time.process_time()
    for number in range(10_000):
        estimator.estimate(configs[number % 2], N_IMAGES, 8, 2)
    assert time.process_time() - began < 2.0
