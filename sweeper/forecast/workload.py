"""What there is to compute in one job: pixels, multiply-adds and memory as arithmetic, before any device is known."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from runners.contract.plugin_sources import DIGEST
from sweeper.forecast.complexity import Complexity, find_complexity

# Detectors pad their images to a multiple of this.
PADDED_TO_PX = 32

# What one forward and backward pass costs in forward passes; one more where activations are computed again.
FORWARDS_IN_A_STEP = 3

# Parts of a model that change neither how long it takes nor what it needs; jobs that differ in them share a probe.
_IRRELEVANT = frozenset(
    {"init_cfg", "loss_cls", "loss_bbox", "bbox_coder", "data_preprocessor", "assigner", "score_thr"}
)

# What an optimizer keeps for each parameter: SGD one float32 of momentum, the Adams two.
_N_MOMENTS = {"SGD": 1}
_OTHER_N_MOMENTS = 2


@dataclass(frozen=True)
class Workload:
    """One job's work.

    Attributes:
        key: equal for jobs whose steps cost the same, whatever the device.
        choices: group to option.
        complexity: of its detector; None where the table has it not.
        is_thawed: whether nothing of the backbone is frozen.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        n_moments: numbers that the optimizer keeps for each parameter.
        train_px: pixels of a padded training image, on average over the sizes it is trained at.
        largest_px: pixels of the largest of them.
        test_px: pixels of a padded image that is evaluated.
        n_forwards: what one forward and backward pass costs, in forward passes.
        n_rois: regions of interest that the RoI heads learn from in an image.
        n_proposals: those that they look at in an image that is evaluated.
        images_per_device: images in one forward pass on each device.
        accumulation: forward passes in one optimizer step.
        n_devices: processes that train together.
        n_epochs: epochs.
        n_steps: forward and backward passes in one epoch.
        n_val_images: images evaluated after each epoch.
        n_final_images: images evaluated once, at the end.
    """

    key: str
    choices: Mapping[str, str]
    complexity: Complexity | None
    is_thawed: bool
    precision: str
    n_moments: int
    train_px: float
    largest_px: float
    test_px: float
    n_forwards: int
    n_rois: int
    n_proposals: int
    images_per_device: int
    accumulation: int
    n_devices: int
    n_epochs: int
    n_steps: int
    n_val_images: int
    n_final_images: int

    @property
    def step_adds_g(self) -> float | None:
        """1e9 multiply-adds of one forward and backward pass on one device."""
        if self.complexity is None:
            return None
        image = self.complexity.adds_g_per_mpx * self.train_px / 1e6
        image += self.complexity.adds_m_per_proposal * self.n_rois / 1e3
        return self.n_forwards * image * self.images_per_device

    @property
    def test_adds_g(self) -> float | None:
        """1e9 multiply-adds of evaluating one image."""
        if self.complexity is None:
            return None
        return (
            self.complexity.adds_g_per_mpx * self.test_px / 1e6
            + self.complexity.adds_m_per_proposal * self.n_proposals / 1e3
        )


def read_workload(
    config: Mapping[str, Any],
    n_images: Mapping[str, int],
    batch_per_step: int,
    accumulation: int,
    n_devices: int = 1,
) -> Workload:
    """Return what a job has to compute.

    Args:
        config: its resolved config.
        n_images: images of each split there is.
        batch_per_step: images in one forward pass, the sum over the devices.
        accumulation: forward passes in one optimizer step.
        n_devices: devices that it occupies.
    """
    model = config["model"]
    backbone = model.get("backbone") or {}
    complexity = find_complexity(config["choices"])
    # Of a model that is not in the table nothing is guessed, and where its sizes stand is its own affair.
    is_known = complexity is not None
    sizes = [_padded_px(scale) for scale in _train_scales(config)] if is_known else [0.0]
    images_per_device = math.ceil(batch_per_step / n_devices)
    n_train = n_images["train"]
    return Workload(
        key=workload_key(config, images_per_device),
        choices=config["choices"],
        complexity=complexity,
        is_thawed=backbone.get("frozen_stages", -1) < 1,
        precision=config["precision"],
        n_moments=_N_MOMENTS.get(config["optim_wrapper"]["optimizer"]["type"], _OTHER_N_MOMENTS),
        train_px=sum(sizes) / len(sizes),
        largest_px=max(sizes),
        test_px=_padded_px(config["image_size"]["scale"]) if is_known else 0.0,
        n_forwards=FORWARDS_IN_A_STEP + bool(backbone.get("with_cp")),
        n_rois=_n_rois(model) if is_known else 0,
        n_proposals=model["test_cfg"]["rpn"]["max_per_img"] if is_known and "roi_head" in model else 0,
        images_per_device=images_per_device,
        accumulation=accumulation,
        n_devices=n_devices,
        n_epochs=config["n_epochs"],
        n_steps=math.ceil(n_train / batch_per_step),
        n_val_images=n_images.get("val", 0),
        n_final_images=n_images.get("test", 0) + min(config["evaluation"]["n_train_images"], n_train),
    )


def workload_key(config: Mapping[str, Any], images_per_device: int) -> str:
    """Return a digest that is equal for jobs whose training steps and evaluated images cost the same.

    Args:
        config: a job's resolved config.
        images_per_device: images in one forward pass on each device.
    """
    stages = [stage for stage in config["pipeline"]["train"].values() if stage is not None]
    shape = [
        [stage["type"], *(stage[name] for name in ("scale", "scales", "img_scale", "keep_ratio") if name in stage)]
        for stage in stages
    ]
    others = [
        shape,
        config["image_size"].get("scale"),
        config["precision"],
        config["optim_wrapper"]["optimizer"]["type"],
    ]
    # What a plug-in's name means changes with its code, and a hook may hold a second model.
    hooks = [hook["type"] for hook in (config.get("custom_hooks") or {}).values() if hook is not None]
    others += [[config.get(DIGEST), hooks]] if hooks or config.get(DIGEST) else []
    return f"{_model_digest(_Model(repr(config['model']), config['model']))}-{_digest([*others, images_per_device])}"


@dataclass(frozen=True)
class _Model:
    """A model's config; equal texts are equal models, and quicker to compare."""

    text: str
    node: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=1024)
def _model_digest(model: _Model) -> str:
    return _digest(_relevant(model.node))


def _relevant(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _relevant(value) for name, value in node.items() if name not in _IRRELEVANT}
    return [_relevant(value) for value in node] if isinstance(node, list | tuple) else node


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _train_scales(config: Mapping[str, Any]) -> Sequence[Sequence[int]]:
    """Return the sizes (width, height) that training images are brought to, each as often as the others."""
    for stage in reversed([stage for stage in config["pipeline"]["train"].values() if stage is not None]):
        if "scales" in stage:
            return list(stage["scales"])
        if "scale" in stage:
            return [stage["scale"]]
    return [config["image_size"]["scale"]]


def _padded_px(scale: Sequence[int]) -> float:
    width, height = (math.ceil(side / PADDED_TO_PX) * PADDED_TO_PX for side in scale)
    return float(width * height)


def _n_rois(model: Mapping[str, Any]) -> int:
    if "roi_head" not in model:
        return 0
    rcnn = model["train_cfg"]["rcnn"]
    stage = rcnn[0] if isinstance(rcnn, list | tuple) else rcnn
    return int(stage["sampler"]["num"])
