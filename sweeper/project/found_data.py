"""A data set as it was found: its annotation files, and the folders in which their images exist."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runners.contract.coco import CocoFile
from runners.contract.errors import UserError
from runners.contract.metrics import Split
from sweeper.project.label_files import find_label_files, folders_below, split_of

# So many of a file's first images have to be in a folder for it to be theirs.
N_LOOKED_AT = 5


@dataclass(frozen=True)
class FoundSplit:
    """One split.

    Attributes:
        coco: its annotation file.
        image_dir: the folder that its file names begin at.
    """

    coco: CocoFile
    image_dir: Path


@dataclass(frozen=True)
class FoundData:
    """A data set.

    Attributes:
        root: a folder above all of it.
        splits: those there are; train is among them.
    """

    root: Path
    splits: Mapping[Split, FoundSplit]


def find_data(data: Path | None, wanted: Mapping[Split, Path | None], images: Path | None) -> FoundData:
    """Return the data set in a folder.

    Args:
        data: the folder; None: only the files that are named, of which train is one.
        wanted: annotation files that are named; None: there is no such split.
        images: the folder of all images, if it is named.

    Raises:
        UserError: it is not there, or not what is wanted of it; with all problems of the images.
    """
    train = wanted.get("train")
    folder = data if data is not None else train.parent if train is not None else None
    if folder is None:
        raise ValueError("either the data's folder or its training file is wanted")
    for setting, named in (("data", data), ("images", images)):
        if named is not None and not named.is_dir():
            raise UserError(f"folder missing in {setting}=: {named} ({_found(named)}); give the folder")
    if data is None:
        # Only what is named: files beside a file that was pointed at may be anything.
        wanted = {"val": None, "test": None, **wanted}
    label_files = find_label_files(folder, wanted)
    splits: dict[Split, FoundSplit] = {}
    problems: list[str] = []
    for split, coco in label_files.items():
        try:
            splits[split] = FoundSplit(coco, _find_images(split, coco, folder, images))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    inside = [data] if data is not None else []
    places = [path for found in splits.values() for path in (found.coco.path.parent, found.image_dir)]
    return FoundData(Path(os.path.commonpath([*inside, *places])), splits)


def _find_images(split: Split, coco: CocoFile, folder: Path, images: Path | None) -> Path:
    names = [str(image["file_name"]) for image in coco.images[:N_LOOKED_AT]]
    outside = [name for name in names if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if outside:
        raise UserError(
            f"image outside its folder in {coco.path}: file_name {outside[0]}; write names relative to one folder"
        )
    beside = coco.path.parent
    near = [beside / split, beside / "images" / split, beside / "images", beside, beside.parent / "images"]
    asked = [images] if images is not None else [*near, *folders_below(folder), *folders_below(beside)]
    looked_at = [path for path in dict.fromkeys(asked) if path.is_dir()]
    # Splits may use the same file names: a folder that speaks of this one comes first, one that speaks of another last.
    looked_at.sort(key=lambda path: _strangeness(path, split, folder))
    for path in looked_at:
        if all((path / name).is_file() for name in names):
            return path
    there = [path for path in looked_at if (path / names[0]).is_file()]
    if there:
        missing = next(name for name in names if not (there[0] / name).is_file())
        raise UserError(f"image missing in {there[0]}: {missing}, of {coco.path}; complete the images")
    where = str(images) if images is not None else f"{folder} and {len(looked_at)} folders below"
    raise UserError(f"images of {coco.path} not found in {where}: the first is {names[0]}; say images=FOLDER")


def _strangeness(path: Path, split: Split, folder: Path) -> int:
    spoken = split_of(path / "image", folder) if path.is_relative_to(folder) else None
    return 0 if spoken == split else 1 if spoken is None else 2


def _found(path: Path) -> str:
    return "a file" if path.exists() else "no such folder"
