"""The parts of a config of MMDetection in our dialect: stages, wrappers, optimizer, schedule, hooks, weights."""

from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from sweeper.planning.mm_files import MmFile
from sweeper.planning.mm_model import mask_heads, with_classes_of_data, without_pretrained
from sweeper.planning.mm_pipeline import MmEpoch, named_stages, read_data, read_epoch, snake_case
from sweeper.planning.mm_schedule import base_batch, read_hooks, read_optimizer, read_schedule
from sweeper.planning.resolvers import epoch_of, epochs_of, in_proportion, scale_lr

LOAD = {"type": "LoadImageFromFile", "backend_args": {"backend": "petrel"}}
BOXES = {"type": "LoadAnnotations", "with_bbox": True}
PACK = {"type": "mmdet.PackDetInputs", "meta_keys": ("img_id", "ori_shape")}
COCO = {"type": "CocoDataset", "pipeline": [LOAD, BOXES, PACK], "filter_cfg": {"min_size": 8}}
TEST = {"dataset": {"type": "CocoDataset", "pipeline": [LOAD, PACK]}}


def file(name: str = "own", **config: Any) -> MmFile:
    return MmFile(Path(f"{name}.py"), config)


def trained_on(dataset: dict[str, Any], **loader: Any) -> MmFile:
    return file(train_dataloader={"batch_size": 2, "dataset": dataset, **loader}, val_dataloader=TEST)


class TestData:
    def test_stages_are_called_as_ours_or_by_their_type(self) -> None:
        stages = named_stages([LOAD, {"type": "Resize"}, {"type": "RandomCrop"}, {"type": "Resize", "scale": (1, 2)}])
        assert list(stages) == ["load", "resize", "random_crop", "resize_2"]
        assert stages["resize_2"]["scale"] == (1, 2)
        assert stages["load"]["backend_args"] is None

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [("RandomChoiceResize", "random_choice_resize"), ("MinIoURandomCrop", "min_iou_random_crop"), ("Albu", "albu")],
    )
    def test_snake_case(self, name: str, wanted: str) -> None:
        assert snake_case(name) == wanted

    def test_evaluation_has_what_it_asks_for(self) -> None:
        data = read_data(trained_on(COCO))
        assert data is not None
        assert list(data.test) == ["load", "annotations", "pack"]
        assert data.test["pack"]["meta_keys"] == ("img_id", "ori_shape", "img_path", "img_shape", "scale_factor")
        assert data.train["pack"]["meta_keys"] == ("img_id", "ori_shape")
        assert data.filter_cfg == {"min_size": 8}
        assert read_epoch(trained_on(COCO)) == MmEpoch(1, None, 2)

    def test_wrappers_are_undone(self) -> None:
        mixed = {
            "type": "RepeatDataset",
            "times": 3,
            "dataset": {
                "type": "MultiImageMixDataset",
                "pipeline": [{"type": "Mosaic"}, PACK],
                "dataset": {
                    "type": "ConcatDataset",
                    "datasets": [{**COCO, "pipeline": [LOAD]}, {**COCO, "pipeline": [LOAD]}],
                },
            },
        }
        data = read_data(trained_on(mixed))
        assert data is not None
        assert list(data.train) == ["load", "mosaic", "pack"]
        assert read_epoch(trained_on(mixed)) == MmEpoch(3, None, 2)

    def test_rare_classes_are_shown_more_often(self) -> None:
        balanced = {"type": "ClassBalancedDataset", "oversample_thr": 0.01, "dataset": COCO}
        data = read_data(trained_on(balanced))
        assert data is not None
        assert list(data.train) == ["load", "annotations", "pack"]
        assert read_epoch(trained_on(balanced)).balance == {"type": "ClassBalancedDataset", "oversample_thr": 0.01}

    @pytest.mark.parametrize(
        ("dataset", "told"),
        [
            (
                {"type": "CrowdDataset", "dataset": COCO},
                "wrapper of the data set not possible in own.py: Crowd",
            ),
            (
                {"type": "MultiImageMixDataset", "pipeline": [PACK], "dataset": COCO},
                "does not begin with one of Mosaic",
            ),
            (
                {"type": "ConcatDataset", "datasets": [COCO, {**COCO, "pipeline": [LOAD]}]},
                "several pipelines in own.py",
            ),
            ({**COCO, "pipeline": [{"type": "LoadProposals"}]}, "no data for LoadProposals in own.py"),
            ({**COCO, "pipeline": [{**BOXES, "with_seg": True}]}, "wants semantic segmentations (with_seg)"),
        ],
    )
    def test_what_detsweep_has_not(self, dataset: dict[str, Any], told: str) -> None:
        with pytest.raises(UserError) as refused:
            read_data(trained_on(dataset))
        assert told in refused.value.problems[0]

    def test_a_sampler_of_its_own(self) -> None:
        with pytest.raises(UserError, match=r"sampler not possible in own.py: ClassAwareSampler"):
            read_data(trained_on(COCO, sampler={"type": "ClassAwareSampler"}))

    def test_several_data_sets_for_val(self) -> None:
        with pytest.raises(UserError, match=r"no single data set in own.py: val_dataloader"):
            read_data(file(train_dataloader={"dataset": COCO}, val_dataloader=[TEST, TEST]))

    def test_a_part_of_a_config_has_none(self) -> None:
        assert read_data(file()) is None


