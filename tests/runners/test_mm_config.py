"""The config of mmengine's Runner: how it follows from the job's config and the attempt's spec, and its file."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.apis import init_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.testing import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine.config import Config

from runners.contract.errors import UserError
from runners.contract.records import AttemptSpec
from runners.contract.tuples import with_tuples
from runners.mm_config import build_mm_config
from runners.mm_file import write_mm_file
from tests.composition import compose

SPEC = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)
BACKBONES = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnext101_32x4d", "resnext101_64x4d"),
    *("swin_t", "swin_s", "swin_b", "swin_l"),
)
NARROW = ("backbone=resnet18", "width=narrow", "weights=none", "image_size=96px")


@pytest.mark.parametrize(
    ("n_images", "batch_per_step", "accumulation", "end"),
    [
        (117_266, 16, 1, 500),  # the zoo's own run
        (117_266, 4, 4, 2000),  # 500 optimizer steps, each of four forward passes
        (400, 4, 1, 120),  # a tenth of 12 epochs of 100 iterations
        (401, 4, 1, 121),  # the last batch is a small one
        (200, 4, 2, 60),  # a tenth of the run, whatever the accumulation
        (6, 4, 1, 2),  # the shortest warm-up that ever ends
        (4, 4, 1, None),  # 12 iterations: none
    ],
)
def test_warmup_is_500_steps_or_a_tenth_of_the_run(
    n_images: int, batch_per_step: int, accumulation: int, end: int | None
) -> None:
    spec = replace(SPEC, batch_per_step=batch_per_step, accumulation=accumulation)
    schedule = _built(spec=spec, n_images=n_images).param_scheduler
    assert [entry["end"] for entry in schedule if entry["type"] == "LinearLR"] == ([] if end is None else [end])
    assert schedule[-1]["milestones"] == [8, 11]


@pytest.mark.parametrize(
    ("precision", "device", "wrapper"),
    [
        ("fp32", "cpu", {"type": "OptimWrapper"}),
        ("bf16", "cpu", {"type": "AutocastOptimWrapper", "dtype": "bfloat16"}),
        ("bf16", "cuda", {"type": "AutocastOptimWrapper", "dtype": "bfloat16"}),
        ("fp16", "cuda", {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": "dynamic"}),
    ],
)
def test_precision_chooses_the_optim_wrapper(precision: str, device: Any, wrapper: dict[str, str]) -> None:
    built = _built(f"precision={precision}", spec=replace(SPEC, device=device)).optim_wrapper
    assert {key: built[key] for key in wrapper} == wrapper


def test_half_precision_on_the_cpu_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="fp16 on the CPU; take bf16 or fp32"):
        _built("precision=fp16")


def test_batch_split_workers_and_seed_come_from_spec_and_config() -> None:
    built = _built("seed=7", spec=replace(SPEC, batch_per_step=2, accumulation=3, n_workers=2))
    assert built.optim_wrapper.accumulative_counts == 3
    assert built.train_dataloader.batch_size == 2
    assert built.train_dataloader.persistent_workers
    assert built.train_dataloader.sampler.seed == 7
    assert not _built().train_dataloader.persistent_workers  # PyTorch refuses them without workers
    assert "accumulative_counts" not in _built().optim_wrapper


def test_a_missing_split_leaves_nothing_behind() -> None:
    built = _built("dataset.val=null", "dataset.test=null")
    for split in ("val", "test"):
        assert {key: built[f"{split}_{key}"] for key in ("dataloader", "cfg", "evaluator")} == {
            "dataloader": None,
            "cfg": None,
            "evaluator": None,
        }


@pytest.mark.parametrize("detector", ["faster_rcnn", "cascade_rcnn", "retinanet"])
@pytest.mark.parametrize("box_loss", ["zoo", "l1", "smooth_l1", "giou", "ciou"])
def test_every_box_loss_is_positive_with_every_detector(detector: str, box_loss: str) -> None:
    _assert_losses(f"detector={detector}", f"box_loss={box_loss}")


@pytest.mark.parametrize("detector", ["faster_rcnn", "cascade_rcnn", "retinanet"])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("neck", ["fpn", "pafpn"])
def test_detector_backbone_and_neck_fit_together(
    detector: str, backbone: str, neck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the parts that pass channels on, at full width, on tensors that have a shape and no memory."""
    register_all_modules()
    # A Swin reads the values of its drop path rates while it is built, so those have to be real.
    monkeypatch.setattr(torch, "linspace", functools.partial(torch.linspace, device="cpu"))
    config = compose("dataset=shapes", f"detector={detector}", f"backbone={backbone}", f"neck={neck}")
    with torch.device("meta"):
        model = MODELS.build(Config(with_tuples(config["model"])))
        levels = model.extract_feat(torch.empty(1, 3, 256, 256))
        model.bbox_head(levels) if detector == "retinanet" else model.rpn_head(levels)
    finest = 8 if detector == "retinanet" else 4
    assert [level.shape[1:] for level in levels] == [
        (256, 256 // (finest << n), 256 // (finest << n)) for n in range(5)
    ]


@pytest.mark.parametrize("detector", ["faster_rcnn", "cascade_rcnn", "retinanet"])
def test_a_transformer_under_pafpn_learns(detector: str) -> None:
    _assert_losses(f"detector={detector}", "neck=pafpn", "backbone=swin_t")


@pytest.mark.parametrize(
    "overrides", [(), ("augment=rotate90", "precision=bf16"), ("augment=mosaic", "optimizer=adamw")]
)
def test_plain_mmdet_loads_the_file(overrides: tuple[str, ...], tmp_path: Path) -> None:
    classes = 'dataset.classes=["Plastic bag","紙","it\'s {{ a }} \\"test\\""]'
    path = tmp_path / "config.py"
    built = _built(*overrides, classes)
    write_mm_file(built, path)
    loaded = Config.fromfile(path)
    theirs, ours = loaded.to_dict(), built.to_dict()
    assert theirs["model"] == ours["model"]
    assert theirs["train_dataloader"] == ours["train_dataloader"]
    assert theirs["val_evaluator"] == {**ours["val_evaluator"], "type": "CocoMetric"}
    assert theirs["optim_wrapper"]["type"] == ("AmpOptimWrapper" if "precision=bf16" in overrides else "OptimWrapper")
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert ("runners.transforms" in path.read_text(encoding="utf-8")) == ("augment=rotate90" in overrides)
    model = init_detector(str(path), device="cpu")
    assert model.roi_head.bbox_head.num_classes == 3


def _built(*overrides: str, spec: AttemptSpec = SPEC, n_images: int = 200) -> Any:
    config = compose("dataset=shapes", "dataset.root=shapes", *NARROW, *overrides)
    return build_mm_config(config, spec, Path("work"), n_images)


def _assert_losses(*overrides: str) -> None:
    """Take one loss of a model on noise with a few boxes; a loss below zero is how a wrong IoU loss shows."""
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(_built(*overrides).model)
    model.init_weights()
    batch = demo_mm_inputs(2, [[3, 96, 96], [3, 96, 96]], num_classes=3)
    assert isinstance(batch["data_samples"][0], DetDataSample)
    losses, named = model.parse_losses(model(**model.data_preprocessor(batch, True), mode="loss"))
    assert torch.isfinite(losses)
    assert {name: value for name, value in named.items() if "loss" in name and value < 0} == {}
    losses.backward()
