"""Hooks that a config names run beside detsweep's: what they average is what is validated, kept, and gone on with."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from runners.allowlist import refuse_foreign_code
from runners.checkpoints import load_checkpoint
from runners.contract.checkpoint_files import find_resume_point
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec
from runners.contract.states import AttemptOutcome
from runners.hooks.custom import build_hook, listed_hooks
from runners.mm_config import build_mm_config, train_dataloader
from runners.mm_file import write_mm_file
from runners.place import detector_of
from runners.seeding import SeededDataset
from sweeper.planning.plugins import find_plugins
from tests.plugin_project import write_package
from tests.runners.conftest import JobMaker
from tests.runners.test_plugins import plan
from tests.runners.test_resume import assert_same_end, steps_of, train_here
from tests.runners.warm_server import WarmServer

MOMENTUM = 0.2
EMA = f"custom_hooks.ema={{type:EMAHook,momentum:{MOMENTUM}}}"
RECORD = "+custom_hooks.record={type:RecordWeightsHook}"
SPEC = AttemptSpec(attempt=1, device="cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=1)
KEY = "roi_head.bbox_head.fc_cls.weight"


@pytest.fixture(autouse=True, scope="module")
def _scope() -> None:
    init_default_scope("mmdet")


@HOOKS.register_module()
class RecordWeightsHook(Hook):  # type: ignore[misc]
    """Keeps a weight as it was at epochs' beginnings, after each optimizer step, and while val was evaluated."""

    begun: list[torch.Tensor]
    trained: list[torch.Tensor]
    validated: list[torch.Tensor]
    heard: list[dict[str, float]]

    # After the average has changed places with the trained weights.
    priority = "LOW"

    def before_train(self, runner: Runner) -> None:
        for name in ("begun", "trained", "validated", "heard"):
            setattr(type(self), name, [])

    def before_train_epoch(self, runner: Runner) -> None:
        self.begun.append(_weight(runner))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.optim_wrapper.should_update():
            self.trained.append(_weight(runner))

    def before_val_epoch(self, runner: Runner) -> None:
        self.validated.append(_weight(runner))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.heard.append(metrics or {})


def _weight(runner: Runner) -> torch.Tensor:
    return detector_of(runner.model).state_dict()[KEY].detach().clone()


@pytest.mark.train
def test_averaged_weights_are_validated_kept_and_gone_on_with(make_job: JobMaker) -> None:
    """Against the average computed here; stopped where it is lent, and after that."""
    job = make_job("n_epochs=2", EMA, RECORD)
    whole = train_here(job, 0, None)
    attempt, result = whole
    recorded = RecordWeightsHook
    # 6 forward passes of 3 images make an epoch, 4 an optimizer step.
    averages = [recorded.trained[0]]
    for weight in recorded.trained[1:]:
        averages.append(torch.lerp(averages[-1], weight, MOMENTUM))
    steps_by = [1, 3]  # done at each epoch's end
    for seen, n_steps in zip(recorded.validated, steps_by, strict=True):
        assert torch.equal(seen, averages[n_steps - 1])
    assert not torch.equal(recorded.validated[1], recorded.trained[2])
    # After the first epoch training goes on with what it had: between its steps nothing changes.
    assert torch.equal(recorded.begun[1], recorded.trained[0])
    assert [heard["val/bbox_mAP_50"] for heard in recorded.heard] == [
        steps_of(attempt)[epoch, "val/bbox_mAP_50"] for epoch in (1, 2)
    ]
    best = load_checkpoint(job.path / str(result.checkpoint), "cpu")
    assert best.keys() == {"state_dict", "meta"}
    assert torch.equal(best["state_dict"][KEY], recorded.validated[int(result.best_epoch or 0) - 1])
    stopped = make_job("n_epochs=2", EMA, RECORD)
    earlier = []
    # In the first validation, and in the final evaluations.
    for ask in (5, 20):
        ended = train_here(stopped, ask, find_resume_point(stopped).spec_value)
        assert ended[1].outcome is AttemptOutcome.INTERRUPTED
        earlier.append(ended[0])
    assert_same_end(whole, train_here(stopped, 0, find_resume_point(stopped).spec_value), *earlier)


