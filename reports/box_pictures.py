"""Draws an image with boxes on it, each with its class and score: labels of a data set, predictions, or both."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageOps, UnidentifiedImageError

from reports.fonts import font_for
from reports.neutral import plain_text
from runners.contract.errors import UserError

# Okabe and Ito's colours, which people with any colour vision tell apart (Nature Methods 8, 441), without black: boxes
# have a black rim. Then the same darker; a colour is never all that tells a class, its name stands at the box.
BRIGHT = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
COLOURS = (*BRIGHT, *((red * 3 // 5, green * 3 // 5, blue * 3 // 5) for red, green, blue in BRIGHT))
RIM = (0, 0, 0)
# Sizes as parts of the picture's longer side, so that a picture of any size reads the same.
LINE_PART, LETTER_PART = 1 / 340, 1 / 58
MIN_LINE_PX, MIN_LETTER_PX = 2, 12
N_LETTERS = 40
TURNED_BY_A_QUARTER = (5, 6, 7, 8)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class DrawnBox:
    """One box to be drawn.

    Attributes:
        xywh: x, y, width, height in pixels of the image as training sees it: original size, turned by its EXIF tag.
        label: the class's name, in any script.
        score: from 0 to 1, of a prediction.
        is_truth: a person's label: drawn thin and dashed, where a prediction is drawn solid.
    """

    xywh: Sequence[float]
    label: str
    score: float | None = None
    is_truth: bool = False


class _Area(NamedTuple):
    """Left, top, right, bottom in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "_Area") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def draw_boxes(
    image: Path, boxes: Sequence[DrawnBox], longest_side_px: int = 1024, classes: Sequence[str] = ()
) -> Image.Image:
    """Return a picture of an image with boxes on it.

    Args:
        image: the file.
        boxes: what to draw; the smaller, the later, so that none hides another.
        longest_side_px: at most this large; a small image is enlarged by a whole factor to come near it.
        classes: all class names: a class has the colour of its place in them. Without, the name decides the colour.

    Returns:
        An RGB picture. A name of which no font of this machine has the letters stands as its number in `classes`
        (``#3``), or as its code points; `reports.fonts.without_font` tells which do.

    Raises:
        UserError: the file cannot be read as an image, or has more pixels than Pillow decodes.
    """
    picture, scale = read_picture(image, longest_side_px)
    draw_on(picture, boxes, scale, classes)
    return picture


def draw_on(picture: Image.Image, boxes: Sequence[DrawnBox], scale: float, classes: Sequence[str] = ()) -> None:
    """Draw boxes on a picture that has been read, or on a part of one.

    Args:
        picture: RGB; it is drawn on.
        boxes: in pixels of the image, from the left top corner of the picture.
        scale: how many pixels of the picture one of the image has become.
        classes: as `draw_boxes`.
    """
    draw = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line_px = max(MIN_LINE_PX, round(longest * LINE_PART))
    letter_px = max(MIN_LETTER_PX, round(longest * LETTER_PART))
    ordered = sorted(boxes, key=lambda box: (not box.is_truth, -box.xywh[2] * box.xywh[3]))
    areas = [_area(box, scale) for box in ordered]
    for box, area in zip(ordered, areas, strict=True):
        _draw_outline(draw, area, class_colour(box.label, classes), line_px, box.is_truth)
    taken: list[_Area] = []
    for box, area in zip(ordered, areas, strict=True):
        taken.append(_draw_label(draw, box, area, letter_px, line_px, classes, taken))


