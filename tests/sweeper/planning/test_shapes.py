"""The generated data set."""

import hashlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runners.contract.coco import read_coco
from runners.contract.errors import UserError
from sweeper.planning.shapes import SHAPES, shapes_root, write_shapes
from tests.contract.sample_set import SampleSet, check_dataset

SMALL: dict[str, Any] = {"n_train": 6, "n_val": 2, "n_test": 2, "image_px": 64}


def digest(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("difficulty", [0, 0.5, 1.0])
@pytest.mark.parametrize("image_px", [32, 160])
def test_a_set_of_any_difficulty_and_size_is_sound(tmp_path: Path, difficulty: float, image_px: int) -> None:
    root = write_shapes(tmp_path / "shapes", n_train=8, n_val=3, n_test=3, image_px=image_px, difficulty=difficulty)
    assert check_dataset(SampleSet(root).node) == ([], [])
    assert [len(read_coco(root / f"{split}.json").images) for split in ("train", "val", "test")] == [8, 3, 3]


def test_the_same_parameters_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = (digest(write_shapes(tmp_path / name, **SMALL)) for name in ("a", "b"))
    assert one == two
    assert digest(write_shapes(tmp_path / "c", **SMALL, seed=1)) != one


def test_more_images_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    few, many = (write_shapes(tmp_path / str(n), **{**SMALL, "n_train": n}) for n in (6, 9))
    name = "images/train_00005.png"
    assert (few / name).read_bytes() == (many / name).read_bytes()


def test_boxes_lie_tight_on_what_was_drawn(tmp_path: Path) -> None:
    root = write_shapes(tmp_path / "a", n_train=20, n_val=1, n_test=1, difficulty=0.0, n_classes=len(SHAPES))
    coco = read_coco(root / "train.json")
    for image in coco.images:
        # On easy images the background is darker than every shape.
        bright = np.asarray(Image.open(root / "images" / image["file_name"])).max(axis=2) > 110
        drawn = np.zeros_like(bright)
        for box in (box for box in coco.annotations if box["image_id"] == image["id"]):
            x, y, width, height = box["bbox"]
            inside = bright[y : y + height, x : x + width]
            assert inside.any(axis=0).mean() > 0.9, "columns of the box without a drawn pixel"
            assert inside.any(axis=1).mean() > 0.9, "rows of the box without a drawn pixel"
            drawn[y : y + height, x : x + width] = True
        assert bright[~drawn].mean() < 0.001


def test_difficulty_makes_objects_smaller_and_contrast_fainter(tmp_path: Path) -> None:
    areas = []
    for difficulty in (0.0, 1.0):
        root = write_shapes(tmp_path / str(difficulty), n_train=30, n_val=1, n_test=1, difficulty=difficulty)
        areas.append(np.median([box["area"] for box in read_coco(root / "train.json").annotations]))
    assert areas[1] < areas[0] / 2


def test_every_class_occurs(tmp_path: Path) -> None:
    coco = read_coco(write_shapes(tmp_path / "a", **{**SMALL, "n_train": 60}, n_classes=8) / "train.json")
    assert {box["category_id"] for box in coco.annotations} == {category["id"] for category in coco.categories}
    assert coco.classes == list(SHAPES)


def test_written_once(tmp_path: Path) -> None:
    root = write_shapes(tmp_path / "a", **SMALL)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_shapes(root, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_several_processes_at_once_leave_one_whole_set(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        roots = list(pool.map(partial(write_shapes, **SMALL), [tmp_path / "a"] * 3))
    assert set(roots) == {tmp_path / "a"}
    assert digest(roots[0]) == digest(write_shapes(tmp_path / "alone", **SMALL))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "alone"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "precious.txt").touch()
    with pytest.raises(UserError, match=r"folder in the way in dataset.root: .* holds other files"):
        write_shapes(tmp_path / "a", **SMALL)
    write_shapes(tmp_path / "b", **SMALL)
    with pytest.raises(UserError, match="made with other parameters"):
        write_shapes(tmp_path / "b", **SMALL, seed=1)


def test_the_default_folder_tells_the_parameters_apart(tmp_path: Path) -> None:
    one, two = shapes_root(tmp_path, SMALL), shapes_root(tmp_path, {**SMALL, "seed": 1})
    assert one.parent == two.parent == tmp_path / "data"
    assert one != two
    assert shapes_root(tmp_path, {**SMALL, "difficulty": 0.2}) == one, "a default that is written out is the same set"


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"n_train": 0}, "value out of range in dataset.shapes.n_train: 0"),
        ({"n_classes": 9}, "dataset.shapes.n_classes: 9; a whole number from 1 to 8"),
        ({"difficulty": 1.5}, "dataset.shapes.difficulty: 1.5; a number from 0 to 1"),
        ({"image_px": 64.5}, "dataset.shapes.image_px: 64.5; a whole number"),
        ({"n_trian": 3}, "unknown setting in dataset.shapes: n_trian; choices: n_train"),
    ],
)
def test_wrong_parameters(tmp_path: Path, params: dict[str, object], told: str) -> None:
    with pytest.raises(UserError) as refused:
        write_shapes(tmp_path / "a", **params)
    assert told in str(refused.value)
    assert not list(tmp_path.iterdir())