class TestOptimizer:
    @pytest.mark.parametrize(
        ("name", "auto", "n_each", "wanted"),
        [
            ("rtmdet_tiny_8xb32-300e_coco", 16, 32, 256),  # inherited from a base of 8 x 2
            ("deformable-detr_r50_16xb2-50e_coco", 32, 2, 32),
            ("own", 16, 2, 16),
            ("own", 16, 32, 256),
            ("own", None, 4, 32),
            ("own", 64, 8, 64),
        ],
    )
    def test_the_batch_that_its_rate_is_for(self, name: str, auto: int | None, n_each: int, wanted: int) -> None:
        assert base_batch(file(name, auto_scale_lr={"base_batch_size": auto}), n_each) == wanted

    def test_short_keys_are_followed(self) -> None:
        wrapper = {
            "type": "AmpOptimWrapper",
            "loss_scale": 512.0,
            "accumulative_counts": 4,
            "optimizer": {"type": "AdamW", "lr": 0.004, "betas": (0.9, 0.98), "eps": 1e-6},
            "paramwise_cfg": {"bias_decay_mult": 0},
        }
        read = read_optimizer(file(optim_wrapper=wrapper), 2)
        assert read is not None
        assert read.node == {"name": "adamw", "lr": 0.004, "base_batch_size": 16, "betas": (0.9, 0.98)}
        assert read.wrapper == {
            "clip_grad": None,
            "paramwise_cfg": {"bias_decay_mult": 0},
            "optimizer": {"type": "AdamW", "lr": "${lr_effective}", "betas": "${optimizer.betas}", "eps": 1e-6},
        }

    @pytest.mark.parametrize("optimizer", [None, {"type": "SGD"}, {"generator": {}, "discriminator": {}}])
    def test_several_or_none(self, optimizer: Any) -> None:
        with pytest.raises(UserError, match=r"no single optimizer in own.py: .*; give optimizer=sgd"):
            read_optimizer(file(optim_wrapper={"optimizer": optimizer}), 2)


