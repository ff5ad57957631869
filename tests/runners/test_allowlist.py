"""A hostile config is refused before anything is built, and every config that our groups compose is not."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules

from runners.allowlist import known_names, refuse_foreign_code
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.states import FailureKind
from sweeper.planning.weights import needed_weights
from tests.composition import compose, compose_unresolved
from tests.conf.test_groups import NEEDED, OPTIONS, RECIPES
from tests.runners.conftest import JobMaker
from tests.runners.test_checkpoints import Canary
from tests.runners.warm_server import WarmServer, new_attempt

DETECTORS = ("faster_rcnn", "cascade_rcnn", "retinanet")


@pytest.fixture(autouse=True, scope="module")
def registered() -> None:
    register_all_modules()


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_allowed_with_every_detector(option: str) -> None:
    group, name = option.split("/")
    for detector in (name,) if group == "detector" else DETECTORS:
        refuse_foreign_code(
            compose("dataset=shapes", f"detector={detector}", f"{group}={name}", *NEEDED.get(option, []))
        )


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_job_of_a_recipe_is_allowed(recipe: str) -> None:
    needed = [] if recipe == "demo" else ["dataset.root=data", "dataset.classes=[a,b]"]
    axes = compose_unresolved(f"recipe={recipe}", *needed).hydra.sweeper.params
    for values in itertools.product(*(values.split(",") for values in axes.values())):
        choices = [f"{key}={value}" for key, value in zip(axes, values, strict=True)]
        refuse_foreign_code(compose(f"recipe={recipe}", *choices, *needed))


@pytest.mark.parametrize(
    "part",
    [
        {"norm_cfg": {"type": "GN", "num_groups": 32}, "act_cfg": {"type": "LeakyReLU"}, "conv_cfg": {"type": "DCNv2"}},
        {"upsample_cfg": {"type": "nearest"}, "plugins": [{"cfg": {"type": "ContextBlock"}}]},
        {"backbone": {"type": "mmdet.ResNet"}, "nms": {"type": "soft_nms"}, "roi_layer": {"type": "RoIPool"}},
        {"optimizer": {"type": "Adagrad"}, "clip_grad": {"type": "value", "clip_value": 1}},
        {"constructor": "LearningRateDecayOptimizerConstructor", "custom_keys": {".cls_token": {"lr_mult": 0.1}}},
        {"init_cfg": [{"type": "Xavier", "layer": "Conv2d"}, {"type": "Constant", "val": 0}]},
    ],
)
def test_what_mmdetection_offers_beyond_our_groups_is_allowed(part: dict[str, Any]) -> None:
    refuse_foreign_code({"model": part})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "shutil.copy"}, "unknown name in model.type: shutil.copy;"),
        ({"neck": [{"type": ["BN", "os.system"]}]}, "unknown name in model.neck[0].type[1]: os.system;"),
        ({"type": "mmdet.models.ResNet"}, "unknown name in model.type: mmdet.models.ResNet;"),
        ({"type": "mmengine.fileio.copyfile"}, "unknown name in model.type: mmengine.fileio.copyfile;"),
        ({"type": "evil.ResNet"}, "unknown name in model.type: evil.ResNet;"),
        ({"constructor": "subprocess.run"}, "unknown name in model.constructor: subprocess.run;"),
        ({"type": {"a": 1}}, "unknown name in model.type: {'a': 1};"),
        ({"type": "CameraMotionCompensation"}, "unknown name in model.type: CameraMotionCompensation;"),
        ({"type": "CheckpointHook"}, "unknown name in model.type: CheckpointHook;"),
        ({"nms": {"type": "__import__('os').getcwd()"}}, "unknown name in model.nms.type: __import__('os').getcwd();"),
        ({"_target_": "builtins.open"}, "key not allowed in model._target_: 'builtins.open';"),
        ({"_base_": "/tmp/evil.py"}, "key not allowed in model._base_: '/tmp/evil.py';"),
        ({"_scope_": "evil"}, "key not allowed in model._scope_: 'evil';"),
        ({"_delete_": True}, "key not allowed in model._delete_: True;"),
        ({"custom_imports": {"imports": ["evil"]}}, "key not allowed in model.custom_imports:"),
        ({"a': open('x') or 'b": 1}, "characters not allowed in key"),
    ],
)
def test_hostile_part_is_named_with_its_place(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        refuse_foreign_code({"model": config})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(message)


def test_nearest_names_are_told_and_all_problems_at_once() -> None:
    with pytest.raises(UserError) as caught:
        refuse_foreign_code({"model": {"backbone": {"type": "torch.ResNett"}, "neck": {"type": "FPNN"}, "_base_": 1}})
    backbone, neck, base = caught.value.problems
    assert "ResNet" in backbone
    assert "the nearest are FPN" in neck
    assert "_base_" in base


def test_types_of_video_tracking_that_evaluate_text_are_not_known() -> None:
    assert {"ResNet", "nms", "RoIAlign", "RandomRotate90", "SGD"} <= known_names()
    assert not {"CameraMotionCompensation", "CheckpointHook", "Runner", "shutil"} & known_names()


@pytest.mark.train
def test_hostile_configs_do_nothing_in_a_job(server: WarmServer, make_job: JobMaker, tmp_path: Path) -> None:
    """Each of these would write the canary as soon as MMDetection built it."""
    victim, canary = tmp_path / "victim", tmp_path / "canary"
    victim.write_text("x")
    # That this would really be so, for one of them; else the test could not fail.
    MODELS.build({"type": "builtins.open", "file": str(canary), "mode": "w"}).close()
    canary.unlink()

    hostile: list[tuple[str, Any]] = [
        ("backbone", {"type": "builtins.open", "file": str(canary), "mode": "w"}),
        ("backbone", {"type": "shutil.copy", "src": str(victim), "dst": str(canary)}),
        ("backbone", {"type": "os.system", "command": f"touch {canary}"}),
        ("backbone", {"_target_": "builtins.open", "file": str(canary), "mode": "w"}),
        ("test_cfg", {"rcnn": {"nms": {"type": f"open({str(canary)!r}, 'w')"}}}),
    ]
    for mode, (part, value) in zip(("train", "check", "probe", "train", "train"), hostile, strict=True):
        job = make_job()
        _edit_model(job, part, value)
        _, result = server.run(job, mode=mode)
        assert result.failure is not None
        assert result.failure.kind is FailureKind.USER
        assert f"model.{part}." in result.failure.message
        assert not canary.exists(), value


@pytest.mark.train
@pytest.mark.parametrize("where", ["weights=file", "torchvision"])
def test_hostile_weights_do_nothing_in_a_job(
    server: WarmServer, make_job: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A file of the user's own, and one that somebody has put into the cache under the name of ImageNet's weights."""
    canary, path = tmp_path / "canary", tmp_path / "hostile.pth"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    if where == "torchvision":
        job = make_job("weights=imagenet")
        path = needed_weights(yaml.safe_load(job.config.read_text()))[0].path
        path.parent.mkdir(parents=True)
    else:
        job = make_job(where, f"weights.path={path}")
    torch.save({"conv1.weight": torch.zeros(1), "meta": Canary(canary)}, path)
    attempt = new_attempt(job)
    server.start(attempt, TORCH_HOME=str(tmp_path / "torch"), TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
    server.event("exited", attempt)
    result = yaml.safe_load(attempt.result.read_text())
    assert result["failure"]["kind"] == "user", result
    assert "weights" in result["failure"]["message"]
    assert not canary.exists()


def _edit_model(job: JobFolder, part: str, value: dict[str, Any]) -> None:
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    config["model"][part] = value
    job.config.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
