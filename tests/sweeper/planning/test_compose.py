"""Composing jobs: the same as Hydra would, and every mistake told."""

from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from runners.contract.errors import UserError
from sweeper.planning.compose import Composer, explain
from sweeper.planning.resolvers import register
from sweeper.planning.settings import resolve, sweep_settings
from tests.composition import CONF, compose_unresolved

# Every job of these tests has generated data, so that nothing on the disk is asked for.
SHAPES = "dataset=shapes"


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


def problems_of(composer: Composer, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as refused:
        composer.compose([SHAPES, *overrides])
    return list(refused.value.problems)


def without_hydra(config: DictConfig) -> object:
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra")
    return plain


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("backbone=swin_t", "optimizer=adamw", "seed=3"),
        ("detector=cascade_rcnn", "box_loss=giou", "neck=pafpn", "image_size=coco", "augment=mosaic"),
        ("detector=retinanet", "optimizer.lr=0.005", "n_epochs=3", "weights=none", "width=narrow"),
        ("model.rpn_head.anchor_generator.scales=[4]", "pipeline.train.flip=null", "+evaluation.extra=1"),
        ("dataset.shapes.seed=7", "fold=2", "dataset.n_folds=5", "name=a-b"),
        ("optimizer.lr=${optimizer.weight_decay}", "++model.backbone.frozen_stages=0"),
    ],
)
def test_a_job_is_what_hydra_composes(composer: Composer, overrides: tuple[str, ...]) -> None:
    ours, hydras = composer.compose([SHAPES, *overrides]), compose_unresolved(SHAPES, *overrides)
    assert without_hydra(ours) == without_hydra(hydras)
    assert ours.hydra.runtime.choices == hydras.hydra.runtime.choices
    assert OmegaConf.to_container(ours.hydra.overrides, resolve=False) == OmegaConf.to_container(
        hydras.hydra.overrides, resolve=False
    )


def test_jobs_do_not_share_values(composer: Composer) -> None:
    first = composer.compose([SHAPES, "optimizer.lr=0.5", "model.rpn_head.anchor_generator.scales=[4]"])
    second = composer.compose([SHAPES])
    assert first.optimizer.lr == 0.5
    assert second.optimizer.lr != 0.5
    assert second.model.rpn_head.anchor_generator.scales == [8]


