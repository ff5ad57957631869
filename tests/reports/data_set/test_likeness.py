"""Images that are the same or nearly, and those that only look a little alike."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from reports.data_set import likeness
from reports.data_set.likeness import Alike, find_alike, read_look, read_looks


def write_picture(path: Path, seed: int) -> Path:
    """Write a picture with soft shapes in it, as photographs have."""
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    soft = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
    soft.filter(ImageFilter.GaussianBlur(2)).save(path, quality=92)
    return path


def alike(paths: Sequence[Path]) -> list[Alike]:
    return find_alike(paths, read_looks(paths))


def test_different_pictures_are_not_alike(tmp_path: Path) -> None:
    assert alike([write_picture(tmp_path / f"{seed}.jpg", seed) for seed in range(40)]) == []


def test_the_same_bytes_are_the_same_file_under_any_name(tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{seed}.jpg", seed) for seed in range(3)]
    copy = tmp_path / "copy.jpg"
    shutil.copy(paths[1], copy)
    assert alike([*paths, copy]) == [Alike((1, 3), True)]


def test_another_size_compression_or_brightness_is_nearly_the_same(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", 1)
    other = write_picture(tmp_path / "b.jpg", 2)
    with Image.open(path) as image:
        image.save(tmp_path / "worse.jpg", quality=50)
        image.resize((200, 150)).save(tmp_path / "smaller.png")
        image.point(lambda level: min(255, level + 3)).save(tmp_path / "brighter.png")
    paths = [path, other, *(tmp_path / name for name in ("worse.jpg", "smaller.png", "brighter.png"))]
    assert alike(paths) == [Alike((0, 2, 3, 4), False)]


def test_an_image_turned_by_its_tag_is_like_the_upright_one(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", 1)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter when it is shown
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=92)
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.jpg", quality=92)
    assert alike([path, tmp_path / "turned.jpg", tmp_path / "lying.jpg"]) == [Alike((0, 1), False)]


def test_plain_pictures_are_the_same_only_in_every_byte(tmp_path: Path) -> None:
    for name, grey in (("a", 10), ("b", 10), ("c", 200)):
        Image.new("RGB", (64, 64), (grey,) * 3).save(tmp_path / f"{name}.png")
    assert alike([tmp_path / f"{name}.png" for name in "abc"]) == [Alike((0, 1), True)]


def test_what_cannot_be_read_is_like_nothing(tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / "a.jpg", 1), tmp_path / "missing.jpg", tmp_path / "text.jpg"]
    paths[2].write_text("no image", encoding="utf-8")
    assert read_looks(paths)[1:] == [None, None]
    assert alike(paths) == []


def test_many_images_are_read_by_several_processes_with_the_same_result(tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{seed}.jpg", seed) for seed in range(6)] * 40
    assert len(paths) >= likeness.N_FOR_PROCESSES
    looks = read_looks(paths)
    assert looks == [read_look(path) for path in paths[:6]] * 40
    assert [len(group.places) for group in find_alike(paths, looks)] == [40] * 6
