"""Which annotation files a data folder has, and of which split each is: told by names, then by what they hold."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runners.contract.coco import SPLITS, CocoFile, read_coco
from runners.contract.errors import UserError
from runners.contract.metrics import Split

# Words of a file's name or of the folder it lies in; also with a year behind (``instances_train2017.json``).
_WORDS: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
DEPTH = 3
# Folders of other programs, and of detsweep's own.
_SKIPPED = ("outputs", "node_modules", "__pycache__", "site-packages", "conf", "detsweep_conf")


def find_label_files(folder: Path, wanted: Mapping[Split, Path | None]) -> dict[Split, CocoFile]:
    """Return the annotation file of each split.

    Args:
        folder: the data's folder, searched for the splits that are not named.
        wanted: files that are named; None: there is no such split.

    Raises:
        UserError: a named file is no COCO file, none or several are found for a split, or there is nothing to train on.
    """
    found = {
        split: read_coco(path, f"{split}=", f"give {split}=FILE, in COCO format")
        for split, path in wanted.items()
        if path is not None
    }
    named = {coco.path for coco in found.values()}
    others = [path for path in _json_files(folder) if path not in named]
    for split in SPLITS:
        paths = [path for path in others if split_of(path, folder) == split]
        if split not in wanted and paths:
            found[split] = _the_one(split, *_coco_files(paths), folder)
    if "train" not in found:
        # A release with one file for everything need not call it train.
        fitting, refused = _coco_files([path for path in others if split_of(path, folder) is None])
        found["train"] = _the_one("train", [coco for coco in fitting if coco.is_labelled], refused, folder)
    _refuse_useless(found)
    return {split: found[split] for split in SPLITS if split in found}


def split_of(path: Path, folder: Path) -> Split | None:
    """Return the split that a file's name speaks of, else that of the nearest folder that does."""
    for part in (path.stem, *reversed(path.relative_to(folder).parts[:-1])):
        words = [re.sub(r"\d+$", "", word) for word in re.split(r"[\W_]+", part.lower())]
        spoken = [split for split in SPLITS if any(word in _WORDS[split] for word in words)]
        if len(spoken) == 1:
            return spoken[0]
    return None


def folders_below(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield a folder and those below it, the nearest first; hidden ones and those of programs are left out."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        level = [path for parent in level for path in _children(parent)]


def _children(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=True))
    except OSError:
        return []
    return [folder / name for name in names if not name.startswith(".") and name not in _SKIPPED]


def _json_files(folder: Path) -> list[Path]:
    return [path for parent in folders_below(folder, DEPTH - 1) for path in sorted(parent.glob("*.json"))]


def _coco_files(paths: list[Path]) -> tuple[list[CocoFile], list[str]]:
    """Return those that are detection data, and a line for each that is not."""
    found: list[CocoFile] = []
    refused: list[str] = []
    for path in paths:
        try:
            coco = read_coco(path)
        except UserError as error:
            refused += error.problems
            continue
        if coco.images and coco.categories:
            found.append(coco)
        else:
            refused.append(f"nothing to detect in {path}: {len(coco.images)} images, {len(coco.categories)} classes")
    return found, refused


def _the_one(split: Split, fitting: list[CocoFile], refused: list[str], folder: Path) -> CocoFile:
    """Return the only file that fits.

    Raises:
        UserError: there are several, or none, with the reasons.
    """
    if len(fitting) == 1:
        return fitting[0]
    choice = f"name it with {split}=FILE" + ("" if split == "train" else f", or leave it out with {split}=null")
    if fitting:
        names = ", ".join(str(coco.path.relative_to(folder)) for coco in fitting)
        raise UserError(f"several annotation files for {split} in {folder}: {names}; {choice}")
    if refused:
        raise UserError(*(f"{reason}; {choice}" for reason in refused))
    raise UserError(
        f"no annotation file in {folder}: looked for train.json and the like, in it and below; "
        "name it with train=FILE, or its folder with data=FOLDER"
    )


def _refuse_useless(found: Mapping[Split, CocoFile]) -> None:
    problems = []
    for split, coco in found.items():
        if not coco.images:
            problems.append(f"no images in {coco.path}: its list is empty; give another file for {split}")
        elif not coco.categories and split == "train":
            problems.append(f"no classes in {coco.path}: its list of categories is empty; give another file for train")
        elif not coco.is_labelled and split != "test":
            fix = "give the labelled file" if split == "train" else "leave it out with val=null"
            problems.append(f"no boxes in {coco.path}: {split} is not labelled; {fix}")
    if problems:
        raise UserError(*problems)