@pytest.mark.train
def test_several_devices_hear_the_same(server: WarmServer, make_job: JobMaker, tmp_path: Path) -> None:
    """Normalization exchanges its statistics before val: whoever is not told lets the others wait for ever.

    A hook of the project's own is in every process, and hears there what rank 0 has measured.
    """
    write_package(tmp_path / "project")
    hooks = (EMA, "+custom_hooks.norm={type:SyncNormHook}", "+custom_hooks.watch={type:WatchHook}")
    job = make_job("model.backbone.norm_eval=false", *hooks)
    plan(job, find_plugins(["trash_augs"], tmp_path / "project"))
    attempt, result = server.run(job, n_devices=2, n_threads=2)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert (1, "val/bbox_mAP_50") in steps_of(attempt)
    for log in ("log.txt", "log_1.txt"):
        assert "watched val/bbox_mAP" in (attempt.path / log).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (
            {"type": "CheckpointHook"},
            "hook not allowed in custom_hooks.x.type: CheckpointHook; leave it out: keep=best",
        ),
        ({"type": "mmengine.LoggerHook"}, "hook not allowed in custom_hooks.x.type: LoggerHook"),
        ({"type": "EarlyStoppingHook"}, "n_epochs"),
        (
            {"type": "EMAHok"},
            "unknown name in custom_hooks.x.type: EMAHok; looked up in the registry HOOKS: the nearest",
        ),
        ({"type": "ResNet"}, "unknown name in custom_hooks.x.type: ResNet; looked up in the registry HOOKS"),
        ({"type": "shutil.copy"}, "unknown name in custom_hooks.x.type: shutil.copy"),
        ({"type": "EMAHook", "ema_type": "shutil.copy"}, "unknown name in custom_hooks.x.ema_type: shutil.copy"),
        (
            {"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": [{"type": "os.system"}]},
            "unknown name in custom_hooks.x.switch_pipeline[0].type: os.system; looked up in the registry TRANSFORMS",
        ),
    ],
)
def test_hooks_that_are_not_allowed(hook: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        refuse_foreign_code({"custom_hooks": {"x": hook}})
    (problem,) = caught.value.problems
    assert told in problem


@pytest.mark.parametrize(
    "hook",
    [
        {"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.0001},
        {"type": "mmengine.EMAHook"},
        {"type": "SyncNormHook"},
        {"type": "SetEpochInfoHook"},
        {"type": "YOLOXModeSwitchHook", "num_last_epochs": 2},
        {"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": [{"type": "Resize", "scale": [96, 96]}]},
        {"type": "CheckInvalidLossHook", "interval": 10, "priority": "VERY_LOW"},
        {"type": "NumClassCheckHook"},
        {"type": "MemoryProfilerHook"},
    ],
)
def test_hooks_of_mmengine_and_mmdet_are_built(hook: dict[str, Any]) -> None:
    refuse_foreign_code({"custom_hooks": {"x": hook, "y": None}})
    (listed,) = listed_hooks({"custom_hooks": {"x": hook, "y": None}})
    if hook["type"] != "MemoryProfilerHook":  # wants a package that nobody has
        assert type(build_hook(listed)).__name__.endswith(hook["type"].removeprefix("mmengine."))


def test_a_hooks_mistakes_are_the_users() -> None:
    with pytest.raises(UserError, match="arguments of a hook in custom_hooks: SyncNormHook:"):
        build_hook({"type": "SyncNormHook", "speed": 3})
    with pytest.raises(UserError, match=r"hook without a type in custom_hooks\.ema: \{'momentum': 1\}"):
        listed_hooks({"custom_hooks": {"ema": {"momentum": 1}}})


def _seeded(job: JobFolder) -> SeededDataset:
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    return SeededDataset(train_dataloader(config, SPEC)["dataset"], seed=0)


@pytest.mark.parametrize("augment", ["flip", "mosaic"])
def test_a_pipeline_is_switched_as_a_whole(make_job: JobMaker, augment: str) -> None:
    dataset = _seeded(make_job(f"augment={augment}"))
    before = dataset[0]["inputs"].shape
    stages = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "Resize", "scale": (64, 64), "keep_ratio": False},
        {"type": "PackDetInputs"},
    ]
    hook = build_hook({"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": stages})
    for epoch in (0, 1):
        assert dataset[0]["inputs"].shape == before
        hook.before_train_epoch(
            SimpleNamespace(
                epoch=epoch,
                train_dataloader=SimpleNamespace(dataset=dataset, persistent_workers=False),
                logger=logging.getLogger(__name__),
            )
        )
    assert before[-2:] != (64, 64)
    assert dataset[0]["inputs"].shape[-2:] == (64, 64)


def test_the_file_for_plain_mmdetection_has_hooks_and_imports(
    make_job: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loads where the plug-in's sources lie beside it, and there only."""
    config = yaml.safe_load(make_job(EMA, "+custom_hooks.norm={type:SyncNormHook}").config.read_text(encoding="utf-8"))
    path = tmp_path / "exported" / "config.py"
    path.parent.mkdir()
    write_mm_file(build_mm_config(config, SPEC, tmp_path, 16), path, ["own_package_of_this_test"])
    with pytest.raises(ImportError):
        Config.fromfile(path)
    (path.parent / "own_package_of_this_test.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(path.parent))
    loaded = Config.fromfile(path)
    assert [hook.type for hook in loaded.custom_hooks] == ["EMAHook", "SyncNormHook"]
    assert loaded.custom_hooks[0].momentum == MOMENTUM


def test_leaving_out_transforms_wants_some_that_mix_images(make_job: JobMaker) -> None:
    _seeded(make_job("augment=mosaic")).update_skip_type_keys(("Mosaic", "RandomAffine"))
    with pytest.raises(UserError, match="YOLOXModeSwitchHook leaves out transforms that follow one that mixes images"):
        _seeded(make_job()).update_skip_type_keys(("Mosaic",))