def test_a_combination_is_composed_by_hydra_once(monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    composer = Composer.of_folder(CONF)
    asked: list[list[str]] = []
    whole = ConfigLoaderImpl.load_configuration

    def counting(self: ConfigLoaderImpl, name: str, overrides: list[str], *args: Any, **kwargs: Any) -> DictConfig:
        asked.append(overrides)
        return whole(self, name, overrides, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counting)
    for seed in range(3):
        composer.compose([SHAPES, f"seed={seed}"])
    assert len(asked) == 1
    composer.compose([SHAPES, "backbone=resnet18", "seed=0"])
    assert len(asked) == 2


class TestUnknownWords:
    @pytest.mark.parametrize(
        ("override", "told"),
        [
            (
                "backbone=resnet5",
                "unknown backbone in override 'backbone=resnet5': resnet5; did you mean 'resnet50'?; choices:",
            ),
            (
                "detector=faster-rcnn",
                "did you mean 'faster_rcnn'?; choices: cascade_rcnn, faster_rcnn, file, retinanet, zoo",
            ),
            ("neck=zzz", "unknown neck in override 'neck=zzz': zzz; choices: fpn, pafpn"),
            ("image_size=1024", "unknown image_size in override 'image_size=1024': 1024; did you mean '1024px'?"),
            ("backbone=", "no value in override 'backbone=': axis 'backbone' has none; choices:"),
            ("optimizr.lr=0.1", "no setting 'optimizr.lr'; did you mean 'optimizer.lr'?"),
            ("lr=0.1", "no setting 'lr'; did you mean 'optimizer.lr'?"),
            ("backbonne=resnet50", "no setting 'backbonne'; did you mean 'backbone'?"),
            ("dataset.trian.ann_file=a.json", "did you mean 'dataset.train.ann_file'?"),
            ("qqq=1", "no setting 'qqq'; +qqq=VALUE adds one"),
            ("~sed", "no setting 'sed'; did you mean 'seed'?"),
        ],
    )
    def test_nearest_and_choices(self, composer: Composer, override: str, told: str) -> None:
        (problem,) = problems_of(composer, override)
        assert told in problem

    def test_all_of_them_together(self, composer: Composer) -> None:
        overrides = ("backbone=resnet5", "neck=fnp", "optimizr.lr=1", "seed=[1", "optimizer.lr=abc")
        assert len(problems_of(composer, *overrides)) == 5


class TestBrokenOverrides:
    @pytest.mark.parametrize(
        ("override", "marked"),
        [
            ("seed=[1,2", "seed=[1,2^ (column 10)"),
            ("seed=[1,2]]", "seed=[1,2]^] (column 11)"),
            ("name='it's'", "name='it'^s' (column 10)"),
            ('name="x', 'name=^"x (column 6)'),
            ("seed", "seed^ (column 5)"),
            ("seed=1=2", "seed=1^=2 (column 7)"),
            ("dataset.root=/data/ü", "dataset.root=/data/^ü (column 20)"),
            ("seed={a:1", "seed={a:1^ (column 10)"),
        ],
    )
    def test_a_caret_stands_where_it_breaks(self, composer: Composer, override: str, marked: str) -> None:
        (problem,) = problems_of(composer, override)
        assert problem.startswith(f"broken override in '{override}': stops at the ^ in {marked}; close every bracket")

    def test_the_quoting_that_is_advised_works(self, composer: Composer, tmp_path: Path) -> None:
        config = composer.compose([SHAPES, "dataset.root='/data/ü, (1)=[x]'"])
        assert config.dataset.root == "/data/ü, (1)=[x]"

    def test_a_function_that_fails(self, composer: Composer) -> None:
        (problem,) = problems_of(composer, "seed=foo(1)")
        assert "Unknown function 'foo'" in problem
        assert "\n" not in problem


class TestTypesAndRanges:
    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("optimizer.lr=abc", "wrong type in override 'optimizer.lr=abc': text abc; wanted a finite number above 0"),
            ("optimizer.lr=[1]", "wrong type"),
            ("optimizer.lr=true", "wrong type in override 'optimizer.lr=true': a truth value true"),
            ("optimizer.lr=null", "wrong type in override 'optimizer.lr=null': null; wanted a finite number"),
            ("precision=16", "wrong type in override 'precision=16': a number 16; wanted one of fp32, bf16, fp16"),
            ("model.rpn_head.anchor_generator.scales=8", "a number 8; wanted a list of numbers, such as [8]"),
            ("model.rpn_head.anchor_generator.scales=[a]", "a list ['a']; wanted a list of numbers, such as [8]"),
            ("model.backbone.norm_eval=1", "wrong type"),
            ("model.type=3", "to mean text, quote it: \"model.type='3'\""),
            ("dataset.train=null", "wrong type in override 'dataset.train=null'"),
            ("~seed", "setting cannot be left out in override '~seed'"),
            ("optimizer.lr=0", "value out of range in optimizer.lr: 0; a finite number above 0"),
            ("optimizer.lr=-0.1", "optimizer.lr: -0.1"),
            ("optimizer.lr=nan", "optimizer.lr: nan"),
            ("optimizer.lr=inf", "optimizer.lr: inf"),
            ("++optimizer.lr=abc", "value out of range in optimizer.lr: abc"),
            ("n_epochs=0", "value out of range in n_epochs: 0; a whole number from 1"),
            ("n_epochs=1.5", "value out of range in n_epochs: 1.5; a whole number"),
            ("batch_size=0", "value out of range in batch_size: 0"),
            ("seed=-1", "value out of range in seed: -1; a whole number from 0 to 4294967295"),
            ("fold=-1", "value out of range in fold: -1; a whole number from 0, or null"),
            ("best_by=mAP", "value out of range in best_by: mAP; one of bbox_mAP, bbox_mAP_50"),
            ("precision=fp8", "value out of range in precision: fp8; one of fp32, bf16, fp16"),
            ("image_size.scale=[0,512]", "value out of range in image_size.scale: [0, 512]; two sides in pixels"),
            ("image_size.scale=[512,5000]", "each a whole number from 32 to 4096"),
            ("image_size.scale=[512]", "two sides in pixels"),
            (
                "model.roi_head.bbox_head.loss_bbox.loss_weight=2",
                "follows ${box_loss.head}; set box_loss.head.loss_weight",
            ),
        ],
    )
    def test_refused(self, composer: Composer, override: str, told: str) -> None:
        (problem,) = problems_of(composer, override)
        assert told in problem

    @pytest.mark.parametrize(
        "override",
        [
            "optimizer.lr=1",
            "optimizer.lr=1e-4",
            "dataset.val=null",
            "dataset.n_folds=5",
            "fold=null",
            "pipeline.train.flip=null",
            "optim_wrapper.clip_grad=null",
            "optim_wrapper.clip_grad={max_norm:0.5}",
            "gpus=0",
            "gpus='0,1'",
            "gpus=none",
            "model.rpn_head.anchor_generator.scales=[4.5]",
            "seed=${batch_size}",
        ],
    )
    def test_allowed(self, composer: Composer, override: str) -> None:
        composer.compose([SHAPES, override])