def read_picture(image: Path, longest_side_px: int) -> tuple[Image.Image, float]:
    """Read an image as training sees it: turned by its EXIF tag, three channels.

    Returns:
        The RGB picture, and how many of its pixels one pixel of the image has become.

    Raises:
        UserError: as `draw_boxes`.
    """
    try:
        with Image.open(image) as opened:
            full = opened.size
            # A JPEG file is decoded at a half or less of its size where that is enough.
            opened.draft(None, (longest_side_px, longest_side_px))
            if opened.getexif().get(ExifTags.Base.Orientation, 1) in TURNED_BY_A_QUARTER:
                full = full[1], full[0]
            picture = _rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        raise UserError(f"picture in {image}: not an image; give an image file") from None
    except Image.DecompressionBombError as error:
        raise UserError(f"picture in {image}: too many pixels to be decoded safely ({error}); cut it up") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"picture in {image}: cannot be read ({error}); replace the file") from None
    longest = max(full)
    scale = longest_side_px / longest if longest > longest_side_px else float(longest_side_px // longest)
    size = max(1, round(full[0] * scale)), max(1, round(full[1] * scale))
    # Enlarged pixels stay pixels: nothing is shown that the image does not hold.
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return picture.resize(size, way), scale


def class_colour(label: str, classes: Sequence[str] = ()) -> Colour:
    """Return a class's colour: that of its place in `classes`, or one that its name alone decides."""
    place = classes.index(label) if label in classes else zlib.crc32(label.encode())
    return COLOURS[place % len(COLOURS)]


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits: training takes the upper eight, where Pillow would cut all above 255 off.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _area(box: DrawnBox, scale: float) -> _Area:
    x, y, width, height = (scale * value for value in box.xywh)
    return _Area(x, y, x + width, y + height)


def _draw_outline(draw: ImageDraw.ImageDraw, area: _Area, colour: Colour, line_px: int, is_truth: bool) -> None:
    # Over the rim, which makes it stand out from any ground.
    if is_truth:
        thin = max(1, line_px // 2)
        draw.rectangle(area, outline=RIM, width=thin + 1)
        for start, end in _dashes(area, dash_px=4 * line_px):
            draw.line((start, end), fill=colour, width=thin + 1)
        return
    draw.rectangle((area.left - 1, area.top - 1, area.right + 1, area.bottom + 1), outline=RIM, width=line_px + 2)
    draw.rectangle(area, outline=colour, width=line_px)


def _dashes(area: _Area, dash_px: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the lines of a dashed rectangle: two thirds are line."""
    step, found = dash_px * 1.5, []
    for at in np.arange(area.left, area.right, step):
        end = min(float(at) + dash_px, area.right)
        found += [((float(at), side), (end, side)) for side in (area.top, area.bottom)]
    for at in np.arange(area.top, area.bottom, step):
        end = min(float(at) + dash_px, area.bottom)
        found += [((side, float(at)), (side, end)) for side in (area.left, area.right)]
    return found


def _draw_label(
    draw: ImageDraw.ImageDraw,
    box: DrawnBox,
    area: _Area,
    letter_px: int,
    line_px: int,
    classes: Sequence[str],
    taken: Sequence[_Area],
) -> _Area:
    """Write class and score at a box, beside what is written already where there is room; return where it stands."""
    name = plain_text(box.label)
    name = name if len(name) <= N_LETTERS else f"{name[: N_LETTERS - 1]}…"
    font = font_for(name, letter_px)
    if font is None:
        name = f"#{classes.index(box.label) + 1}" if box.label in classes else _code_points(box.label)
        font = font_for(name, letter_px)
    text = name if box.score is None else f"{name} {box.score:.2f}"
    margin = max(2, letter_px // 5)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    spot = _spot(area, (width, height), draw.im.size, line_px, taken, is_below=box.is_truth)
    colour = class_colour(box.label, classes)
    draw.rectangle(spot, fill=colour, outline=RIM)
    draw.text((spot.left + margin - left, spot.top + margin - top), text, font=font, fill=_ink(colour))
    return spot


def _spot(
    area: _Area,
    size: tuple[float, float],
    picture: tuple[int, int],
    line_px: int,
    taken: Sequence[_Area],
    is_below: bool,
) -> _Area:
    """Return the first free place of a label: above the box, inside it at the top, inside at the bottom, below it."""
    (width, height), (full_width, full_height) = size, picture
    tops = [area.top - height, area.top + line_px, area.bottom - height - line_px, area.bottom]
    # A label of both kinds for one object: the person's stands below, the prediction above.
    tops = tops[::-1] if is_below else tops
    lefts = [area.left, area.right - width]
    spots = [
        _Area(x, y, x + width, y + height)
        for y in (top for top in tops if top >= 0 and top + height <= full_height)
        for x in (min(max(0.0, left), max(0.0, full_width - width)) for left in lefts)
    ]
    if not spots:
        x, y = min(max(0.0, area.left), max(0.0, full_width - width)), min(max(0.0, area.top), full_height - height)
        return _Area(x, y, x + width, y + height)
    return next((spot for spot in spots if not any(spot.overlaps(other) for other in taken)), spots[0])


def _ink(colour: Colour) -> Colour:
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else (255, 255, 255)


def _code_points(label: str) -> str:
    return " ".join(f"U+{ord(letter):04X}" for letter in label[:3]) + ("…" if len(label) > 3 else "")
