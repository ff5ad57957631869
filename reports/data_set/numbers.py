"""Counts a data set: images, boxes, classes and sizes of each split."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.contract.coco import CocoFile
from runners.contract.metrics import Split

# COCO's bins, by a box's area in pixels of the original image: small, medium, large.
SIZES = ("small", "medium", "large")
MEDIUM_FROM, LARGE_FROM = 32**2, 96**2


@dataclass(frozen=True)
class SplitNumbers:
    """What one split holds.

    Attributes:
        n_images: images.
        n_without_box: those without a box; all of them where the split is not labelled.
        n_boxes: boxes that are trained on or scored: neither crowds nor marked to be ignored.
        n_left_out: the others.
        widths, heights: of the images in pixels, each sorted.
        boxes: by class and size bin.
        images: with a box of a class, by class.
        is_labelled: whether there are annotations at all.
    """

    n_images: int
    n_without_box: int
    n_boxes: int
    n_left_out: int
    widths: Sequence[int]
    heights: Sequence[int]
    boxes: Mapping[tuple[str, str], int]
    images: Mapping[str, int]
    is_labelled: bool

    def boxes_of(self, name: str) -> int:
        """Return how many boxes a class has."""
        return sum(self.boxes.get((name, size), 0) for size in SIZES)

    @property
    def median_size(self) -> tuple[int, int]:
        """Width and height in pixels that half of the images exceed."""
        return round(statistics.median(self.widths)), round(statistics.median(self.heights))


def count_split(coco: CocoFile) -> SplitNumbers:
    """Count one split; its records are sound."""
    names = {category["id"]: str(category["name"]) for category in coco.categories}
    used = [box for box in coco.annotations if is_used(box)]
    boxes: Counter[tuple[str, str]] = Counter()
    images: dict[str, set[int]] = defaultdict(set)
    for box in used:
        name = names[box["category_id"]]
        boxes[name, size_of(box)] += 1
        images[name].add(box["image_id"])
    return SplitNumbers(
        n_images=len(coco.images),
        n_without_box=len(coco.images) - len({box["image_id"] for box in used}),
        n_boxes=len(used),
        n_left_out=len(coco.annotations) - len(used),
        widths=sorted(image["width"] for image in coco.images),
        heights=sorted(image["height"] for image in coco.images),
        boxes=boxes,
        images={name: len(ids) for name, ids in images.items()},
        is_labelled=coco.is_labelled,
    )


def is_used(box: Mapping[str, Any]) -> bool:
    """Whether a box is trained on and scored: neither a crowd nor marked to be ignored."""
    return not box.get("iscrowd") and not box.get("ignore")


def size_of(box: Mapping[str, Any]) -> str:
    """Return a box's size bin, by the area that the annotation states, as COCO's metric does it."""
    area = box["area"]
    return SIZES[0] if area < MEDIUM_FROM else SIZES[1] if area < LARGE_FROM else SIZES[2]


Numbers = Mapping[Split, SplitNumbers]
