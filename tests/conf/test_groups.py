"""Every option of every group composes, says how it is used, and works with the options of the other groups."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.composition import CONF, compose, compose_unresolved

# What an option cannot do without.
NEEDED = {
    "dataset/coco": ["dataset.root=data", "dataset.classes=[a,b]"],
    "dataset/recycle_trash": ["dataset.root=data", "dataset.classes=[a,b]"],
    "weights/file": ["weights.path=weights.pth"],
    "tracking/server": ["tracking.uri=http://localhost:5000"],
}

# Groups of which a job has one option; these have files of their own kind.
NO_CHOICES = ("hydra", "recipe", "optimizer_defaults", "search", "hypothesis")

# What these compose stands in the config that they read (tests/sweeper/planning/test_mm_naming.py).
READING = {"detector/file", "detector/zoo"}

ALL_OPTIONS = {
    f"{path.parent.name}/{path.stem}" for path in CONF.glob("*/*.yaml") if path.parent.name not in NO_CHOICES
}
OPTIONS = sorted(ALL_OPTIONS - READING)
RECIPES = sorted(path.stem for path in CONF.glob("recipe/*.yaml"))

# The list: an option that vanished would take its test with it.
PROMISED = {
    "detector": "faster_rcnn cascade_rcnn retinanet",
    "backbone": "resnet18 resnet34 resnet50 resnet101 resnext101_32x4d resnext101_64x4d swin_t swin_s swin_b swin_l",
    "neck": "fpn pafpn",
    "box_loss": "zoo l1 smooth_l1 giou ciou",
    "image_size": "512px 1024px 640px 96px 160px 256px coco",
    "augment": "flip none multiscale rotate90 photometric mosaic",
    "optimizer": "sgd adam adamw nadam radam",
    "schedule": "1x 2x 4e",
    "weights": "imagenet coco none file",
    "dataset": "coco shapes recycle_trash",
    "width": "standard narrow",
    "tracking": "sqlite server off",
}


def test_the_groups_hold_what_is_promised() -> None:
    promised = {f"{group}/{option}" for group, options in PROMISED.items() for option in options.split()}
    assert promised | READING == ALL_OPTIONS


@pytest.mark.parametrize("option", OPTIONS)
def test_option_composes_and_knows_its_name(option: str) -> None:
    group, name = option.split("/")
    config = compose_unresolved("dataset=shapes", f"{group}={name}", *NEEDED.get(option, []))
    assert config.hydra.runtime.choices[group] == name
    OmegaConf.set_struct(config, False)
    del config["hydra"]  # is resolved by Hydra, once it knows where it runs
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    assert resolved[group]["name"] == name


@pytest.mark.parametrize("path", sorted(CONF.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_file_opens_with_the_command_that_uses_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    # Hydra reads the package from the first line only; the command is the first line that is meant for people.
    assert lines[0] == "# @package _global_"
    command = re.match(r"# detsweep train (.+)", lines[1])
    assert command is not None
    if path.parent.name != "optimizer_defaults":
        assert f"{path.parent.name}={path.stem}" in command[1].split()
    # What it is for: detsweep options shows this line.
    purpose = lines[2].removeprefix("# ")
    assert lines[2].startswith("# ")
    assert 10 < len(purpose) <= 118
    assert purpose[-1] in ".?"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_job_of_a_recipe_composes(recipe: str) -> None:
    needed = [] if recipe == "demo" else ["dataset.root=data", "dataset.classes=[a,b]"]
    axes = compose_unresolved(f"recipe={recipe}", *needed).hydra.sweeper.params
    assert axes
    for key, values in axes.items():
        for value in values.split(","):
            assert compose(f"recipe={recipe}", f"{key}={value}", *needed)["choices"][key] == value


def test_a_recipe_gives_way_to_the_command_line() -> None:
    config = compose("recipe=demo", "image_size=96px", "n_epochs=2", "optimizer=adamw", "optimizer.lr=0.01")
    assert config["image_size"]["scale"] == [96, 96]
    assert config["n_epochs"] == 2
    assert config["optim_wrapper"]["optimizer"]["lr"] == 0.01 * 4 / 16


@pytest.mark.parametrize("optimizer", PROMISED["optimizer"].split())
def test_the_demo_can_be_tried_on_own_data(optimizer: str) -> None:
    own = ("dataset=coco", "dataset.root=data", "dataset.classes=[a,b]")
    config = compose("recipe=demo", f"optimizer={optimizer}", *own)
    assert "shapes" not in config["dataset"]  # or they would be drawn into the folder of the data
    assert config["optimizer"]["lr"] > 0.0001


@pytest.mark.parametrize("detector", PROMISED["detector"].split())
@pytest.mark.parametrize("optimizer", PROMISED["optimizer"].split())
def test_rate_of_each_detector_and_optimizer(detector: str, optimizer: str) -> None:
    usual = 0.02 if optimizer == "sgd" else 0.0001
    wanted = 0.01 if (detector, optimizer) == ("retinanet", "sgd") else usual
    config = compose("dataset=shapes", f"detector={detector}", f"optimizer={optimizer}", "batch_size=8")
    assert config["optimizer"]["lr"] == wanted
    assert config["lr_effective"] == wanted / 2
    assert config["optim_wrapper"]["optimizer"]["lr"] == wanted / 2


def test_nothing_is_frozen_from_scratch() -> None:
    scratch = compose("dataset=shapes", "weights=none")["model"]["backbone"]
    assert (scratch["frozen_stages"], scratch["norm_eval"], scratch["init_cfg"]) == (-1, False, None)
    pretrained = compose("dataset=shapes")["model"]["backbone"]
    assert (pretrained["frozen_stages"], pretrained["norm_eval"]) == (1, True)


@pytest.mark.parametrize("detector", PROMISED["detector"].split())
def test_narrow_leaves_no_wide_part_but_the_backbone(detector: str) -> None:
    standard = compose("dataset=shapes", f"detector={detector}")["model"]
    narrow = compose("dataset=shapes", f"detector={detector}", "width=narrow")["model"]
    assert narrow["backbone"] == standard["backbone"]
    widths = {"in_channels": 64, "out_channels": 64, "feat_channels": 64, "fc_out_channels": 128}
    found = [(path, path.rpartition(".")[2], value) for path, value in _fields(narrow)]
    assert [path for path, key, value in found if key in widths and value != widths[key]] == []
    assert len([path for path, key, _ in found if key in widths]) >= 3


@pytest.mark.parametrize("optimizer", PROMISED["optimizer"].split())
def test_a_mmdet_field_without_a_short_name_can_be_overridden(optimizer: str) -> None:
    config = compose(
        "dataset=shapes",
        f"optimizer={optimizer}",
        "model.rpn_head.anchor_generator.scales=[4]",
        "model.backbone.frozen_stages=2",
        "pipeline.train.flip.prob=0.25",
        "optimizer.weight_decay=0.5",
    )
    assert config["model"]["rpn_head"]["anchor_generator"]["scales"] == [4]
    assert config["model"]["backbone"]["frozen_stages"] == 2
    assert config["pipeline"]["train"]["flip"]["prob"] == 0.25
    assert config["optim_wrapper"]["optimizer"]["weight_decay"] == 0.5


def test_image_size_and_augmentation_compose() -> None:
    train = compose("dataset=shapes", "image_size=640px", "augment=multiscale")["pipeline"]["train"]
    assert train["resize"] is None
    assert train["multiscale"]["scales"] == [[480, 480], [576, 576], [640, 640], [704, 704], [800, 800]]
    mosaic = compose("dataset=shapes", "image_size=coco", "augment=mosaic")["pipeline"]["train"]
    assert mosaic["mosaic"]["img_scale"] == [1333, 800]
    assert mosaic["affine"]["border"] == [-667, -400]


@pytest.mark.parametrize(
    ("n_epochs", "milestones"), [(12, [8, 11]), (24, [16, 22]), (36, [24, 33]), (4, [3]), (1, []), (20, [13, 18])]
)
def test_milestones_follow_the_epochs(n_epochs: int, milestones: list[int]) -> None:
    warmup, steps = compose("dataset=shapes", f"n_epochs={n_epochs}")["param_scheduler"]
    assert steps["milestones"] == milestones
    assert steps["end"] == n_epochs
    assert warmup["end"] == 500


def _fields(node: object, at: str = "model") -> list[tuple[str, object]]:
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in _fields(value, f"{at}.{key}")]
    if isinstance(node, list):
        return [found for number, value in enumerate(node) for found in _fields(value, f"{at}[{number}]")]
    return [(at, node)]
