"""Folds of an annotation file: stratified by class, grouped by image or by a key of its record, the same every time."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runners.contract.coco import CocoFile, subset
from runners.contract.errors import UserError
from runners.contract.findings import count, examples
from runners.contract.jsonfile import write_json, write_text

# What one group brings into its fold: boxes by category id, and images under this key, which no category id can be.
_IMAGES = "images"
_Content = Counter[int | str]


@dataclass(frozen=True)
class FoldPlan:
    """What decides a split, besides the annotation file.

    Attributes:
        n_folds: how many parts; each is val once and train otherwise.
        group_by: key of the image records whose equal values stay in one fold (a video, a patient); None: no key.
        seed: decides between choices that are equally good; no job's training seed.
    """

    n_folds: int
    group_by: str | None = None
    seed: int = 0


def assign_folds(coco: CocoFile, plan: FoldPlan) -> dict[int, int]:
    """Give every image to a fold so that each fold has its share of every class's boxes, and of the images.

    Iterative stratification: the rarest class is dealt first, each of its groups to the fold that lacks it most
    (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, ECML PKDD 2011), here counted in boxes,
    largest group first.

    Args:
        coco: a labelled file whose records are sound.
        plan: how to split.

    Returns:
        Image id to fold, from 0.

    Raises:
        UserError: more folds than groups, or images without the key to group by.
    """
    image_ids = _group_images(coco, plan)
    contents = _count_boxes(coco, image_ids)
    # A digest instead of a random generator: the same order on every version of Python, in any order of the file.
    order = {group: hashlib.sha256(f"{plan.seed}\0{group}".encode()).digest() for group in image_ids}
    waiting = sorted(image_ids, key=order.__getitem__)
    total = _Content()
    for content in contents.values():
        total.update(content)
    left = total.copy()
    held: list[_Content] = [_Content() for _ in range(plan.n_folds)]
    fold_of: dict[int, int] = {}
    while waiting:
        # Images without a box are dealt last, by the number of images alone.
        rarest = min((key for key in +left if key != _IMAGES), key=lambda key: (left[key], str(key)), default=_IMAGES)
        dealt = sorted((group for group in waiting if contents[group][rarest]), key=lambda g: -contents[g][rarest])
        for group in dealt:
            fold = min(
                range(plan.n_folds),
                key=lambda fold: (
                    held[fold][rarest],
                    held[fold][_IMAGES],
                    _surplus(held[fold], contents[group], total),
                    hashlib.sha256(order[group] + str(fold).encode()).digest(),
                ),
            )
            held[fold].update(contents[group])
            left.subtract(contents[group])
            fold_of |= dict.fromkeys(image_ids[group], fold)
        waiting = [group for group in waiting if not contents[group][rarest]]
    return fold_of


def write_folds(coco: CocoFile, plan: FoldPlan, fold: int, folder: Path) -> tuple[Path, Path]:
    """Write ``train.json`` and ``val.json`` of one fold, unless they stand already.

    Args:
        coco: the file to split.
        plan: how.
        fold: which part is val, from 0.
        folder: the folder of all splits, ``<output_dir>/splits``.

    Returns:
        The two files. Their name tells the source's content and the plan, so a changed source gets files of its own.

    Raises:
        UserError: as `assign_folds`; or there is no such fold.
    """
    if not 0 <= fold < plan.n_folds:
        raise UserError(
            f"value out of range in fold: {fold}; dataset.n_folds={plan.n_folds} makes 0 to {plan.n_folds - 1}"
        )
    key = hashlib.sha256(json.dumps([coco.digest, asdict(plan)]).encode()).hexdigest()[:12]
    target = folder / f"{coco.path.stem}-{plan.n_folds}folds-{key}" / f"fold{fold}"
    train_file, val_file = target / "train.json", target / "val.json"
    if not (train_file.is_file() and val_file.is_file()):
        fold_of = assign_folds(coco, plan)
        target.mkdir(parents=True, exist_ok=True)
        write_json(target.parent / "plan.json", {"source": str(coco.path), "sha256": coco.digest, **asdict(plan)})
        # Each file by way of a temporary name: two sweeps that split at once write the same bytes.
        for path, is_val in ((train_file, False), (val_file, True)):
            ids = {image_id for image_id, held_out in fold_of.items() if (held_out == fold) is is_val}
            part = subset(coco, ids)
            write_text(path, json.dumps(part, ensure_ascii=False) + "\n")
    return train_file, val_file


def _group_images(coco: CocoFile, plan: FoldPlan) -> dict[str, list[int]]:
    """Return the image ids of each group; a group's name depends on the file's content only, not on its order."""
    groups: dict[str, list[int]] = defaultdict(list)
    key = plan.group_by or "file_name"
    lacking = [image["file_name"] for image in coco.images if image.get(key) is None]
    if lacking:
        found = f"{len(lacking)} of {count(len(coco.images), 'image')} without it ({examples(lacking)})"
        keys = ", ".join(dict.fromkeys(name for image in coco.images for name in image))
        raise UserError(f"unknown image key in dataset.group_by: {key}; {found} in {coco.path}; keys: {keys}")
    for image in coco.images:
        groups[json.dumps(image[key], ensure_ascii=False, sort_keys=True)].append(image["id"])
    if len(groups) < plan.n_folds:
        raise UserError(
            f"too many folds in dataset.n_folds: {plan.n_folds}, but {coco.path} holds {count(len(groups), 'group')} "
            f"of images by {key!r}; ask for fewer folds"
        )
    return dict(groups)


def _count_boxes(coco: CocoFile, image_ids: Mapping[str, Sequence[int]]) -> dict[str, _Content]:
    group_of = {image_id: group for group, ids in image_ids.items() for image_id in ids}
    contents: dict[str, _Content] = {group: _Content({_IMAGES: len(ids)}) for group, ids in image_ids.items()}
    for annotation in coco.annotations:
        contents[group_of[annotation["image_id"]]][annotation["category_id"]] += 1
    return contents


def _surplus(held: _Content, group: _Content, total: _Content) -> float:
    """Return how full a fold is of what the group brings, as a share of each class's boxes, summed over its classes."""
    return sum(held[key] / total[key] for key in sorted(group, key=str))