class TestMissingAndBrokenInterpolations:
    def test_a_missing_value_is_told_with_its_file(self, composer: Composer) -> None:
        with pytest.raises(UserError) as refused:
            composer.compose([])
        assert refused.value.problems == (
            f"missing value in dataset.root: ??? in {CONF / 'dataset' / 'coco.yaml'}; give dataset.root=VALUE",
        )

    def test_it_is_told_although_another_job_gave_it(self, composer: Composer) -> None:
        composer.compose(["dataset.root=somewhere"])
        with pytest.raises(UserError, match=r"missing value in dataset\.root"):
            composer.compose([])
        with pytest.raises(UserError, match=r"missing value in dataset\.root"):
            composer.compose(["seed=1"])

    def test_one_that_an_override_brings(self, composer: Composer) -> None:
        (problem,) = problems_of(composer, "seed=???")
        assert problem == "missing value in seed: ??? in override 'seed=???'; give seed=VALUE"

    def test_an_interpolation_that_leads_nowhere(self, composer: Composer) -> None:
        (problem,) = problems_of(composer, "optimizer.lr=${optimizer.rl}")
        assert problem == (
            "broken interpolation in optimizer.lr: ${optimizer.rl} in override 'optimizer.lr=${optimizer.rl}'; "
            "there is no 'optimizer.rl'; did you mean 'optimizer.lr'?"
        )

    def test_a_circle_names_its_members_and_not_what_follows_them(self, composer: Composer) -> None:
        problems = problems_of(composer, "seed=${fold}", "fold=${seed}", "batch_size=${seed}")
        assert problems == [
            "broken interpolation in seed: ${fold} in override 'seed=${fold}'; it leads back to itself",
            "broken interpolation in fold: ${seed} in override 'fold=${seed}'; it leads back to itself",
        ]

    def test_an_unknown_resolver(self, composer: Composer) -> None:
        (problem,) = problems_of(composer, "seed=${foo:1}")
        assert "there is no resolver 'foo'" in problem

    def test_a_broken_file_of_a_group_is_told_with_its_path(self, tmp_path: Path) -> None:
        (tmp_path / "size").mkdir()
        (tmp_path / "config.yaml").write_text("defaults:\n  - _self_\n  - size: big\nseed: 1\n")
        (tmp_path / "size" / "big.yaml").write_text("# @package _global_\nside: ${sied}\nname: ???\n")
        composer = Composer.of_folder(tmp_path)
        with pytest.raises(UserError, match=rf"missing value in name: \?\?\? in {tmp_path}/size/big.yaml"):
            composer.compose([])
        with pytest.raises(UserError) as refused:
            composer.compose(["name=x"])
        assert refused.value.problems == (
            f"broken interpolation in side: ${{sied}} in {tmp_path}/size/big.yaml; "
            "there is no 'sied'; did you mean 'side'?",
        )

    def test_broken_yaml_is_told_with_file_line_and_column(self, tmp_path: Path) -> None:
        """Row 11 of the list of bad inputs."""
        (tmp_path / "size").mkdir()
        (tmp_path / "config.yaml").write_text("defaults:\n  - _self_\n  - size: small\n")
        (tmp_path / "size" / "small.yaml").write_text("side: 1\n")
        (tmp_path / "size" / "tab.yaml").write_text("a:\n\tb: 1\n")
        (tmp_path / "size" / "twice.yaml").write_text("a: 1\nb: 2\na: 3\n")
        composer = Composer.of_folder(tmp_path)
        with pytest.raises(UserError, match=rf"broken YAML in .*{tmp_path}/size/tab.yaml.* line 2, column 1"):
            composer.compose(["size=tab"])
        with pytest.raises(UserError, match=rf"broken YAML in .*{tmp_path}/size/twice.yaml.*duplicate key.* line 3"):
            composer.compose(["size=twice"])


