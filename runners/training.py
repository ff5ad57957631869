"""MMDetection's runner as an attempt uses it: built from the job's config, with no files of its own."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from torch import distributed, nn
from torch.utils.data import DataLoader

from runners.contract.records import AttemptSpec
from runners.dataset import use_strict_datasets
from runners.hooks.custom import build_hook
from runners.hooks.told_place import ToldPlaceHook
from runners.mm_config import build_mm_config, train_dataloader
from runners.place import ALONE, Place, detector_of
from runners.precision import AutocastOptimWrapper, keep_regions_exact
from runners.seeding import ResumableBatchSampler, SeededDataset, derived_seed
from runners.training_state import restore_training


class JobRunner(Runner):  # type: ignore[misc]
    """A `Runner` that leaves files and environment reports to detsweep.

    Attributes:
        state: what training goes on from, as `read_training_state` gave it; None to begin anew.
        custom: the hooks that the config names.
    """

    state: dict[str, Any] | None = None
    custom: Sequence[Hook] = ()

    def load_or_resume(self) -> None:
        """Put in the state, if there is one, once everything is built."""
        if self.state is None:
            super().load_or_resume()
            return
        restore_training(self, self.state)
        self.state, self._has_loaded = None, True

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Move the model to its device, and have it exchange gradients where several processes train it."""
        moved: nn.Module = super().wrap_model(model_wrapper_cfg, model)
        if not distributed.is_initialized():
            return moved
        # Some compositions leave a layer unused (RetinaNet begins above the first of Swin's outputs), which has to be
        # looked for in every pass; a pass that computes parts of itself twice must not be searched.
        is_recomputing = any(getattr(module, "with_cp", False) for module in moved.modules())
        return MMDistributedDataParallel(  # type: ignore[no-any-return]
            moved,
            # Frozen statistics are the same everywhere; trained ones stay each process's own, and rank 0's count.
            broadcast_buffers=False,
            find_unused_parameters=not is_recomputing,
        )

    @property
    def val_dataloader(self) -> DataLoader[Any]:
        """Training's: val is evaluated without mmengine's loop, hooks that ask want the classes, which both have."""
        return self.train_dataloader  # type: ignore[no-any-return]

    @property
    def detector(self) -> BaseDetector:
        """The model itself."""
        return detector_of(self.model)

    def dump_config(self) -> None:
        """Write nothing: the job folder has the config."""

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        """Say nothing: the sweep records versions once."""


def build_train_loader(config: Mapping[str, Any], spec: AttemptSpec, place: Place = ALONE) -> DataLoader[Any]:
    """Return the training images, shuffled and augmented by the seed and the epoch alone.

    Args:
        config: the job's config.
        spec: the attempt's spec.
        place: of a process that trains together with others: its part of each batch.
    """
    loader = train_dataloader(config, spec)
    use_strict_datasets(loader)
    loader["dataset"] = {"type": SeededDataset.__name__, "dataset": loader["dataset"], "seed": config["seed"]}
    loader["batch_sampler"] = {"type": ResumableBatchSampler.__name__}
    # mmengine adds the epoch to the sampler's seed: with neighbouring seeds, replicates would share their orders.
    loader["sampler"]["seed"] = derived_seed(config["seed"], "shuffle")
    built: DataLoader[Any] = Runner.build_dataloader(loader)
    built.batch_sampler.place = place  # type: ignore[union-attr]
    return built


def build_runner(
    config: Mapping[str, Any], spec: AttemptSpec, loader: DataLoader[Any], hooks: Sequence[Hook]
) -> tuple[JobRunner, Config]:
    """Return the runner of an attempt and the config that MMDetection would train the same with.

    Args:
        config: the job's config.
        spec: the attempt's spec.
        loader: of the training images.
        hooks: detsweep's own; those that the config names come on top.

    Raises:
        UserError: the precision does not run on the device, or a hook does not take its arguments.
    """
    work_dir = Path(tempfile.mkdtemp(prefix="detsweep-"))  # mmengine insists on a folder, and nothing stays in it
    try:
        mm_cfg = build_mm_config(config, spec, work_dir, len(loader.dataset))  # type: ignore[arg-type]
        custom = [build_hook(hook) for hook in mm_cfg.custom_hooks]
        runner = JobRunner(
            model=mm_cfg.model,
            work_dir=str(work_dir),
            train_dataloader=loader,
            train_cfg=mm_cfg.train_cfg,
            optim_wrapper=mm_cfg.optim_wrapper,
            param_scheduler=mm_cfg.param_scheduler or None,
            # Detsweep has its own hooks for what these do; its own come in as custom hooks.
            default_hooks={"runtime_info": None, "timer": None, "logger": None, "checkpoint": None},
            custom_hooks=[ToldPlaceHook(), *hooks, *custom],
            env_cfg=mm_cfg.env_cfg,
            load_from=mm_cfg.load_from,
            log_level=mm_cfg.log_level,
            visualizer={"type": "Visualizer", "vis_backends": []},
            default_scope=mm_cfg.default_scope,
            randomness={"seed": derived_seed(config["seed"], "model")},
            experiment_name=work_dir.name,
            cfg=Config({"train_dataloader": {"batch_size": spec.batch_per_step}}),
        )
    finally:
        shutil.rmtree(work_dir)
    runner.custom = custom
    for name in ("epoch", "iter"):
        runner.message_hub.update_info(name, 0)  # known also where nothing but a step is taken
    if mm_cfg.optim_wrapper.type == AutocastOptimWrapper.__name__:
        keep_regions_exact(runner.detector)
    return runner, mm_cfg
