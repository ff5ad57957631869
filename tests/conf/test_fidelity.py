"""The composed config is that of mmdet's model zoo, field by field; differences are named below, with the reason."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from runners.contract.records import AttemptSpec
from runners.mm_config import build_mm_config
from tests.composition import compose

_MMDET = importlib.util.find_spec("mmdet")
assert _MMDET is not None
assert _MMDET.origin is not None
ZOO = Path(_MMDET.origin).parent / ".mim" / "configs"

# COCO train2017 after the filter: an epoch of the zoo's own runs, long enough for the whole warm-up.
N_COCO_IMAGES = 117_266

COCO = (
    "dataset=coco",
    "dataset.root=data/coco/",
    "dataset.train={ann_file: annotations/instances_train2017.json, image_dir: train2017/}",
    "dataset.val={ann_file: annotations/instances_val2017.json, image_dir: val2017/}",
    "dataset.test=null",
    f"dataset.classes=[{','.join(f'class{number}' for number in range(80))}]",
    "image_size=coco",
)

PAIRS = {
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco": [],
    "faster_rcnn/faster-rcnn_r50_fpn_2x_coco": ["schedule=2x"],
    "faster_rcnn/faster-rcnn_r101_fpn_1x_coco": ["backbone=resnet101"],
    "faster_rcnn/faster-rcnn_r101_fpn_2x_coco": ["backbone=resnet101", "schedule=2x"],
    "faster_rcnn/faster-rcnn_x101-32x4d_fpn_1x_coco": ["backbone=resnext101_32x4d"],
    "faster_rcnn/faster-rcnn_x101-32x4d_fpn_2x_coco": ["backbone=resnext101_32x4d", "schedule=2x"],
    "faster_rcnn/faster-rcnn_x101-64x4d_fpn_1x_coco": ["backbone=resnext101_64x4d"],
    "faster_rcnn/faster-rcnn_r50_fpn_giou_1x_coco": ["box_loss=giou"],
    "faster_rcnn/faster-rcnn_r50_fpn_ciou_1x_coco": ["box_loss=ciou"],
    "pafpn/faster-rcnn_r50_pafpn_1x_coco": ["neck=pafpn"],
    "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco": ["detector=cascade_rcnn"],
    "cascade_rcnn/cascade-rcnn_r101_fpn_1x_coco": ["detector=cascade_rcnn", "backbone=resnet101"],
    "cascade_rcnn/cascade-rcnn_x101-32x4d_fpn_1x_coco": ["detector=cascade_rcnn", "backbone=resnext101_32x4d"],
    "cascade_rcnn/cascade-rcnn_x101-64x4d_fpn_1x_coco": ["detector=cascade_rcnn", "backbone=resnext101_64x4d"],
    "retinanet/retinanet_r18_fpn_1x_coco": ["detector=retinanet", "backbone=resnet18"],
    "retinanet/retinanet_r50_fpn_1x_coco": ["detector=retinanet"],
    "retinanet/retinanet_r101_fpn_2x_coco": ["detector=retinanet", "backbone=resnet101", "schedule=2x"],
}

# mmdet's own configs of each Swin backbone: its Mask R-CNNs, and where it has none, what it trains with that size.
SWINS = {
    "swin_t": "swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco",
    "swin_s": "swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco",
    "swin_b": "v3det/cascade_rcnn_swinb_fpn_8x4_sample1e-3_mstrain_v3det_2x",
    "swin_l": "dino/dino-5scale_swin-l_8xb2-12e_coco",
}

# What of the runner's config must be equal; the rest (hooks, logging) is detsweep's own business.
SECTIONS = (
    "model",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "train_dataloader",
    "val_dataloader",
    "val_evaluator",
)

# Fields that may differ, and why.
DIFFERENCES = {
    "train_dataloader.batch_size": "an optimizer step's images are split over what fits, not over eight GPUs",
    "train_dataloader.num_workers": "by the cores of the slot",
    "train_dataloader.persistent_workers": "only where there are workers",
    "train_dataloader.sampler.seed": "shuffling is seeded by the job's seed",
    "train_dataloader.dataset.metainfo": "classes come from the annotation file; COCO's are built into mmdet",
    "val_dataloader.num_workers": "by the cores of the slot",
    "val_dataloader.persistent_workers": "only where there are workers",
    "val_dataloader.dataset.metainfo": "classes come from the annotation file; COCO's are built into mmdet",
}

# What mmdet takes where a config is silent: said by one side and not by the other, these are no difference.
DEFAULTS = {"reg_decoded_bbox": False, "backend_args": None}

ABSENT = "absent"


@pytest.mark.parametrize("name", PAIRS)
def test_composed_config_equals_the_zoo(name: str) -> None:
    found = _all_differences(_composed(*PAIRS[name]), _zoo(name))
    assert {field: found[field] for field in found if field not in DIFFERENCES} == {}


def test_every_named_difference_occurs() -> None:
    """A difference that no config has would hide the next one."""
    found = _all_differences(_composed(), _zoo("faster_rcnn/faster-rcnn_r50_fpn_1x_coco"))
    assert found.keys() == DIFFERENCES.keys()


@pytest.mark.parametrize("backbone", SWINS)
@pytest.mark.parametrize("detector", ["faster_rcnn", "cascade_rcnn", "retinanet"])
def test_swin_backbone_equals_mmdets(backbone: str, detector: str) -> None:
    theirs = _zoo(SWINS[backbone])["model"]
    ours = _composed(f"backbone={backbone}", f"detector={detector}")["model"]
    assert _differences(ours["backbone"], theirs["backbone"], "backbone") == {}
    assert ours["neck"]["in_channels"][-1] == theirs["neck"]["in_channels"][-1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nadam", "radam"])
def test_swins_rules_of_decay_follow_the_backbone(optimizer: str) -> None:
    theirs = _zoo(SWINS["swin_t"])["optim_wrapper"]
    ours = _composed("backbone=swin_l", f"optimizer={optimizer}")["optim_wrapper"]
    assert ours["paramwise_cfg"] == theirs["paramwise_cfg"]
    assert "paramwise_cfg" not in _composed("backbone=resnet50", f"optimizer={optimizer}")["optim_wrapper"]
    if optimizer == "adamw":
        assert _differences(ours, theirs, "optim_wrapper") == {}


@pytest.mark.parametrize(
    ("box_loss", "legacy"),
    [("faster_rcnn", "faster-rcnn_r50_fpn_1x_coco_v1"), ("retinanet", "retinanet_r50_fpn_1x_coco_v1")],
)
def test_smooth_l1_is_that_of_mmdets_configs_with_it(box_loss: str, legacy: str) -> None:
    theirs = _zoo(f"legacy_1.x/{legacy}")["model"]
    ours = _composed(f"detector={box_loss}", "box_loss=smooth_l1")["model"]
    assert _box_losses(ours) == _box_losses(theirs)


@pytest.mark.parametrize("box_loss", ["giou", "ciou"])
def test_all_heads_of_a_cascade_share_the_loss_and_decode(box_loss: str) -> None:
    single = _composed(f"box_loss={box_loss}")["model"]["roi_head"]["bbox_head"]
    cascade = _composed("detector=cascade_rcnn", f"box_loss={box_loss}")["model"]
    for head in cascade["roi_head"]["bbox_head"]:
        assert head["loss_bbox"] == single["loss_bbox"]
        assert head["reg_decoded_bbox"]
    # As in mmdet's Faster R-CNN with these losses, the proposals keep theirs.
    assert cascade["rpn_head"] == _zoo("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco")["model"]["rpn_head"]


def _zoo(name: str) -> dict[str, Any]:
    config: dict[str, Any] = Config.fromfile(ZOO / f"{name}.py").to_dict()
    return config


def _composed(*overrides: str) -> dict[str, Any]:
    spec = AttemptSpec(attempt=1, device="cuda", n_threads=1, n_workers=0, batch_per_step=16, accumulation=1)
    config = build_mm_config(compose(*COCO, *overrides), spec, Path("work"), N_COCO_IMAGES)
    built: dict[str, Any] = config.to_dict()
    return built


def _box_losses(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    heads = [model["rpn_head"], model["roi_head"]["bbox_head"]] if "rpn_head" in model else [model["bbox_head"]]
    return [head["loss_bbox"] for head in heads]


def _all_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for section in SECTIONS:
        found |= _differences(ours[section], theirs[section], section)
    return found


def _differences(ours: Any, theirs: Any, at: str) -> dict[str, str]:
    """Return field to what both sides have, for the fields in which two configs differ, types included."""
    found: dict[str, str] = {}
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*ours, *theirs]):
            silent = DEFAULTS.get(key, ABSENT)
            found |= _differences(ours.get(key, silent), theirs.get(key, silent), f"{at}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            found |= _differences(our, their, f"{at}[{number}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        found[at] = f"ours {ours!r}, theirs {theirs!r}"
    return found
