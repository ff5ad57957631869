"""A part of val held back before a search: images that nothing is chosen by, stratified by class, groups kept whole."""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from runners.contract.coco import CocoFile, subset
from runners.contract.coco_split import FoldPlan, assign_folds
from runners.contract.errors import UserError
from runners.contract.findings import count
from runners.contract.hypothesis import MIN_IMAGES, MIN_OBJECTS
from runners.contract.jsonfile import write_json, write_text

# The part is made of whole folds, the fewest whose share is nearest.
MOST_FOLDS = 20
LEAST_SHARE, MOST_SHARE = 0.05, 0.95


@dataclass(frozen=True)
class HoldBackPlan:
    """What decides which images are held back, besides the annotation file.

    Attributes:
        share: of the images and of each class's boxes, `LEAST_SHARE` to `MOST_SHARE`.
        group_by: key of the image records whose equal values stay together; None: no key.
        seed: decides between choices that are equally good; no job's training seed.
    """

    share: float
    group_by: str | None = None
    seed: int = 0

    @property
    def folds(self) -> tuple[int, int]:
        """How many folds are held back, and of how many: 0.4 is 2 of 5."""
        nearest = Fraction(self.share).limit_denominator(MOST_FOLDS)
        return nearest.numerator, nearest.denominator


@dataclass(frozen=True)
class HeldBack:
    """Two parts of one annotation file, written.

    Attributes:
        kept_file: what a search sees.
        held_file: what it does not see.
    """

    kept_file: Path
    held_file: Path


def hold_back(coco: CocoFile, plan: HoldBackPlan, folder: Path) -> HeldBack:
    """Write ``val.json`` and ``held_back.json``, unless they stand already.

    Args:
        coco: the labelled file to split, its records sound.
        plan: how.
        folder: the folder of all splits, ``<output_dir>/splits``.

    Returns:
        The two files. Their folder's name tells the source's content and the plan, so a changed source gets files of
        its own.

    Raises:
        UserError: images lack the key to group by, or a part is too small to choose by or to judge on.
    """
    key = hashlib.sha256(json.dumps([coco.digest, asdict(plan)]).encode()).hexdigest()[:12]
    target = folder / f"{coco.path.stem}-held_back-{key}"
    found = HeldBack(target / "val.json", target / "held_back.json")
    if not (found.kept_file.is_file() and found.held_file.is_file()):
        held = choose_held_back(coco, plan)
        kept = {image["id"] for image in coco.images} - held
        target.mkdir(parents=True, exist_ok=True)
        write_json(target / "plan.json", {"source": str(coco.path), "sha256": coco.digest, **asdict(plan)})
        # Each file by way of a temporary name: two sweeps that split at once write the same bytes.
        for path, ids in ((found.kept_file, kept), (found.held_file, held)):
            write_text(path, json.dumps(subset(coco, ids), ensure_ascii=False) + "\n")
    return found


def choose_held_back(coco: CocoFile, plan: HoldBackPlan) -> set[int]:
    """Return the ids of the images that are held back; the same every time, in any order of the file.

    Raises:
        UserError: as `hold_back`.
    """
    n_held, n_folds = plan.folds
    n_groups = len({_group(image, plan.group_by) for image in coco.images})
    if n_groups < max(n_folds, 2 * MIN_IMAGES) and not _lacks_key(coco, plan):
        of = f" by {plan.group_by!r}" if plan.group_by is not None else ""
        raise UserError(
            f"too few images in dataset.hold_back: {plan.share} of {count(n_groups, 'group')}{of} in {coco.path}; "
            f"{MIN_IMAGES} are needed on either side: label a test split instead"
        )
    fold_of = assign_folds(coco, FoldPlan(n_folds, plan.group_by, plan.seed))
    held = {image_id for image_id, fold in fold_of.items() if fold < n_held}
    kept = set(fold_of) - held
    problems = [
        f"too few images in dataset.hold_back: {plan.share} of {coco.path} leaves {told} {few}; "
        f"{MIN_OBJECTS} in {MIN_IMAGES} are needed on either side: choose another share, or label a test split instead"
        for told, ids in (("to the search", kept), ("held back", held))
        if (few := shortage(coco, ids, plan.group_by))
    ]
    if problems:
        raise UserError(problems[0])
    return held


def shortage(coco: CocoFile, image_ids: Container[int], group_by: str | None) -> str:
    """Return how few objects some images hold, in words; nothing where they are enough for a verdict.

    Args:
        coco: the labelled file.
        image_ids: which of its images.
        group_by: key of the image records whose equal values count once; None: no key.
    """
    counted = [
        box["image_id"] for box in coco.annotations if box["image_id"] in image_ids and not box.get("iscrowd", 0)
    ]
    with_object = set(counted)
    groups = {_group(image, group_by) for image in coco.images if image["id"] in with_object}
    if len(counted) >= MIN_OBJECTS and len(groups) >= MIN_IMAGES:
        return ""
    unit = "image" if group_by is None else "group"
    return f"{count(len(counted), 'object')} in {count(len(groups), unit)}"


def _group(image: Mapping[str, Any], group_by: str | None) -> str:
    # An image without the key stands alone, as where runs are judged.
    value = image.get(group_by) if group_by is not None else None
    return json.dumps(["alone", image["id"]] if value is None else value, sort_keys=True)


def _lacks_key(coco: CocoFile, plan: HoldBackPlan) -> bool:
    """Whether images lack the key to group by, which is told where folds are made."""
    return plan.group_by is not None and any(image.get(plan.group_by) is None for image in coco.images)
