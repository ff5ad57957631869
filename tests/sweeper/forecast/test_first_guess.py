"""First guesses against mmdet's published memory, and whether they are plausible for the study's jobs and cards."""

from collections.abc import Mapping
from typing import Any

import pytest

from reports.zoo import read_zoo
from sweeper.forecast.first_guess import guess_memory, guess_pace, job_seconds
from sweeper.forecast.workload import Workload, read_workload
from tests.sweeper.estimated_jobs import job_config

N_IMAGES = {"train": 4000, "val": 1000, "test": 1000}
STUDY_BACKBONES = ["resnet50", "resnet101", "resnext101_32x4d", "swin_t", "swin_l"]


def work(*overrides: str, batch: int = 2, n_images: Mapping[str, int] = N_IMAGES) -> Workload:
    return read_workload(job_config(*overrides), n_images, batch, 1)


def memory_gb(*overrides: str, batch: int = 2) -> float:
    guess = guess_memory(work(*overrides, batch=batch), "cuda")
    assert guess is not None
    return guess[0]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("faster-rcnn-r50-fpn-1x-coco", []),
        ("faster-rcnn-x101-64x4d-fpn-1x-coco", ["backbone=resnext101_64x4d"]),
        ("faster-rcnn-r50-pafpn-1x-coco", ["neck=pafpn"]),
        ("cascade-rcnn-r101-fpn-1x-coco", ["detector=cascade_rcnn", "backbone=resnet101"]),
        ("retinanet-r18-fpn-1x-coco", ["detector=retinanet", "backbone=resnet18"]),
    ],
)
def test_memory_is_the_zoos_at_the_zoos_own_setting(name: str, overrides: list[str]) -> None:
    guess = guess_memory(work("image_size=coco", *overrides), "cuda")
    assert guess == (pytest.approx(read_zoo()[name].memory_gb), "zoo")


@pytest.mark.parametrize(
    ("published_gb", "overrides", "batch"),
    [
        (5.0, ["detector=retinanet", "backbone=resnet18", "image_size=coco"], 8),  # retinanet_r18_fpn_1xb8-1x
        (3.4, ["precision=fp16", "image_size=coco"], 2),  # faster-rcnn_r50_fpn_amp-1x
        (2.8, ["precision=fp16", "detector=retinanet", "image_size=coco"], 2),  # retinanet_r50_fpn_amp-1x
        # Mask R-CNN with Swin-T; the zoo's mask head takes 0.4 GB (R-50: 4.4 against 4.0).
        (7.6 - 0.4, ["backbone=swin_t", "optimizer=adamw", "image_size=coco"], 2),
    ],
)
def test_memory_foretells_published_numbers_that_it_was_not_made_from(
    published_gb: float, overrides: list[str], batch: int
) -> None:
    assert memory_gb(*overrides, batch=batch) == pytest.approx(published_gb, rel=0.1)


@pytest.mark.parametrize("detector", ["faster_rcnn", "cascade_rcnn"])
@pytest.mark.parametrize("backbone", STUDY_BACKBONES)
def test_memory_grows_with_everything_that_costs_memory(detector: str, backbone: str) -> None:
    chosen = [f"detector={detector}", f"backbone={backbone}"]
    base = memory_gb(*chosen, "image_size=512px", batch=4)
    assert memory_gb(*chosen, "image_size=1024px", batch=4) > base
    assert memory_gb(*chosen, "image_size=512px", batch=8) > base
    assert memory_gb(*chosen, "image_size=512px", "optimizer=adamw", batch=4) > base
    assert memory_gb(*chosen, "image_size=512px", "precision=bf16", batch=4) < base
    assert memory_gb(*chosen, "image_size=512px", "width=narrow", batch=4) < base


def test_training_from_scratch_keeps_what_is_frozen_otherwise() -> None:
    assert memory_gb("weights=none", "image_size=coco") > memory_gb("image_size=coco") + 1.0


