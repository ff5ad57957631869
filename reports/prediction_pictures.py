"""Writes the pictures of what a detector found: each image with its boxes, as a JPEG file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.box_pictures import DrawnBox, draw_boxes
from runners.contract.coco import CocoFile
from runners.contract.errors import UserError

_QUALITY = 90


def write_pictures(
    detections: Sequence[Mapping[str, Any]],
    coco: CocoFile,
    folder: Path,
    score: float,
    out: Path,
    advance: Callable[[int, int], None],
) -> tuple[list[Path], dict[str, str]]:
    """Write one picture for each image; older ones of the same name are replaced.

    Args:
        detections: COCO results with the ids of `coco`.
        coco: images and categories; where it has labels, they are drawn as well.
        folder: of the images, where their file names are relative.
        score: what is found with less is not drawn.
        out: made if missing.
        advance: called before each picture with its number (from 1) and how many there are.

    Returns:
        The pictures, and why an image that is not among them could not be drawn, by its name.
    """
    names = {category["id"]: str(category["name"]) for category in coco.categories}
    boxes: dict[Any, list[DrawnBox]] = {image["id"]: [] for image in coco.images}
    for truth in coco.annotations:
        boxes[truth["image_id"]].append(DrawnBox(truth["bbox"], names[truth["category_id"]], is_truth=True))
    for found in detections:
        if found["score"] >= score:
            boxes[found["image_id"]].append(DrawnBox(found["bbox"], names[found["category_id"]], found["score"]))
    out.mkdir(parents=True, exist_ok=True)
    written: dict[Path, None] = {}
    problems: dict[str, str] = {}
    for number, image in enumerate(coco.images, start=1):
        advance(number, len(coco.images))
        name = str(image["file_name"])
        path = out / f"{Path(name).stem}.jpg"
        if path in written:  # of another folder
            path = out / f"{Path(name).stem}_{image['id']}.jpg"
        try:
            draw_boxes(folder / name, boxes[image["id"]], classes=list(names.values())).save(path, quality=_QUALITY)
        except UserError as error:
            problems[name] = str(error)
            continue
        written[path] = None
    return list(written), problems
