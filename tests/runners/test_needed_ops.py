"""Which operators of mmcv a model's config leads to, found without building it, and what is said of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmdet
import pytest
import torch
from mmcv.ops import ball_query
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from runners.contract.errors import UserError
from runners.needed_ops import NeededOp, ops_of, refuse_unserved, told
from runners.ops.references import called_ops
from tests.composition import compose

ZOO = Path(mmdet.__file__).parent / ".mim" / "configs"


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope("mmdet")


class Neighbours(nn.Module):
    """A team's own backbone, whose operator stands two calls away from it."""

    def forward(self, points: Tensor) -> list[Tensor]:
        return [nearest(row) for row in points]


def nearest(row: Tensor) -> Tensor:
    found: Tensor = ball_query(0, 1, 2, row, row)
    return found


@pytest.fixture
def own_backbone() -> Iterator[str]:
    MODELS.register_module(module=Neighbours)
    yield Neighbours.__name__
    del MODELS.module_dict[Neighbours.__name__]


def model_of(name: str) -> dict[str, Any]:
    model: dict[str, Any] = Config.fromfile(ZOO / name, import_custom_modules=False).model.to_dict()
    return model


def test_operators_are_found_behind_names_of_the_config() -> None:
    needed = {op.name: op for op in ops_of(compose("dataset=shapes", "detector=faster_rcnn")["model"])}
    assert {"nms", "roi_align"} <= set(needed)
    assert needed["roi_align"].where == "model.roi_head.bbox_roi_extractor.roi_layer"
    assert needed["roi_align"].part == "RoIAlign"
    assert needed["roi_align"].instead == "torchvision"
    assert "deform_conv" not in needed


@pytest.mark.parametrize(
    ("config", "name", "where"),
    [
        ("dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py", "deform_conv", "model.backbone.dcn"),
        ("dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py", "modulated_deform_conv", "model.backbone.dcn"),
        ("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", "ms_deform_attn", "model"),
        ("faster_rcnn/faster-rcnn_r50_fpn_soft-nms_1x_coco.py", "softnms", "model.test_cfg.rcnn.nms"),
        ("guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py", "masked_im2col", "model.bbox_head"),
        ("pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py", "nms_match", "model.train_cfg.rcnn.sampler"),
        ("carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py", "carafe", "model.neck"),
    ],
)
def test_operators_of_the_zoo_are_found_and_served(config: str, name: str, where: str) -> None:
    (op,) = [op for op in ops_of(model_of(config)) if op.name == name]
    assert op.where.startswith(where)
    assert op.is_served
    refuse_unserved([op])


def test_what_is_not_served_is_refused_with_its_place() -> None:
    needed = ops_of(model_of("dcn/faster-rcnn_r50_fpn_dpool_1x_coco.py"))
    assert [op.name for op in needed if not op.is_served] == ["deform_roi_pool"]
    with pytest.raises(UserError) as refused:
        refuse_unserved(needed)
    assert refused.value.problems == (
        "mmcv operator 'deform_roi_pool' wanted by model.roi_head.bbox_roi_extractor.roi_layer (DeformRoIPoolPack): "
        "not served; leave that part out, or install a compiled mmcv 2.1.0",
    )


def test_operators_of_own_code_are_found(own_backbone: str) -> None:
    needed = ops_of({"type": "FasterRCNN", "backbone": {"type": own_backbone}})
    unserved = [(op.name, op.where, op.part) for op in needed if not op.is_served]
    # mmcv's module decides between two operators when it is called.
    assert unserved == [(name, "model.backbone", own_backbone) for name in ("ball_query", "stack_ball_query")]


def test_code_without_operators_has_none() -> None:
    assert called_ops(torch.nn.Linear) == frozenset()
    assert called_ops(MODELS.get("ResNet")) == frozenset()


def test_a_compiled_mmcv_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runners.ops.install", lambda: False)
    needed = ops_of({"type": "FasterRCNN", "roi_layer": {"type": "DeformRoIPoolPack"}})
    assert "deform_roi_pool" in {op.name for op in needed}
    assert all(op.is_served and not op.instead for op in needed)
    refuse_unserved(needed)


def test_operators_are_told_with_what_serves_them() -> None:
    served = [
        NeededOp("carafe", "model.neck", "FPN_CARAFE", is_served=True, instead="PyTorch"),
        NeededOp("nms", "model.test_cfg.nms", "nms", is_served=True, instead="torchvision"),
        NeededOp("roi_align", "model.roi_head", "RoIAlign", is_served=True, instead="torchvision"),
    ]
    assert told(served) == "mmcv operators: nms, roi_align by torchvision; carafe by PyTorch"
    assert told([]) == ""
