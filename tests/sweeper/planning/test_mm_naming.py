"""``detector=zoo`` and ``detector=file``: a config takes the groups' place; each of its fields can be overridden."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.identity import job_identity
from runners.contract.naming import base_title, job_columns, run_params
from runners.contract.tuples import tuples_in
from sweeper.planning.axes import Axes, read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.job_configs import JobConfigs
from sweeper.planning.overrides import parse_override
from sweeper.planning.resolvers import register
from sweeper.planning.settings import resolve
from sweeper.planning.weights import needed_weights
from tests.composition import CONF
from tests.contract.test_mm_sources import FASTER, write

SHAPES = ("dataset=shapes", "dataset.shapes.n_train=20", "dataset.shapes.n_val=4", "dataset.shapes.n_test=4")
RTMDET = ("detector=zoo", "detector.config=rtmdet/rtmdet_tiny_8xb32-300e_coco")
MASK = ("detector=zoo", "detector.config=mask_rcnn/mask-rcnn_r50_fpn_1x_coco")


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    register()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Composer.of_folder(CONF)


def composed(composer: Composer, *overrides: str) -> dict[str, Any]:
    return resolve(composer.compose([*SHAPES, *overrides]))


def jobs(composer: Composer, folder: Path, *overrides: str) -> list[dict[str, Any]]:
    axes = read_axes([parse_override(line) for line in (*SHAPES, *overrides)])
    configs = JobConfigs(composer, axes, folder)
    return [configs.job(point).config for point in axes.points()]


def problems_of(composer: Composer, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as refused:
        composer.compose([*SHAPES, *overrides])
    return list(refused.value.problems)


class TestPlacing:
    def test_the_config_takes_the_place_of_the_groups(self, composer: Composer) -> None:
        config = composed(composer, *RTMDET, "seed=3")
        assert config["model"]["type"] == "RTMDet"
        assert config["model"]["bbox_head"]["num_classes"] == 3
        assert list(config["pipeline"]["train"])[:4] == ["load", "annotations", "cached_mosaic", "random_resize"]
        assert (config["n_epochs"], config["batch_size"], config["seed"]) == (300, 16, 3)
        assert config["lr_effective"] == 0.004 * 16 / 256
        assert config["custom_hooks"]["ema"]["type"] == "EMAHook"
        assert config["image_size"] == {"name": "640x640px", "scale": [640, 640], "keep_ratio": True}
        assert not {"backbone", "neck", "box_loss", "width"} & config.keys()
        assert config["choices"] == {"detector": "zoo", "dataset": "shapes"}
        assert tuples_in(config, "pipeline.train")["pad"]["size"] == (640, 640)

    def test_every_field_can_be_overridden(self, composer: Composer) -> None:
        config = composed(
            composer,
            *RTMDET,
            "model.backbone.widen_factor=0.25",
            "pipeline.train.cached_mix_up=null",
            "pipeline.train.pad.size=[96,96]",
            "optimizer.lr=0.002",
            "optimizer.base_batch_size=16",
            "n_epochs=4",
            "param_scheduler.0.end=10",
            "custom_hooks.ema=null",
        )
        assert config["model"]["backbone"]["widen_factor"] == 0.25
        assert config["pipeline"]["train"]["cached_mix_up"] is None
        assert tuples_in(config, "pipeline.train")["pad"]["size"] == (96, 96)
        assert config["optim_wrapper"]["optimizer"]["lr"] == config["lr_effective"] == 0.002
        warm_up, cosine = config["param_scheduler"]
        assert warm_up["end"] == 10
        assert (cosine["begin"], cosine["end"], cosine["T_max"]) == (2, 4, 2)
        assert cosine["eta_min"] == pytest.approx(0.0001)
        assert config["custom_hooks"]["pipeline_switch"]["switch_epoch"] == 4
        assert config["custom_hooks"]["ema"] is None

    def test_groups_that_are_chosen_replace_the_configs_own(self, composer: Composer) -> None:
        config = composed(composer, *RTMDET, "image_size=96px", "optimizer=sgd", "schedule=2x")
        assert config["pipeline"]["train"]["resize"]["scale"] == [96, 96]
        assert config["pipeline"]["train"]["flip"]["type"] == "RandomFlip"
        assert config["optim_wrapper"]["optimizer"] == {
            "type": "SGD",
            "lr": 0.02,
            "momentum": 0.9,
            "weight_decay": 0.0001,
        }
        assert config["optim_wrapper"]["paramwise_cfg"]["bypass_duplicate"] is True
        assert (config["n_epochs"], config["param_scheduler"][1]["milestones"]) == (24, [16, 22])
        assert config["custom_hooks"].keys() == {"ema"}  # no pipeline of its own is left to switch to
        assert base_title(config) == "rtmdet_tiny_8xb32-300e_coco_96_sgd_2x"

    def test_weights(self, composer: Composer, tmp_path: Path) -> None:
        (kept,) = needed_weights(composed(composer, *RTMDET))
        assert kept.address is not None
        assert kept.address.endswith("cspnext-tiny_imagenet_600e.pth")
        assert needed_weights(composed(composer, *RTMDET, "weights=none")) == []
        (coco,) = needed_weights(composed(composer, *RTMDET, "weights=coco"))
        assert coco.path.name == "rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth"
        own = composed(composer, *RTMDET, "weights=file", f"weights.path={tmp_path}/own.pth")
        assert [weights.path for weights in needed_weights(own)] == [tmp_path / "own.pth"]

    def test_what_a_job_is_called(self, composer: Composer) -> None:
        config = composed(composer, *RTMDET, "weights=none")
        assert base_title(config) == "rtmdet_tiny_8xb32-300e_coco_scratch"
        params = run_params(config)
        assert params["detector"] == "rtmdet_tiny_8xb32-300e_coco"
        assert params["detector_config"] == "rtmdet/rtmdet_tiny_8xb32-300e_coco"
        assert "backbone" not in params
        varied = {"detector": "zoo", "optimizer.lr": "1e-3"}
        assert job_columns(config, varied) == {**params, "optimizer.lr": "1e-3"}

    def test_a_file_in_a_trusted_folder(
        self, composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = f"_base_ = 'mmdet::{FASTER}'\nmodel = dict(backbone=dict(depth={{}}))\ntrain_cfg = dict(max_epochs=7)\n"
        write(tmp_path / "configs" / "own.py", text.format(101))
        monkeypatch.chdir(tmp_path)
        own = composed(composer, "detector=file", "detector.config=configs/own.py")
        assert (own["model"]["backbone"]["depth"], own["n_epochs"]) == (101, 7)
        # What it is called, and where it lies, is not what is trained.
        write(tmp_path / "other.py", text.format(101))
        other = composed(composer, "detector=file", "detector.config=other.py")
        assert job_identity(own, "x") == job_identity(other, "x")
        write(tmp_path / "third.py", text.format(50))
        assert job_identity(composed(composer, "detector=file", "detector.config=third.py"), "x") != job_identity(
            own, "x"
        )


class TestAxes:
    def test_configs_are_arms_beside_ours(self, composer: Composer, tmp_path: Path) -> None:
        configs = "detector.config=rtmdet/rtmdet_tiny_8xb32-300e_coco,fcos/fcos_r50-caffe_fpn_gn-head_1x_coco"
        found = jobs(composer, tmp_path, "detector=zoo,retinanet", configs, "seed=0,1")
        assert [(config["model"]["type"], config["seed"]) for config in found] == [
            ("RTMDet", 0),
            ("RTMDet", 1),
            ("FCOS", 0),
            ("FCOS", 1),
            ("RetinaNet", 0),
            ("RetinaNet", 1),
        ]
        assert "tuples" not in found[-1]

    def test_a_config_that_all_arms_but_ours_read(self) -> None:
        axes = Axes({"detector": ["zoo", "faster_rcnn"]}, ["detector.config=a", "seed=1"], [])
        assert [axes.overrides(point) for point in axes.points()] == [
            ["detector.config=a", "seed=1", "detector=zoo"],
            ["seed=1", "detector=faster_rcnn"],
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("overrides", "told"),
        [
            (("detector=zoo",), "missing value in detector.config: ???"),
            (("detector=zoo", "detector.config=rtmdt/x"), "unknown config in detector.config: rtmdt/x"),
            (("detector=zoo", "detector.config=yolof"), "family in detector.config: yolof"),
            (("detector=file", "detector.config=/etc/hosts"), "no Python config in detector.config: /etc/hosts"),
            (("detector=faster_rcnn", RTMDET[1]), "config without a reader in override"),
            ((*RTMDET, "augment=mosaic"), "image size missing in augment"),
            ((*RTMDET, "weights=imagenet"), "weights without effect in weights=imagenet"),
            ((*RTMDET, "image_size.scale=[64,64]"), "no effect in override 'image_size.scale=[64,64]'"),
            ((*RTMDET, "model.backbone.depht=5"), "no setting 'model.backbone.depht'"),
            ((*RTMDET, "pipeline.train.pad.size=abc"), "wrong type in override"),
            (
                ("detector=zoo", "detector.config=objects365/faster-rcnn_r50-syncbn_fpn_1350k_objects365v1"),
                "schedule in iterations",
            ),
            (
                ("detector=zoo", "detector.config=convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco"),
                "custom_imports names mmpretrain.models; code comes in by plugins=[mmpretrain]",
            ),
        ],
    )
    def test_one_line_each(self, composer: Composer, overrides: tuple[str, ...], told: str) -> None:
        (problem,) = problems_of(composer, *overrides)
        assert told in problem
        assert "\n" not in problem

    def test_groups_of_our_own_models(self, composer: Composer) -> None:
        groups = ("backbone=resnet18", "neck=fpn", "box_loss=giou", "width=narrow")
        problems = problems_of(composer, *RTMDET, *groups)
        assert [problem.partition(":")[0] for problem in problems] == [
            f"group without effect in {group}" for group in ("backbone", "neck", "box_loss", "width")
        ]

    def test_a_schedule_in_iterations_with_one_of_ours(self, composer: Composer) -> None:
        named = "detector.config=objects365/faster-rcnn_r50-syncbn_fpn_1350k_objects365v1"
        assert composed(composer, "detector=zoo", named, "schedule=1x", "n_epochs=3")["n_epochs"] == 3

    def test_imports_that_are_plugins(self, composer: Composer) -> None:
        named = "detector.config=convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco"
        config = composed(composer, "detector=zoo", named, "plugins=[mmpretrain]")
        assert config["model"]["backbone"]["type"] == "mmpretrain.ConvNeXt"

    def test_masks_that_the_data_has_not(self, composer: Composer, tmp_path: Path) -> None:
        with pytest.raises(UserError) as refused:
            jobs(composer, tmp_path, *MASK)
        (problem,) = refused.value.problems
        assert problem.startswith("masks missing in ")
        advice = problem.partition("give ")[2].split()
        assert advice == [
            "pipeline.train.annotations.with_mask=false",
            "pipeline.test.annotations.with_mask=false",
            "model.roi_head.mask_head=null",
        ]
        (config,) = jobs(composer, tmp_path, *MASK, *advice)
        assert config["model"]["roi_head"]["mask_head"] is None