@pytest.mark.parametrize(
    ("overrides", "batch", "lowest_gb", "highest_gb"),
    [
        # The study's mix: at 512 px everything but Swin-L fits 24 GB at batch 16; at 1024 px 80 GB are wanted.
        (["backbone=resnet50", "image_size=512px"], 16, 5, 10),
        (["backbone=resnext101_32x4d", "image_size=512px"], 16, 10, 18),
        (["detector=cascade_rcnn", "backbone=swin_t", "image_size=512px", "optimizer=adamw"], 16, 11, 20),
        (["detector=cascade_rcnn", "backbone=swin_l", "image_size=512px", "optimizer=adamw"], 16, 12, 24),
        (["backbone=resnet50", "image_size=1024px"], 16, 20, 35),
        (["backbone=resnext101_32x4d", "image_size=1024px"], 16, 40, 65),
        (["detector=cascade_rcnn", "backbone=swin_l", "image_size=1024px", "optimizer=adamw"], 16, 35, 75),
    ],
)
def test_memory_of_the_studys_jobs(overrides: list[str], batch: int, lowest_gb: float, highest_gb: float) -> None:
    assert lowest_gb < memory_gb(*overrides, batch=batch) < highest_gb


def test_a_whole_process_is_counted_on_the_cpu() -> None:
    """Measured: Swin-L Cascade with AdamW, one step of a 512 px image, 5.8 GB in all."""
    overrides = ["detector=cascade_rcnn", "backbone=swin_l", "optimizer=adamw", "image_size=512px"]
    guess = guess_memory(work(*overrides, batch=1), "cpu")
    assert guess is not None
    assert guess[0] == pytest.approx(5.8, rel=0.15)


def test_a_small_process_on_the_cpu_is_little_more_than_its_libraries() -> None:
    """Measured: a narrow Faster R-CNN R-18 at 96 px with a batch of 4, 0.90 GB in all."""
    guess = guess_memory(work("backbone=resnet18", "width=narrow", "weights=none", "image_size=96px", batch=4), "cpu")
    assert guess is not None
    assert guess[0] == pytest.approx(0.90, rel=0.15)


def test_time_of_a_step_is_that_of_a_v100() -> None:
    """Detectron2's model zoo: Faster R-CNN R-50 0.210 s a step, R-101 0.286 s, with 2 images on each GPU."""
    for backbone, step_s in (("resnet50", 0.210), ("resnet101", 0.286)):
        pace = guess_pace(work(f"backbone={backbone}", "image_size=coco"), "cuda", 4)
        assert pace is not None
        assert pace.iteration_s == pytest.approx(step_s, rel=0.35)


def test_time_of_a_step_on_two_cores() -> None:
    """Measured: Faster R-CNN R-50 at 256 px, batch 2, 2.5 to 3.0 s."""
    pace = guess_pace(work("image_size=256px"), "cpu", 2)
    assert pace is not None
    assert pace.iteration_s == pytest.approx(2.75, rel=0.2)


def test_a_job_is_its_start_its_epochs_and_its_end() -> None:
    job = work("n_epochs=2", "image_size=512px", n_images={"train": 100, "val": 20, "test": 30})
    pace = guess_pace(job, "cuda", 4)
    assert pace is not None
    state_s = 41.753e6 * 8 / 300e6
    expected_s = (
        3 + 2 * (50 * pace.iteration_s + 20 * pace.validation_image_s + state_s) + 130 * pace.validation_image_s
    )
    assert job_seconds(job, pace) == pytest.approx(expected_s)


@pytest.mark.parametrize("more", ["image_size=1024px", "backbone=resnet101", "n_epochs=24", "detector=cascade_rcnn"])
def test_time_grows_with_everything_that_costs_time(more: str) -> None:
    def seconds(*overrides: str) -> float:
        job = work(*overrides)
        pace = guess_pace(job, "cuda", 4)
        assert pace is not None
        return job_seconds(job, pace)

    assert seconds("image_size=512px", more) > seconds("image_size=512px")


def test_nothing_is_guessed_of_a_backbone_of_ones_own() -> None:
    config: dict[str, Any] = {**job_config(), "choices": {**job_config()["choices"], "backbone": "ours"}}
    own = read_workload(config, N_IMAGES, 2, 1)
    assert guess_memory(own, "cuda") is None
    assert guess_pace(own, "cuda", 4) is None
