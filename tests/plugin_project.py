"""A team's package with one part of every kind, as a plug-in: ``plugins=[trash_augs]``."""

from pathlib import Path

INIT = "from trash_augs import flips, nets, watch\n"

FLIPS = """
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Darken(BaseTransform):
    def __init__(self, factor):
        self.factor = factor

    def transform(self, results):
        results["img"] = (results["img"] * self.factor).astype(np.uint8)
        return results
"""

NETS = """
from mmdet.models import ResNet
from mmdet.registry import MODELS
from torch import nn


@MODELS.register_module()
class TrashNet(ResNet):
    pass


@MODELS.register_module()
class SquaredLoss(nn.Module):
    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred, target, weight=None, avg_factor=None, reduction_override=None):
        return self.loss_weight * ((pred - target) ** 2 * weight).sum() / avg_factor
"""

WATCH = """
from mmdet.registry import HOOKS
from mmengine.hooks import Hook


@HOOKS.register_module()
class WatchHook(Hook):
    def after_val_epoch(self, runner, metrics=None):
        print("watched", sorted(metrics)[0], flush=True)
"""

# What uses all of it.
OVERRIDES = (
    "plugins=[trash_augs]",
    "model.backbone.type=TrashNet",
    "detector.box_loss.head.type=SquaredLoss",
    "pipeline.train.photometric={type:Darken,factor:0.7}",
    "custom_hooks.ema={type:EMAHook,momentum:0.05}",
    "+custom_hooks.watch={type:WatchHook}",
    "+custom_hooks.classes={type:NumClassCheckHook}",
)


def write_package(root: Path) -> Path:
    """Write the package into a project's folder, and return the package's."""
    package = root / "trash_augs"
    package.mkdir(parents=True)
    for name, text in {"__init__": INIT, "flips": FLIPS, "nets": NETS, "watch": WATCH}.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    return package
