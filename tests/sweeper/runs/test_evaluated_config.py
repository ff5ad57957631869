"""What may be laid over the config of a run that is evaluated, and what that evaluation is called."""

from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from sweeper.planning.shapes import write_shapes
from sweeper.runs.evaluated_config import check_split, evaluation_name, lay_over

CLASSES = ["square", "circle", "triangle"]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(root, n_train=2, n_val=2, n_test=2, image_px=32, difficulty=0.0, n_classes=3, seed=0)
    return root


@pytest.fixture
def config(shapes: Path) -> dict[str, Any]:
    splits = {name: {"ann_file": f"{name}.json", "image_dir": "images/"} for name in ("train", "val", "test")}
    return {
        "dataset": {"name": "shapes", "root": str(shapes), "classes": CLASSES, **splits},
        "model": {"test_cfg": {"rcnn": {"score_thr": 0.05, "max_per_img": 100}}},
        "pipeline": {"train": {}, "test": {"resize": {"type": "Resize", "scale": [96, 96]}}},
        "optimizer": {"lr": 0.02},
    }


def test_nothing_laid_over_is_the_runs_own_look(config: dict[str, Any], tmp_path: Path) -> None:
    same = lay_over(config, [], "val", tmp_path)
    assert same.config == config
    assert evaluation_name("val", None, same) == "val"
    assert evaluation_name("test", "flip", same) == "test_flip"


def test_values_are_laid_over_and_name_the_evaluation(config: dict[str, Any], tmp_path: Path) -> None:
    lines = ["model.test_cfg.rcnn.score_thr=0.5", "pipeline.test.resize.scale=[64,64]"]
    changed = lay_over(config, lines, "val", tmp_path)
    assert changed.config["model"]["test_cfg"]["rcnn"] == {"score_thr": 0.5, "max_per_img": 100}
    assert changed.config["pipeline"]["test"]["resize"]["scale"] == [64, 64]
    assert config["model"]["test_cfg"]["rcnn"]["score_thr"] == 0.05
    name = evaluation_name("val", "flip", changed)
    assert name.startswith("val_flip_")
    assert name == evaluation_name("val", "flip", lay_over(config, lines[::-1], "val", tmp_path))
    assert name != evaluation_name("val", "flip", lay_over(config, lines[:1], "val", tmp_path))


def test_data_that_has_moved_keeps_its_node(config: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    moved = shapes.rename(shapes.with_name("moved away"))
    try:
        changed = lay_over(config, [f"dataset.root='{moved}'"], "val", tmp_path)
        assert check_split(changed.config, "val").files.ann_file == moved / "val.json"
        assert evaluation_name("val", None, changed) == "val_shapes"
        with pytest.raises(UserError, match=r"annotation file missing in dataset\.val\.ann_file.*dataset\.root=FOLDER"):
            check_split(config, "val")
    finally:
        moved.rename(shapes)


def test_another_data_set_is_composed_from_its_group(config: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    lines = ["dataset=coco", f"dataset.root={shapes}", "dataset.val=null"]
    other = lay_over(config, lines, "test", tmp_path)
    assert other.config["dataset"]["name"] == "coco"
    assert other.config["dataset"]["classes"] == CLASSES
    assert other.dataset == "shapes"  # a folder of one's own is called as it is
    assert check_split(other.config, "test").coco.classes == CLASSES
    with pytest.raises(UserError, match=r"no val split in dataset\.val: null; the data set has train, test"):
        check_split(other.config, "val")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("optimizer.lr=0.1", "the training is over"),
        ("splt=test", "did you mean 'split'?"),
        ("pipeline.train.flip.prob=1", "an evaluation changes dataset, fold, model, pipeline.test"),
        ("model.test_cfg.rcnn.score_thrr=0.1", "did you mean 'model.test_cfg.rcnn.score_thr'?"),
        ("model.test_cfg.rcnn.score_thr=0.1,0.2", "axis in override"),
        ("dataset=nothing", "unknown dataset in override 'dataset=nothing': nothing"),
        ("model.test_cfg=[", "broken override"),
    ],
)
def test_what_an_evaluation_cannot_change_is_refused(
    config: dict[str, Any], tmp_path: Path, line: str, told: str
) -> None:
    with pytest.raises(UserError) as error:
        lay_over(config, [line], "val", tmp_path)
    assert told in str(error.value)


def test_other_classes_are_refused_and_another_order_is_not(config: dict[str, Any]) -> None:
    config["dataset"]["classes"] = CLASSES[::-1]
    assert check_split(config, "val").coco.is_labelled
    config["dataset"]["classes"] = ["square", "circle", "star"]
    with pytest.raises(UserError, match=r"classes differ in .*square, circle, triangle, but .* square, circle, star"):
        check_split(config, "val")
