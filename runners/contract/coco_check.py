"""Whether a data set can be trained on: every problem of every split, listed together, before anything trains."""

import filecmp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners.contract.coco import SPLITS, CocoFile, SplitFiles, read_coco, split_files
from runners.contract.coco_records import check_records, check_trainable
from runners.contract.errors import UserError
from runners.contract.findings import Findings, count, examples, no_findings
from runners.contract.image_files import check_images
from runners.contract.metrics import Split

# What to do without the annotation file of a split.
_WITHOUT: dict[Split, str] = {
    "train": "give a COCO JSON file",
    "val": "name the file, or hold out a part of train: dataset.val=null dataset.n_folds=5 fold=0",
    "test": "name the file, or do without: dataset.test=null",
}

SplitContents = dict[Split, tuple[SplitFiles, CocoFile]]


def read_dataset(dataset: Mapping[str, Any]) -> tuple[SplitContents, Findings]:
    """Read every split that can be read, and check it, its images, and that the splits fit each other.

    Args:
        dataset: the config's `dataset` node with a `root`.

    Returns:
        The splits that could be read, and what was found.
    """
    root, found = Path(dataset["root"]), no_findings()
    if not root.is_dir():
        reason = "not a folder" if root.exists() else "no such folder"
        problem = f"data root missing in dataset.root: {root} ({reason}); give dataset.root=<folder of the data set>"
        return {}, Findings([problem], [])
    contents: SplitContents = {}
    sound: SplitContents = {}
    for split in SPLITS:
        files = split_files(dataset, split)
        if files is None:
            continue
        try:
            contents[split] = files, read_coco(files.ann_file, f"{files.setting}.ann_file", _WITHOUT[split])
        except UserError as error:
            found.problems.extend(error.problems)
            continue
        records = check_records(contents[split][1])
        found.add(records)
        if not records.problems:
            sound[split] = contents[split]
    if split_files(dataset, "train") is None:
        found.problems.append("no training split in dataset.train.ann_file: null; name the annotation file, train.json")
    for split, (files, coco) in sound.items():
        found.add(check_trainable(coco) if split == "train" else check_scorable(split, coco))
        found.add(check_images(coco, files))
    found.problems.extend(_class_differences(contents))
    found.warnings.extend(_shared_images(sound))
    return contents, found


def check_classes(wanted: Any, train: CocoFile) -> list[str]:
    """Return a problem if the config asks for other classes than the file has.

    Args:
        wanted: the class names of the config; anything else than a list means that the file decides.
        train: the training split.
    """
    if not isinstance(wanted, list) or wanted == train.classes:
        return []
    return [
        f"class list differs from the data in dataset.classes: {wanted}, but {train.path} has {train.classes}; "
        "leave dataset.classes unset to take the file's"
    ]


def check_scorable(split: Split, coco: CocoFile) -> Findings:
    """Check that a split holds boxes to score against; test need not."""
    if coco.is_labelled:
        return no_findings()
    if split == "test":
        return Findings([], [f"test split is not labelled ({coco.path}): it is predicted, not scored"])
    fix = "the best checkpoint is chosen on it, so label it, or split the training set with dataset.n_folds=5 fold=0"
    return Findings([f"no box in {coco.path}: {count(len(coco.images), 'image')}, 0 annotations; {fix}"], [])


def _class_differences(contents: SplitContents) -> list[str]:
    if "train" not in contents:
        return []
    train = contents["train"][1]
    problems = []
    for split, (_, coco) in contents.items():
        if coco.classes == train.classes:
            continue
        what = "class order" if sorted(map(str, coco.classes)) == sorted(map(str, train.classes)) else "class list"
        problems.append(
            f"{what} differs between splits in {coco.path}: {split} has {coco.classes}, train has {train.classes}; "
            "list the same categories in the same order"
        )
    return problems


def _shared_images(contents: SplitContents) -> list[str]:
    """Return a line for each two splits that hold the same image, as one file or as a copy under the same name."""
    known = {split: _images_by_name(files, coco) for split, (files, coco) in contents.items()}
    splits, lines = list(known), []
    for number, later in enumerate(splits):
        for earlier in splits[:number]:
            names = sorted(known[earlier].keys() & known[later].keys())
            both = [name for name in names if _is_same_file(known[earlier][name], known[later][name])]
            if both:
                n_shared = f"{count(len(both), 'image')} of {later} also in {earlier} ({examples(both)})"
                lines.append(f"{n_shared}: {later} scores will be too good")
    return lines


def _images_by_name(files: SplitFiles, coco: CocoFile) -> dict[str, Path]:
    paths = [files.image_path(image) for image in coco.images]
    return {path.name: path for path in paths if path.is_file()}


def _is_same_file(one: Path, other: Path) -> bool:
    return one == other or filecmp.cmp(one, other, shallow=False)  # reads only files of equal length
