"""Small COCO releases as teams have them: files of labels, and folders of images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image


def write_images(folder: Path, names: Sequence[str]) -> None:
    """Write images of 64 x 48 pixels."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), (90, 120, 30)).save(path)


def write_labels(
    path: Path, names: Sequence[str], has_boxes: bool = True, classes: Sequence[str] = ("can", "cup")
) -> Path:
    """Write an annotation file; images take the classes in turn."""
    content: dict[str, Any] = {
        "images": [{"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(classes)],
    }
    if has_boxes:
        content["annotations"] = [
            {"id": n, "image_id": n, "category_id": n % len(classes), "bbox": [4, 4, 20, 12], "area": 240, "iscrowd": 0}
            for n in range(len(names))
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_release(folder: Path, n_train: int = 10, n_test: int = 3) -> Path:
    """Write what a competition hands out: a labelled train.json, a test.json without boxes, one folder of images."""
    train, test = [f"{n:03}.jpg" for n in range(n_train)], [f"t{n:03}.jpg" for n in range(n_test)]
    write_images(folder / "images", [*train, *test])
    write_labels(folder / "train.json", train)
    write_labels(folder / "test.json", test, has_boxes=False)
    return folder
