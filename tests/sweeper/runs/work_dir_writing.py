"""A work dir as plain MMDetection leaves it: trained by its own runner, with its own hooks, in this process."""

from pathlib import Path

from runners.ops import install

# Before mmdet is imported anywhere.
install()


def train_plainly(work_dir: Path, root: Path, n_epochs: int = 2) -> None:
    """Train a narrow Faster R-CNN on a data set of shapes; nothing of detsweep takes part but its config's text."""
    from mmengine.runner import Runner

    from runners.contract.records import AttemptSpec
    from runners.mm_config import build_mm_config
    from runners.mm_file import plain_mm_config
    from tests.composition import compose

    words = ("dataset=shapes", f"dataset.root={root}", "backbone=resnet18", "width=narrow", "weights=none")
    config = compose(*words, "image_size=96px", "batch_size=4", f"n_epochs={n_epochs}", "optimizer.lr=0.04")
    config["dataset"] = {**config["dataset"], "classes": ["square", "circle", "triangle"]}
    spec = AttemptSpec(1, "cpu", 1, 0, batch_per_step=4, accumulation=1)
    cfg = plain_mm_config(build_mm_config(config, spec, work_dir, 16))
    cfg.work_dir = str(work_dir)
    cfg.custom_hooks = []
    cfg.default_hooks = {
        "logger": {"type": "LoggerHook", "interval": 1},
        "checkpoint": {"type": "CheckpointHook", "interval": 1, "save_best": "coco/bbox_mAP"},
    }
    backends = [{"type": "LocalVisBackend"}]
    cfg.visualizer = {"type": "DetLocalVisualizer", "vis_backends": backends, "name": str(work_dir)}
    cfg.experiment_name = work_dir.name
    Runner.from_cfg(cfg).train()
