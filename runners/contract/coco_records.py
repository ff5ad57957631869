"""What can be wrong inside one annotation file: ids, categories, boxes. MMDetection drops most of it without a word."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from runners.contract.coco import CocoFile
from runners.contract.findings import Findings, count, examples, no_findings

# MMDetection's own training filter: smaller images, and images without a box, are not trained on.
SMALLEST_IMAGE_PX = 32

Record = Mapping[str, Any]


def check_records(coco: CocoFile) -> Findings:
    """Check the image, category and annotation records of one file against each other; opens no image."""
    found = Findings([*_category_problems(coco), *_image_problems(coco)], [])
    if not found.problems:  # the boxes are judged by the images and categories they point to
        found.add(_check_annotations(coco))
    return found


def check_trainable(coco: CocoFile) -> Findings:
    """Check that boxes are left once MMDetection's training filter has dropped what it drops; needs sound records."""
    large = {image["id"] for image in coco.images if min(image["width"], image["height"]) >= SMALLEST_IMAGE_PX}
    filters: list[tuple[str, Callable[[Record], bool]]] = [
        ("not marked 'ignore'", lambda box: not box.get("ignore")),
        ("not a crowd", lambda box: not box.get("iscrowd")),
        ("at least 1 px wide and high", lambda box: min(box["bbox"][2:]) >= 1),
        (f"in an image of at least {SMALLEST_IMAGE_PX} px", lambda box: box["image_id"] in large),
    ]
    left: list[dict[str, Any]] = coco.annotations
    steps = [count(len(left), "annotation")]
    for name, keeps in filters:
        left = [annotation for annotation in left if keeps(annotation)]
        steps.append(f"{len(left)} {name}")
    if not left:
        return Findings([f"no box to train on in {coco.path}: {', '.join(steps)}; label the training images"], [])
    n_unused = len(coco.images) - len({annotation["image_id"] for annotation in left})
    if not n_unused:
        return no_findings()
    of = count(len(coco.images), "training image")
    return Findings([], [f"{n_unused} of {of} in {coco.path} hold no usable box and are not trained on"])


def _category_problems(coco: CocoFile) -> list[str]:
    problems, path = [], coco.path
    if not coco.categories:
        return [f"no category in {path}: 'categories' is empty; list the classes there"]
    problems += _id_problems(coco.categories, "category", coco)
    unnamed = [category["id"] for category in coco.categories if not _is_text(category["name"])]
    if unnamed:
        problems.append(f"category without a name in {path}: ids {examples(unnamed)}; a name is text and not empty")
    else:
        twice = _repeated(coco.classes)
        if twice:
            problems.append(f"category name used twice in {path}: {examples(map(repr, twice))}; rename or merge them")
    return problems


def _image_problems(coco: CocoFile) -> list[str]:
    problems, path = [], coco.path
    if not coco.images:
        return [f"empty split in {path}: no images; give at least one"]
    problems += _id_problems(coco.images, "image", coco)
    unsized = [
        image["id"] for image in coco.images if not (_is_whole(image["width"]) and _is_whole(image["height"]))
    ] or [image["id"] for image in coco.images if image["width"] <= 0 or image["height"] <= 0]
    if unsized:
        problems.append(
            f"image size broken in {path}: {count(len(unsized), 'image')} (ids {examples(unsized)}); "
            "width and height are whole numbers of pixels above 0"
        )
    unnamed = [image["id"] for image in coco.images if not _is_text(image["file_name"])]
    if unnamed:
        problems.append(f"file_name broken in {path}: image ids {examples(unnamed)}; give each image a file name")
    leaving = [image["file_name"] for image in coco.images if _leaves_folder(image["file_name"])]
    if leaving:
        problems.append(
            f"file_name leaves the image folder in {path}: {count(len(leaving), 'image')} ({examples(leaving)}); "
            "give names relative to image_dir, without a leading / and without .. beyond it"
        )
    return problems


