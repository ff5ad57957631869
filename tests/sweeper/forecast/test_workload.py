"""What is read from a job's config before anything is estimated."""

import copy

import pytest

from sweeper.forecast.workload import read_workload, workload_key
from tests.sweeper.estimated_jobs import job_config

N_IMAGES = {"train": 100, "val": 20, "test": 30}


def test_work_of_a_job() -> None:
    work = read_workload(job_config("image_size=512px", "n_epochs=3"), N_IMAGES, 8, 2)
    assert (work.n_epochs, work.n_steps, work.n_val_images) == (3, 13, 20)
    assert work.n_final_images == 30 + 100  # the subset of train is all of it
    assert (work.n_rois, work.n_proposals) == (512, 1000)
    assert work.train_px == work.largest_px == work.test_px == 512 * 512


def test_steps_count_three_forward_passes_and_the_regions_that_training_takes() -> None:
    work = read_workload(job_config("image_size=coco"), N_IMAGES, 2, 8)
    # 200.0 G for 1344 x 800 pixels and 14.3 M for each of 512 regions, of 2 images.
    assert work.step_adds_g == pytest.approx(3 * 2 * (187.52 * 1.344 * 0.8 + 14.304 * 0.512), rel=1e-3)
    assert work.test_adds_g == pytest.approx(187.52 * 1.344 * 0.8 + 14.304, rel=1e-3)


def test_activations_that_are_computed_again_cost_another_forward_pass() -> None:
    again, once = (
        read_workload(job_config("backbone=swin_l", f"model.backbone.with_cp={value}"), N_IMAGES, 2, 8).step_adds_g
        for value in ("true", "false")
    )
    assert again is not None
    assert once is not None
    assert again / once == pytest.approx(4 / 3)


def test_several_sizes_are_trained_on_average_and_the_largest_decides_memory() -> None:
    work = read_workload(job_config("image_size=512px", "augment=multiscale"), N_IMAGES, 8, 2)
    assert work.largest_px == 640 * 640
    assert 512 * 512 < work.train_px < 640 * 640
    assert work.test_px == 512 * 512


def test_devices_share_a_forward_pass() -> None:
    work = read_workload(job_config(), N_IMAGES, 16, 1, n_devices=4)
    assert (work.images_per_device, work.n_steps) == (4, 7)


@pytest.mark.parametrize(
    "override",
    [
        "seed=3",
        "n_epochs=24",
        "optimizer.lr=0.01",
        "weights=coco",
        "fold=null",
        "box_loss=smooth_l1",
        "best_by=bbox_mAP",
    ],
)
def test_jobs_that_cost_the_same_share_a_key(override: str) -> None:
    assert workload_key(job_config(override), 4) == workload_key(job_config(), 4)


@pytest.mark.parametrize(
    "override",
    [
        *("backbone=resnet101", "neck=pafpn", "width=narrow", "image_size=1024px", "precision=bf16"),
        *("optimizer=adamw", "augment=multiscale", "augment=mosaic", "weights=none", "detector=retinanet"),
    ],
)
def test_jobs_that_cost_something_else_do_not(override: str) -> None:
    assert workload_key(job_config(override), 4) != workload_key(job_config(), 4)


def test_computing_activations_again_costs_time_and_saves_memory() -> None:
    assert workload_key(job_config("backbone=swin_t", "model.backbone.with_cp=true"), 4) != workload_key(
        job_config("backbone=swin_t"), 4
    )


def test_batch_is_part_of_the_key() -> None:
    assert workload_key(job_config(), 4) != workload_key(job_config(), 8)


def test_the_key_does_not_depend_on_the_order_in_which_a_config_is_written() -> None:
    config = copy.deepcopy(dict(job_config()))
    config["model"] = dict(reversed(config["model"].items()))
    assert workload_key(config, 4) == workload_key(job_config(), 4)
