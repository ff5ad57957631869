"""Stages become mmdet's pipelines, and each augmentation gives images that a detector can be trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.utils import register_all_modules

from runners.contract.records import AttemptSpec
from runners.contract.tuples import with_tuples
from runners.mm_config import train_dataloader
from runners.pipeline import flat_stages, with_pipeline
from runners.transforms import RandomRotate90
from tests.composition import compose

SPEC = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)


def test_a_null_stage_is_left_out_and_the_order_stays() -> None:
    stages = {"load": {"type": "Load"}, "flip": None, "pack": {"type": "Pack"}}
    assert [stage["type"] for stage in flat_stages(stages)] == ["Load", "Pack"]


def test_mixing_splits_the_pipeline_where_it_begins() -> None:
    stages = {"load": {"type": "Load"}, "mosaic": {"type": "Mosaic"}, "pack": {"type": "Pack"}}
    wrapped = with_pipeline({"type": "CocoDataset"}, stages)
    assert wrapped["type"] == "MultiImageMixDataset"
    assert wrapped["dataset"] == {"type": "CocoDataset", "pipeline": [{"type": "Load"}]}
    assert wrapped["pipeline"] == [{"type": "Mosaic"}, {"type": "Pack"}]


def test_tuples_come_back_where_mmdet_wants_them_and_nowhere_else() -> None:
    resize = {"scale": [1333, 800], "scales": [[480, 480], [640, 640]], "img_scale": [96, 96]}
    assert with_tuples(resize) == {"scale": (1333, 800), "scales": [(480, 480), (640, 640)], "img_scale": (96, 96)}
    model = {"neck": {"in_channels": [1, 2]}, "heads": [{"anchor_generator": {"scales": [8]}, "out_indices": [0, 1]}]}
    assert with_tuples(model) == {
        "neck": {"in_channels": [1, 2]},
        "heads": [{"anchor_generator": {"scales": [8]}, "out_indices": (0, 1)}],
    }


@pytest.mark.parametrize("augment", ["none", "flip", "multiscale", "rotate90", "photometric", "mosaic"])
def test_augmented_images_hold_their_boxes(augment: str, shapes: Path) -> None:
    dataset = _dataset(shapes, f"augment={augment}")
    sizes = set()
    for index in range(8):
        item = dataset[index % len(dataset)]
        height, width = item["inputs"].shape[1:]
        sizes.add((height, width))
        boxes = item["data_samples"].gt_instances.bboxes.tensor
        assert len(boxes) or augment == "mosaic"
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes >= 0).all()
        assert (boxes[:, 0::2] <= width).all()
        assert (boxes[:, 1::2] <= height).all()
    if augment == "multiscale":
        assert len(sizes) > 1
        assert sizes <= {(side, side) for side in (64, 96, 128)}
    else:
        assert sizes == {(96, 96)}


@pytest.mark.parametrize("n_quarters", [0, 1, 2, 3])
def test_a_rotated_box_holds_what_it_held(n_quarters: int) -> None:
    image = np.zeros((40, 70, 3), np.uint8)
    box = (12, 5, 31, 17)
    image[box[1] : box[3], box[0] : box[2]] = 255
    rotate = RandomRotate90()
    rotate._random_quarters = lambda: n_quarters
    results = rotate({"img": image, "gt_bboxes": HorizontalBoxes(torch.tensor([box], dtype=torch.float32))})
    x1, y1, x2, y2 = results["gt_bboxes"].tensor[0].int().tolist()
    rotated = results["img"]
    assert rotated[y1:y2, x1:x2].min() == 255
    assert rotated.sum() == image.sum()
    assert rotated[y1:y2, x1:x2].sum() == image.sum()
    assert results["img_shape"] == ((40, 70) if n_quarters % 2 == 0 else (70, 40))


def test_all_four_rotations_occur() -> None:
    rotate = RandomRotate90()
    assert {rotate._random_quarters() for _ in range(200)} == {0, 1, 2, 3}


def _dataset(shapes: Path, *overrides: str) -> Any:
    register_all_modules()
    config = compose("dataset=shapes", f"dataset.root={shapes}", "image_size=96px", *overrides)
    return DATASETS.build(train_dataloader(config, SPEC)["dataset"])