def _check_annotations(coco: CocoFile) -> Findings:
    found, path = no_findings(), coco.path
    images = {image["id"]: image for image in coco.images}
    category_ids = {category["id"] for category in coco.categories}
    found.problems.extend(_id_problems([box for box in coco.annotations if "id" in box], "annotation", coco))

    def report(what: str, broken: list[Record], fix: str, lines: list[str]) -> None:
        if broken:
            ids = examples(box.get("id", "no id") for box in broken)
            lines.append(f"{what} in {path}: {count(len(broken), 'annotation')} (ids {ids}); {fix}")

    boxes: list[Record] = list(coco.annotations)
    report("annotation without an id", [box for box in boxes if "id" not in box], "number them", found.problems)
    for key, known in (("image_id", images), ("category_id", category_ids)):
        lost = [box for box in boxes if not _is_whole(box.get(key)) or box[key] not in known]
        noun = key.removesuffix("_id")
        kind = examples(dict.fromkeys(repr(box.get(key)) for box in lost))
        fix = f"{noun} {kind} not among the file's {len(known)}; mend the {key} or list the {noun}"
        report(f"unknown {noun} id", lost, fix, found.problems)
    rest = [box for box in boxes if _is_whole(box.get("image_id")) and box["image_id"] in images]
    for what, is_broken in _BOX_PROBLEMS.items():
        report(what, [box for box in rest if is_broken(box, images[box["image_id"]])], _BOX_FIX, found.problems)
        # One box is told once, by the first rule it breaks; later rules may rely on the earlier ones.
        rest = [box for box in rest if not is_broken(box, images[box["image_id"]])]
    across = [box for box in rest if _is_beyond_border(box, images[box["image_id"]])]
    report("box reaches beyond the image", across, "only the part inside is used", found.warnings)
    thin = [box for box in rest if min(box["bbox"][2:]) < 1]
    report("box thinner than 1 px", thin, "MMDetection drops it", found.warnings)
    return found


_BOX_FIX = "bbox is [x, y, width, height] in pixels"


def _is_not_four_numbers(box: Record, image: Record) -> bool:
    bbox = box.get("bbox")
    return not (isinstance(bbox, list) and len(bbox) == 4 and all(_is_number(value) for value in bbox))


def _is_outside(box: Record, image: Record) -> bool:
    x, y, width, height = box["bbox"]
    return bool(x >= image["width"] or y >= image["height"] or x + width <= 0 or y + height <= 0)


def _is_beyond_border(box: Record, image: Record) -> bool:
    x, y, width, height = box["bbox"]
    # Rounding to two decimals is common in such files, and no reason for a line.
    return bool(min(x, y) < -0.5 or x + width > image["width"] + 0.5 or y + height > image["height"] + 0.5)


_BOX_PROBLEMS: dict[str, Callable[[Record, Record], bool]] = {
    "box is not four numbers": _is_not_four_numbers,
    "box holds NaN or infinity": lambda box, image: not all(math.isfinite(value) for value in box["bbox"]),
    "box of zero or negative size": lambda box, image: min(box["bbox"][2:]) <= 0,
    "box outside its image": _is_outside,
    "area missing": lambda box, image: not _is_number(box.get("area")),
    "area not above 0": lambda box, image: not (math.isfinite(box["area"]) and box["area"] > 0),
}


def _id_problems(records: list[dict[str, Any]], noun: str, coco: CocoFile) -> list[str]:
    odd = [record["id"] for record in records if not _is_whole(record["id"])]
    if odd:
        return [f"{noun} id broken in {coco.path}: {examples(map(repr, odd))}; ids are whole numbers"]
    twice = _repeated([record["id"] for record in records])
    if not twice:
        return []
    found = f"{count(len(twice), 'id')} ({examples(twice)})"
    return [f"duplicate {noun} ids in {coco.path}: {found}; give each {noun} its own id"]


def _repeated(values: list[Any]) -> list[Hashable]:
    return [value for value, n in Counter(values).items() if n > 1]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _leaves_folder(name: Any) -> bool:
    """Whether a name is absolute, climbs above its folder or holds NUL; links on the disk are the user's own affair."""
    if not isinstance(name, str):
        return False
    if "\0" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
        return True
    depth = 0
    for part in PurePosixPath(name).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
