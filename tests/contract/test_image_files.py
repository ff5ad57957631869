"""Image files as training would see them."""

import os
from pathlib import Path

import pytest
from PIL import Image

from runners.contract.image_files import read_header
from tests.contract.sample_set import SampleSet, check_dataset


def test_a_sound_image_of_each_usual_format(tmp_path: Path) -> None:
    for ending in ("jpg", "png", "bmp", "tiff", "webp"):
        path = tmp_path / f"a.{ending}"
        Image.effect_noise((40, 30), 50).convert("RGB").save(path)
        assert read_header(path) == ("", 40, 30, 1)


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_found_out(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"a.{ending}"
    Image.effect_noise((64, 64), 50).convert("RGB").save(path)
    os.truncate(path, int(path.stat().st_size * share))
    assert read_header(path).fault


def test_bytes_behind_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 50).convert("RGB").save(path)
    path.write_bytes(path.read_bytes() + bytes(500))
    assert read_header(path).fault == ""


def test_what_is_no_image(tmp_path: Path) -> None:
    empty, text, folder = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg"
    empty.touch()
    text.write_text("<html>not found</html>")
    folder.mkdir()
    assert [read_header(path).fault for path in (empty, text, folder, tmp_path / "d.jpg")] == [
        "0 bytes",
        "not an image",
        "missing",
        "missing",
    ]


def test_an_exif_rotation_turns_the_size_as_training_does(sample: SampleSet) -> None:
    cv2 = pytest.importorskip("cv2")
    path = sample.save_as_jpeg(size=(80, 48), orientation=6)
    header = read_header(path)
    assert (header.width, header.height) == (48, 80)
    # mmcv reads with this flag of OpenCV's.
    assert cv2.imread(str(path), cv2.IMREAD_COLOR).shape[:2] == (header.height, header.width)


def test_an_exif_rotation_that_the_annotations_ignore_is_a_problem(sample: SampleSet) -> None:
    sample.save_as_jpeg(size=(80, 48), orientation=6)
    sample.edit("train", lambda coco: coco["images"][0].update(file_name="photo.jpg", width=80, height=48))
    (problem,) = check_dataset(sample.node).problems
    assert "photo.jpg: JSON 80x48, file 48x80 after its EXIF rotation" in problem


def test_a_half_turn_is_a_warning_for_no_size_can_tell(sample: SampleSet) -> None:
    sample.save_as_jpeg(orientation=3)
    sample.edit("train", lambda coco: coco["images"][0].update(file_name="photo.jpg"))
    problems, (warning,) = check_dataset(sample.node)
    assert problems == []
    assert "photo.jpg" in warning


def test_missing_and_broken_images_are_counted_and_five_are_named(sample: SampleSet) -> None:
    for number in range(6):
        sample.image(number=number).unlink()
    sample.image(number=6).write_bytes(b"")
    os.truncate(sample.image(number=7), 1000)
    missing, broken = check_dataset(sample.node).problems
    assert "6 of 8 images (train_00000.png, train_00001.png" in missing
    assert "train_00004.png, ...)" in missing
    assert "2 of 8 images (train_00006.png: 0 bytes, train_00007.png: damaged" in broken
