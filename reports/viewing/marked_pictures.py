"""Pictures of one run on one image: labels dashed, detections solid, and a ring around what is talked about."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from reports.box_pictures import DrawnBox, draw_on, read_picture
from reports.viewing.selection import Item
from reports.viewing.view import View

# A close-up shows so many times the longer side of the box, and no less than so much of the image.
AROUND, LEAST_PX = 4.0, 64
# Further in, pixels are all there is to see.
MAX_SCALE = 16
# A label and a detection stand right at the box; the ring keeps clear of them.
RING_PART, MIN_RING_PX = 1 / 160, 3
RING, RIM = (255, 255, 255), (0, 0, 0)

Area = tuple[float, float, float, float]


def draw_run(
    view: View,
    run: int | None,
    image: int,
    items: Sequence[Item],
    min_score: float,
    longest_side_px: int = 800,
    is_close_up: bool = False,
) -> Image.Image:
    """Return the picture of an image.

    Args:
        view: which holds it.
        run: whose detections are drawn: 0 or 1; None for the labels alone.
        image: its index.
        items: what gets a ring.
        min_score: detections below it are not drawn, 0-1.
        longest_side_px: of the picture, at most.
        is_close_up: show only the surroundings of the first item.

    Raises:
        UserError: the file cannot be read as an image.
    """
    path = view.image_dir / str(view.images[image]["file_name"])
    rings = [item_box(view, item) for item in items]
    picture, scale = read_picture(path, longest_side_px)
    left, top = 0.0, 0.0
    if is_close_up and rings:
        whole = round(max(picture.size) / scale)
        full, full_scale = read_picture(path, whole)
        part = _around(rings[0], full.size, full_scale)
        left, top = part[0] / full_scale, part[1] / full_scale
        picture = full.crop(tuple(round(side) for side in part))  # type: ignore[arg-type]
        enlarged = min(MAX_SCALE, longest_side_px / max(picture.size))
        size = max(1, round(picture.width * enlarged)), max(1, round(picture.height * enlarged))
        picture = picture.resize(size, Image.Resampling.NEAREST if enlarged >= 2 else Image.Resampling.LANCZOS)
        scale = full_scale * enlarged
    for x, y, width, height in rings:
        area = tuple(scale * side for side in (x - left, y - top, x - left + width, y - top + height))
        _draw_ring(picture, area)  # type: ignore[arg-type]
    moved = [_moved(box, left, top) for box in _boxes(view, run, image, min_score)]
    # Over the rings, so that no name is hidden; the name of a box that is out of sight would stand at the edge.
    seen = [box for box in moved if _is_seen(box, picture.width / scale, picture.height / scale)]
    draw_on(picture, seen, scale, view.class_names)
    return picture


def item_box(view: View, item: Item) -> Area:
    """Return xywh of what a finding is about, in original pixels: its detection; of a missed object the label."""
    box = view.runs[item.run].boxes[item.row] if item.row >= 0 else view.labels.boxes[item.object]
    return tuple(float(side) for side in box)  # type: ignore[return-value]


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    """Return a picture as a JPEG file."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return content.getvalue()


def _boxes(view: View, run: int | None, image: int, min_score: float) -> list[DrawnBox]:
    names, labels = view.class_names, view.labels
    boxes = [
        DrawnBox(labels.boxes[at].tolist(), names[labels.class_index[at]], is_truth=True) for at in view.objects(image)
    ]
    if run is not None:
        viewed = view.runs[run]
        findings = viewed.findings
        boxes += [
            DrawnBox(viewed.boxes[row].tolist(), names[findings.detected_class[row]], float(findings.score[row]))
            for row in viewed.rows(image)
            if findings.score[row] >= min_score
        ]
    return boxes


def _moved(box: DrawnBox, left: float, top: float) -> DrawnBox:
    x, y, width, height = box.xywh
    return DrawnBox((x - left, y - top, width, height), box.label, box.score, box.is_truth)


def _is_seen(box: DrawnBox, width: float, height: float) -> bool:
    x, y, box_width, box_height = box.xywh
    return x < width and y < height and x + box_width > 0 and y + box_height > 0


def _around(box: Area, size: tuple[int, int], scale: float) -> Area:
    """Return left, top, right, bottom of a box's surroundings, in pixels of a picture of the whole image."""
    x, y, width, height = (scale * side for side in box)
    side = max(AROUND * max(width, height), LEAST_PX * scale)
    spans = []
    for middle, length in ((x + width / 2, size[0]), (y + height / 2, size[1])):
        start = min(max(0.0, middle - side / 2), max(0.0, length - side))
        spans.append((start, min(float(length), start + side)))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def _draw_ring(picture: Image.Image, area: Area) -> None:
    draw = ImageDraw.Draw(picture)
    width = max(MIN_RING_PX, round(max(picture.size) * RING_PART))
    left, top, right, bottom = area
    gap = 2 * width
    for colour, wider in ((RIM, 1), (RING, 0)):
        corners = (left - gap - wider, top - gap - wider, right + gap + wider, bottom + gap + wider)
        draw.rounded_rectangle(corners, radius=2 * gap, outline=colour, width=width + 2 * wider)
