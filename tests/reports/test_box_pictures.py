"""Pictures with boxes: where a box stands, how it looks, what names it, and which files are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.box_pictures import COLOURS, DrawnBox, class_colour, draw_boxes
from reports.fonts import font_for, without_font
from runners.contract.errors import UserError

GREY = (128, 128, 128)
# Of the first supplementary private-use plane: no font has a letter there.
NOWHERE = "\U000fabcd"


def write_image(path: Path, size: tuple[int, int], orientation: int = 1) -> Path:
    image = Image.new("RGB", size, GREY)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, quality=95)
    return path


def colour_counts(picture: Image.Image) -> dict[tuple[int, ...], int]:
    colours = picture.getcolors(1 << 24)
    assert colours is not None
    return {colour: n for n, colour in colours if isinstance(colour, tuple)}


def touched(picture: Image.Image) -> tuple[int, int, int, int]:
    """Return the left, top, right and bottom of what is coloured as the first class."""
    found = np.argwhere((np.asarray(picture) == COLOURS[0]).all(axis=2))
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0)
    return int(left), int(top), int(right), int(bottom)


def test_a_box_stands_where_it_is_said_to_in_a_shrunk_picture(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (2000, 1000))
    picture = draw_boxes(image, [DrawnBox([400, 600, 800, 200], "can")], 500, ["can"])
    assert picture.size == (500, 250)
    left, _, right, bottom = touched(picture)
    assert (left, right, bottom) == pytest.approx((100, 300, 200), abs=2)


def test_a_small_image_is_enlarged_by_a_whole_factor(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (96, 60))
    picture = draw_boxes(image, [DrawnBox([48, 30, 24, 20], "can")], 500, ["can"])
    assert picture.size == (480, 300)
    left, _, right, bottom = touched(picture)
    assert (left, right, bottom) == pytest.approx((240, 360, 250), abs=2)


@pytest.mark.parametrize(("orientation", "size"), [(1, (640, 320)), (3, (640, 320)), (6, (320, 640)), (8, (320, 640))])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_image_is_turned_as_training_turns_it(
    tmp_path: Path, orientation: int, size: tuple[int, int], suffix: str
) -> None:
    import cv2

    image = Image.new("RGB", (1280, 640), GREY)
    image.paste((250, 0, 0), (0, 0, 640, 320))  # the quarter that tells how it lies
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif)
    picture = draw_boxes(path, [], 640)
    assert picture.size == size
    trained_on = cv2.resize(cv2.imread(str(path), cv2.IMREAD_COLOR), size)[:, :, ::-1]
    assert np.abs(np.asarray(picture).astype(int) - trained_on).mean() < 2


def test_truth_and_prediction_are_told_apart(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (600, 600))
    box = [200, 200, 200, 200]
    drawn = [
        colour_counts(draw_boxes(image, [DrawnBox(box, "", score, is_truth)], 600))
        for score, is_truth in ((None, True), (0.5, False))
    ]
    colour = class_colour("")
    truth, prediction = (counts[colour] for counts in drawn)
    assert truth < 0.9 * prediction


def test_lines_and_letters_grow_with_the_picture(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (2400, 2400))
    boxes = [DrawnBox([600, 600, 1200, 1200], "can", 0.5)]
    small, large = (colour_counts(draw_boxes(image, boxes, side, ["can"]))[COLOURS[0]] for side in (600, 2400))
    # The outline alone would give four times as much: its length grows, its width too.
    assert large / small > 8


def test_a_class_has_the_colour_of_its_place_and_the_same_everywhere() -> None:
    classes = ["a", "b", "c", "d", "e", "f", "g", "h"]
    colours = [class_colour(name, classes) for name in classes]
    assert len(set(colours)) == len(classes)
    assert class_colour("can") == class_colour("can")


@pytest.mark.parametrize("name", ["glass", "Бумага", "verre brisé"])
def test_a_name_is_written_in_its_script(name: str) -> None:
    if without_font([name]):
        pytest.skip("no font of this machine has these letters")
    assert font_for(name, 20) is not None


def test_a_name_without_a_font_stands_as_its_number(tmp_path: Path) -> None:
    assert without_font(["glass", NOWHERE]) == [NOWHERE]
    image = write_image(tmp_path / "a.png", (300, 300))
    classes = ["glass", NOWHERE]
    box = [50, 50, 100, 100]
    told, number = (draw_boxes(image, [DrawnBox(box, name)], 300, [*classes, "#2"]) for name in (NOWHERE, "#2"))
    own, other = (np.asarray(picture)[30:48, 50:80] for picture in (told, number))
    # The same letters: only the ground differs, by the colour of the class.
    assert ((own == 0).all(axis=2) == (other == 0).all(axis=2)).mean() > 0.9
    draw_boxes(image, [DrawnBox(box, NOWHERE, 0.25)], 300)  # and without a list of classes as its code points


def test_a_box_beyond_the_border_and_one_of_no_size_are_drawn(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (300, 200))
    boxes = [DrawnBox(xywh, "can") for xywh in ([-50, -50, 5000, 5000], [299, 199, 0, 0], [10, 10, 0.2, 90])]
    assert draw_boxes(image, boxes, 300).size == (300, 200)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_no_image_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^picture in .*a\.jpg: "):
        draw_boxes(path, [])


def test_an_image_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_image(tmp_path / "a.png", (300, 300))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.raises(UserError, match="too many pixels"):
        draw_boxes(path, [])


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((64, 64), 0x8000, dtype=np.uint16)).save(path)
    assert set(colour_counts(draw_boxes(path, [], 64))) == {(0x80, 0x80, 0x80)}