class TestRecipes:
    def test_one_recipe_composes(self, composer: Composer) -> None:
        assert composer.compose(["recipe=demo"]).hydra.runtime.choices.recipe == "demo"

    @pytest.mark.parametrize("overrides", [("recipe=[demo,swin_neck]",), ("recipe=demo", "recipe=swin_neck")])
    def test_two_are_refused(self, composer: Composer, overrides: tuple[str, ...]) -> None:
        (problem,) = problems_of(composer, *overrides)
        assert problem.startswith("two recipes in override")


class TestResolvedConfig:
    def test_choices_take_the_place_of_hydras_node(self, composer: Composer) -> None:
        config = resolve(composer.compose([SHAPES, "backbone=resnet18", "optimizer.lr=0.1", "batch_size=8"]))
        assert "hydra" not in config
        assert config["choices"]["backbone"] == "resnet18"
        assert list(config["choices"])[:3] == ["detector", "backbone", "neck"]
        assert config["lr_effective"] == 0.05
        assert "${" not in str(config)

    def test_class_names_are_data_and_no_interpolations(self, composer: Composer) -> None:
        names = ["${x}", "a ${ b", "???", "プラスチック, [red]: 'x'"]
        config = composer.compose([SHAPES])
        dataset = {**resolve(config)["dataset"], "classes": names}
        resolved = resolve(config, dataset)
        assert resolved["dataset"] == dataset
        assert resolved["model"]["roi_head"]["bbox_head"]["num_classes"] == 4

    def test_settings_of_the_sweep(self, composer: Composer) -> None:
        settings = sweep_settings(composer.compose([SHAPES, "gpus=none", "jobs_per_gpu=2", "tracking=off"]))
        assert (settings["gpus"], settings["jobs_per_gpu"], settings["tracking"]["name"]) == ("none", 2, "off")
        assert settings["job_limit"] == 500

    def test_settings_out_of_range(self, composer: Composer) -> None:
        config = composer.compose([SHAPES])
        config.jobs_per_gpu, config.job_limit = 0, "many"
        with pytest.raises(UserError) as refused:
            sweep_settings(config)
        assert [problem.partition(";")[0] for problem in refused.value.problems] == [
            "value out of range in jobs_per_gpu: 0",
            "value out of range in job_limit: many",
        ]


class TestExplain:
    def test_every_word_of_a_command_line_is_looked_at(self) -> None:
        words = ["-m", "--cfg", "job", "backbone=resnet50,resnt18", "neck=fnp", "optimizer.lr=0.1,abc", SHAPES]
        problems = explain(ValueError("Hydra's first complaint"), CONF, words).problems
        assert sorted(problem.partition(" in ")[0] for problem in problems) == [
            "unknown backbone",
            "unknown neck",
            "wrong type",
        ]

    def test_an_interval_is_no_mistake_of_type(self) -> None:
        (problem,) = explain(HydraException("only this"), CONF, ["optimizer.lr=interval(0.1,0.2)", SHAPES]).problems
        assert problem.endswith("only this")

    def test_what_hydra_alone_knows_stays_one_line(self) -> None:
        (problem,) = explain(HydraException("first\n  second"), CONF, [SHAPES]).problems
        assert problem == "config cannot be composed in conf: first second"

    def test_a_mistake_of_ours_keeps_its_traceback(self) -> None:
        bug = ValueError("ours")
        with pytest.raises(ValueError, match="ours") as raised:
            explain(bug, CONF, [SHAPES])
        assert raised.value is bug