class TestSchedule:
    def test_epochs_follow_their_number_and_rates_the_rate(self) -> None:
        warm_up = {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 500}
        cosine = {"type": "CosineAnnealingLR", "eta_min": 0.0002, "begin": 150, "end": 300, "T_max": 150}
        steps = {"type": "MultiStepLR", "by_epoch": True, "milestones": [200, 275], "end": 300}
        read = read_schedule(file(train_cfg={"max_epochs": 300}, param_scheduler=[warm_up, cosine, steps]), 1, 0.004)
        assert read is not None
        assert read.n_epochs == 300
        assert read.entries == [
            warm_up,
            {
                **cosine,
                "eta_min": "${in_proportion:0.0002,0.004,${lr_effective}}",
                "begin": "${epoch_of:150,300,${n_epochs}}",
                "end": "${n_epochs}",
                "T_max": "${epoch_of:150,300,${n_epochs}}",
            },
            {**steps, "milestones": "${epochs_of:[200, 275],300,${n_epochs}}", "end": "${n_epochs}"},
        ]

    def test_repeated_data_is_as_many_epochs(self) -> None:
        steps = {"type": "MultiStepLR", "milestones": [8], "end": 12}
        read = read_schedule(file(train_cfg={"max_epochs": 12}, param_scheduler=steps), 3, 0.1)
        assert read is not None
        assert read.n_epochs == 36
        assert read.entries[0]["milestones"] == "${epochs_of:[24],36,${n_epochs}}"

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            (
                {"train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 90000}},
                "IterBasedTrainLoop with max_iters=90000",
            ),
            (
                {"train_cfg": {"max_epochs": 9}, "param_scheduler": {"type": "ReduceOnPlateauLR"}},
                "waits for a validation",
            ),
            (
                {"train_cfg": {"max_epochs": 9}, "param_scheduler": {"type": "MultiStepLR", "by_epoch": False}},
                "MultiStepLR with by_epoch=False",
            ),
        ],
    )
    def test_what_no_other_length_can_follow(self, config: dict[str, Any], told: str) -> None:
        with pytest.raises(UserError) as refused:
            read_schedule(file(**config), 1, 0.1)
        (problem,) = refused.value.problems
        assert told in problem
        assert "give schedule=1x" in problem

    def test_hooks_that_train_are_kept(self) -> None:
        switch = {"type": "PipelineSwitchHook", "switch_epoch": 280, "switch_pipeline": [LOAD]}
        hooks = [{"type": "EMAHook", "momentum": 0.1}, {"type": "CheckInvalidLossHook"}, switch, {"type": "OwnHook"}]
        assert read_hooks(file(custom_hooks=hooks), 300, 1) == {
            "ema": {"type": "EMAHook", "momentum": 0.1},
            "pipeline_switch": {**switch, "switch_epoch": "${epoch_of:280,300,${n_epochs}}"},
            "own": {"type": "OwnHook"},
        }

    def test_numbers(self) -> None:
        assert [epoch_of(150, 300, n) for n in (300, 4, 1)] == [150, 2, 1]
        assert epochs_of([8, 11], 12, 12) == [8, 11]
        assert epochs_of([8, 11], 12, 4) == [3]
        assert epochs_of([200, 275], 300, 12) == [8, 11]
        assert in_proportion(0.0002, 0.004, 0.004) == 0.0002
        assert in_proportion(0.0002, 0.004, 0.002) == pytest.approx(0.0001)
        assert scale_lr(0.004, 16, 256) == 0.00025


MODEL: dict[str, Any] = {
    "backbone": {"frozen_stages": 1, "norm_eval": True, "init_cfg": {"type": "Pretrained", "checkpoint": "x"}},
    "rpn_head": {"num_classes": 1},
    "roi_head": {"bbox_head": [{"num_classes": 80}, {"num_classes": 80}], "mask_head": {"num_classes": 80}},
}


class TestModel:
    def test_classes_follow_the_data_but_those_of_proposals(self) -> None:
        model = with_classes_of_data(MODEL)
        assert [head["num_classes"] for head in model["roi_head"]["bbox_head"]] == ["${count:${dataset.classes}}"] * 2
        assert model["rpn_head"]["num_classes"] == 1

    def test_from_scratch_nothing_is_loaded_or_frozen(self) -> None:
        assert without_pretrained(MODEL)["backbone"] == {"frozen_stages": 1, "norm_eval": True, "init_cfg": None}
        scratch = without_pretrained(MODEL, thawed=True)["backbone"]
        assert scratch == {"frozen_stages": -1, "norm_eval": False, "init_cfg": None}

    def test_heads_that_want_masks(self) -> None:
        assert list(mask_heads(MODEL)) == ["model.roi_head.mask_head"]
