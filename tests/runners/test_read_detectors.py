"""Detectors of MMDetection's own configs: their validation losses, their cost, what chance leaves of their images."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import MODELS, TRANSFORMS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

from runners.complexity import count_multiply_adds, try_multiply_adds
from runners.contract.errors import UserError
from runners.contract.records import AttemptSpec
from runners.dataset import StrictCocoDataset
from runners.failures import DataError
from runners.mm_config import build_mm_config
from runners.seeding import isolated_randomness
from runners.training import build_train_loader
from runners.val_loss import validation_losses
from tests.composition import compose
from tests.contract.test_mm_sources import ZOO

SIDE_PX = 128
SMALL = {"backbone": {"depth": 18, "init_cfg": None, "style": "pytorch", "norm_eval": True}}


def detector(name: str, **differing: Any) -> nn.Module:
    init_default_scope("mmdet")
    torch.manual_seed(0)
    config = Config.fromfile(ZOO / f"{name}.py").model
    model: nn.Module = MODELS.build(Config._merge_a_into_b(ConfigDict(differing), config))
    model.init_weights()
    return model


@pytest.fixture(scope="module")
def fcos() -> nn.Module:
    return detector(
        "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco",
        **SMALL,
        neck={"in_channels": [64, 128, 256, 512]},
        bbox_head={"num_classes": 3, "stacked_convs": 1},
    )


@pytest.fixture(scope="module")
def dino() -> nn.Module:
    return detector(
        "dino/dino-4scale_r50_8xb2-12e_coco",
        num_queries=20,
        **SMALL,
        neck={"in_channels": [128, 256, 512]},
        encoder={"num_layers": 1},
        decoder={"num_layers": 1},
        test_cfg={"max_per_img": 20},
        bbox_head={"num_classes": 3},
    )


def batch() -> tuple[torch.Tensor, list[DetDataSample]]:
    shape = (SIDE_PX, SIDE_PX)
    shapes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), shape)
    sample = DetDataSample(metainfo={**shapes, "scale_factor": (1.0, 1.0), "img_id": 1})
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[10.0, 20.0, 70.0, 90.0]]), labels=torch.tensor([1]))
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    torch.manual_seed(1)
    return torch.randn(1, 3, *shape), [sample]


def test_a_head_that_predicts_in_other_units_has_trainings_loss(fcos: nn.Module) -> None:
    inputs, samples = batch()
    with torch.no_grad():
        ours = validation_losses(fcos.eval(), inputs, samples)
        assert not any(module.training for module in fcos.modules())
        # Its layers behave alike in both modes: group norm, and a backbone whose batch norm is frozen.
        _, expected = fcos.parse_losses(fcos.train()(inputs, samples, mode="loss"))
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(
        {name: float(expected[name]) for name in ours}, rel=1e-5
    )


def test_a_detector_with_denoising_queries_has_a_loss(dino: nn.Module) -> None:
    inputs, samples = batch()
    values = []
    for _ in range(2):
        with torch.no_grad(), isolated_randomness(3):
            values.append({name: float(v) for name, v in validation_losses(dino.eval(), inputs, samples).items()})
    assert values[0] == values[1]
    assert {"loss", "loss_cls", "dn_loss_cls"} <= values[0].keys()
    assert not any(module.training for module in dino.modules())


def test_every_kind_of_detector_can_be_counted(fcos: nn.Module, dino: nn.Module) -> None:
    for model in (fcos, dino):
        trained = [parameter.requires_grad for parameter in model.parameters()]
        model.train()
        small, large = (count_multiply_adds(model, torch.zeros(1, 3, side, side)) for side in (SIDE_PX, 2 * SIDE_PX))
        assert 2 * small < large < 5 * small
        assert model.training
        assert [parameter.requires_grad for parameter in model.parameters()] == trained


def test_one_that_cannot_is_trained_all_the_same(fcos: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcos, "extract_feat", lambda inputs: None)
    assert try_multiply_adds(fcos, torch.zeros(1, 3, SIDE_PX, SIDE_PX)) is None


def test_one_without_a_loss_outside_of_training_is_told(fcos: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcos, "loss", lambda inputs: None)
    with pytest.raises(UserError, match=r"evaluation.val_loss: FCOS computes no loss .*give evaluation.val_loss=false"):
        validation_losses(fcos.eval(), *batch())


@TRANSFORMS.register_module()
class LeavesNothing(BaseTransform):  # type: ignore[misc]
    """Drops an image some times, as a random crop without a box does."""

    def __init__(self, n_times: int) -> None:
        self.left = n_times

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return the image, or None."""
        self.left -= 1
        return results if self.left < 0 else None


@pytest.mark.parametrize(("n_times", "index"), [(0, 1), (14, 1), (15, None)])
def test_what_chance_leaves_nothing_of_is_drawn_again(shapes: Path, n_times: int, index: int | None) -> None:
    stages = [{"type": "LeavesNothing", "n_times": n_times}]
    dataset = StrictCocoDataset(ann_file=str(shapes / "train.json"), pipeline=stages, data_prefix={"img": str(shapes)})
    drawn = dataset[1]["img_id"]
    assert drawn in {dataset.get_data_info(number)["img_id"] for number in range(len(dataset))}
    if index is not None:
        assert drawn == dataset.get_data_info(index)["img_id"]


@pytest.mark.parametrize("test_mode", [False, True])
def test_an_image_that_is_never_left_is_named(shapes: Path, test_mode: bool) -> None:
    stages = [{"type": "LeavesNothing", "n_times": 10_000 if not test_mode else 1}]
    dataset = StrictCocoDataset(
        ann_file=str(shapes / "train.json"), pipeline=stages, data_prefix={"img": str(shapes)}, test_mode=test_mode
    )
    with pytest.raises(DataError, match=r"image .*: the pipeline leaves nothing of it"):
        dataset[0]


def test_what_a_short_run_has_no_epoch_for_is_left_out() -> None:
    config = compose("dataset=shapes", "dataset.root=data", "weights=none", "n_epochs=2")
    config["param_scheduler"] = [
        {"type": "QuadraticWarmupLR", "begin": 0, "end": 0, "convert_to_iter_based": True},
        {"type": "CosineAnnealingLR", "begin": 0, "end": 2, "T_max": 2},
        {"type": "ConstantLR", "by_epoch": True, "begin": 2, "end": 2},
    ]
    spec = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)
    (kept,) = build_mm_config(config, spec, Path("work"), 100).param_scheduler
    assert kept["type"] == "CosineAnnealingLR"


def test_rare_classes_are_drawn_more_often(shapes: Path) -> None:
    config = compose("dataset=shapes", f"dataset.root={shapes}", "image_size=96px", "weights=none")
    spec = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)
    usual = build_train_loader(config, spec)
    # Each class is in less than all images, so each is shown more often than once.
    config["train_dataset"] = {"type": "ClassBalancedDataset", "oversample_thr": 4.0}
    balanced = build_train_loader(config, spec)
    assert len(balanced.dataset) > len(usual.dataset)  # type: ignore[arg-type]
    assert len(next(iter(balanced))["inputs"]) == 4
