"""What in a data set looks wrong, though it can be trained on: a person has to look."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.data_set.likeness import find_alike, read_looks
from reports.data_set.numbers import Numbers, is_used
from runners.contract.coco import CocoFile, SplitFiles
from runners.contract.coco_check import SplitContents
from runners.contract.metrics import Split

# A box is tiny if it is thinner once the image has the size that is trained on.
TINY_PX = 4.0
# A box is huge if it covers more of its image.
HUGE_PART = 0.95
# Two boxes of one image are the same above this overlap.
SAME_IOU = 0.9
# A class with fewer boxes in train can hardly be learnt, one with fewer in val or test hardly be measured.
FEW_BOXES = {"train": 20, "val": 5, "test": 5}

# Of a group of images that are the same.
N_NAMED = 4

Record = Mapping[str, Any]


@dataclass(frozen=True)
class SeenImage:
    """An image that a suspect is about.

    Attributes:
        split: where it is.
        image: its record.
        boxes: those of its boxes that are meant; empty: the image as a whole.
    """

    split: Split
    image: Record
    boxes: Sequence[Record] = ()


@dataclass(frozen=True)
class Suspect:
    """One thing to look at.

    Attributes:
        text: what it is, in a line.
        images: what to look at; empty where there is nothing to see.
    """

    text: str
    images: Sequence[SeenImage] = ()


@dataclass(frozen=True)
class SuspectKind:
    """All suspects of one kind.

    Attributes:
        name: short and plain.
        title: its heading.
        meaning: what it does to training or to scores; a sentence but for its capital.
        suspects: at least one.
    """

    name: str
    title: str
    meaning: str
    suspects: Sequence[Suspect]


def find_suspects(contents: SplitContents, numbers: Numbers, input_scale: tuple[int, int]) -> list[SuspectKind]:
    """Return what looks wrong, the worst kind first.

    Args:
        contents: the splits, their records sound.
        numbers: of the same.
        input_scale: longest and shorter side that images are resized to, in pixels.
    """
    across, within = _same_images(contents)
    found: dict[str, list[Suspect]] = {"across": across, "within": within}
    for name, is_suspect in _BOX_KINDS.items():
        found[name] = [
            Suspect(f"{split}: {image['file_name']}, {_describe(box, coco)}", [SeenImage(split, image, [box])])
            for split, coco, image, box in _boxes(contents)
            if is_suspect(box, image, input_scale)
        ]
    found |= _same_boxes(contents)
    found["without-box"] = [
        Suspect(f"{split}: {image['file_name']}", [SeenImage(split, image)])
        for split, (_, coco) in contents.items()
        if coco.is_labelled
        for image in _without_box(coco)
    ]
    found["classes"] = [Suspect(text) for text in _rare_classes(contents, numbers)]
    found["ids"] = [Suspect(text) for text in _odd_ids(contents)]
    return [SuspectKind(name, *_WORDS[name], found[name]) for name in _WORDS if found[name]]


# Heading and meaning of each kind, in the order in which they are told.
_WORDS: Mapping[str, tuple[str, str]] = {
    "across": (
        "Same image in two splits",
        "a model is tested on what it was trained on: scores are too good; take copies out, or group_by their source.",
    ),
    "within": ("Same image twice in a split", "it counts twice, and its labels may disagree."),
    "beyond": ("Box beyond the image's border", "only the part inside is used; the sizes or the turn may be wrong."),
    "tiny": (
        f"Tiny box, under {TINY_PX:g} px at the size that is trained on",
        "hardly learnable; below 1 px in the original it is dropped. A larger image_size, or a slip of the mouse?",
    ),
    "huge": (f"Huge box, over {HUGE_PART:.0%} of its image", "a label of the whole image, or a slip of the mouse?"),
    "doubled": ("Same box twice", "one of two right answers counts as wrong."),
    "two-classes": ("Same box under two classes", "whatever is predicted, half of it is wrong."),
    "without-box": (
        "Image without a box",
        "left out of training (filter_cfg.filter_empty_gt); in val and test whatever is found in it is wrong.",
    ),
    "classes": (
        "Rare or absent class",
        "its score is decided by chance, and it weighs as much as any other in the mean.",
    ),
    "ids": ("Odd id", "other programs stumble over it; detsweep does not."),
}


def _is_beyond(box: Record, image: Record, _: tuple[int, int]) -> bool:
    x, y, width, height = box["bbox"]
    # Rounding to a pixel is common in such files.
    return bool(min(x, y) < -1 or x + width > image["width"] + 1 or y + height > image["height"] + 1)


def _is_tiny(box: Record, image: Record, input_scale: tuple[int, int]) -> bool:
    sides = image["width"], image["height"]
    factor = min(max(input_scale) / max(sides), min(input_scale) / min(sides))
    # An image that is enlarged makes nothing easier to see.
    return bool(min(box["bbox"][2:]) * min(factor, 1.0) < TINY_PX)


def _is_huge(box: Record, image: Record, _: tuple[int, int]) -> bool:
    return bool(box["bbox"][2] * box["bbox"][3] > HUGE_PART * image["width"] * image["height"])


_BOX_KINDS: Mapping[str, Callable[[Record, Record, tuple[int, int]], bool]] = {
    "beyond": _is_beyond,
    "tiny": _is_tiny,
    "huge": _is_huge,
}


def _boxes(contents: SplitContents) -> Iterator[tuple[Split, CocoFile, Record, Record]]:
    for split, (_, coco) in contents.items():
        images = {image["id"]: image for image in coco.images}
        yield from ((split, coco, images[box["image_id"]], box) for box in coco.annotations if is_used(box))


def _describe(box: Record, coco: CocoFile) -> str:
    name = next(category["name"] for category in coco.categories if category["id"] == box["category_id"])
    return f"{name} {box['bbox'][2]:g} x {box['bbox'][3]:g} px (id {box['id']})"


def _same_images(contents: SplitContents) -> tuple[list[Suspect], list[Suspect]]:
    """Return groups of images that show the same: those over several splits, and those within one."""
    seen: list[tuple[SeenImage, SplitFiles]] = [
        (SeenImage(split, image), files) for split, (files, coco) in contents.items() for image in coco.images
    ]
    paths = [files.image_path(entry.image) for entry, files in seen]
    across: list[Suspect] = []
    within: list[Suspect] = []
    for alike in find_alike(paths, read_looks(paths)):
        images = [seen[place][0] for place in alike.places]
        splits = list(dict.fromkeys(image.split for image in images))
        how = "the same file" if alike.is_same_file else "nearly the same picture"
        # The first of each split are always among those that are named.
        named = sorted(images, key=lambda image: image is not _first_of(image.split, images))[:N_NAMED]
        names = " = ".join(f"{image.split}: {image.image['file_name']}" for image in named)
        names += f" and {len(images) - N_NAMED} more" if len(images) > N_NAMED else ""
        (across if len(splits) > 1 else within).append(Suspect(f"{names} ({how})", images))
    return across, within


def _first_of(split: Split, images: Sequence[SeenImage]) -> SeenImage:
    return next(image for image in images if image.split == split)


def _same_boxes(contents: SplitContents) -> dict[str, list[Suspect]]:
    found: dict[str, list[Suspect]] = {"doubled": [], "two-classes": []}
    for split, (_, coco) in contents.items():
        by_image: dict[int, list[Record]] = defaultdict(list)
        for box in filter(is_used, coco.annotations):
            by_image[box["image_id"]].append(box)
        for image in coco.images:
            boxes = by_image[image["id"]]
            for one, other in _overlapping(boxes):
                kind = "doubled" if boxes[one]["category_id"] == boxes[other]["category_id"] else "two-classes"
                text = " and ".join(_describe(boxes[number], coco) for number in (one, other))
                pair = [boxes[one], boxes[other]]
                found[kind].append(Suspect(f"{split}: {image['file_name']}, {text}", [SeenImage(split, image, pair)]))
    return found


def _overlapping(boxes: Sequence[Record]) -> list[tuple[int, int]]:
    """Return the pairs of boxes that are the same but for a hand's shaking."""
    if len(boxes) < 2:
        return []
    corners = np.array([box["bbox"] for box in boxes], dtype=np.float64)
    areas = corners[:, 2] * corners[:, 3]
    corners[:, 2:] += corners[:, :2]
    low: npt.NDArray[np.float64] = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high: npt.NDArray[np.float64] = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    overlaps = shared / (areas[:, None] + areas[None, :] - shared)
    return [(int(one), int(other)) for one, other in np.argwhere(np.triu(overlaps > SAME_IOU, 1))]


def _without_box(coco: CocoFile) -> list[Record]:
    labelled = {box["image_id"] for box in coco.annotations if is_used(box)}
    return [image for image in coco.images if image["id"] not in labelled]


def _rare_classes(contents: SplitContents, numbers: Numbers) -> Iterator[str]:
    for split, (_, coco) in contents.items():
        if not coco.is_labelled:
            continue
        for name in map(str, coco.classes):
            n_boxes = numbers[split].boxes_of(name)
            if n_boxes < FEW_BOXES[split]:
                boxes = "1 box" if n_boxes == 1 else f"{n_boxes or 'no'} boxes"
                yield f"{split}: {name} has {boxes}"


def _odd_ids(contents: SplitContents) -> Iterator[str]:
    for split, (_, coco) in contents.items():
        if any(box["id"] == 0 for box in coco.annotations):
            yield f"{split}: annotation id 0, which COCO's own evaluation takes for no match; number them from 1"
