"""Images as a command line names them: files, folders and patterns; and the list of them that a detector is given."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runners.contract.coco import read_coco, split_files
from runners.contract.errors import UserError
from runners.contract.image_files import read_header

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_PATTERN_SIGNS = "*?["


def find_images(words: Sequence[str]) -> list[Path]:
    """Return the files that are meant, absolute, each once, in the order of the words.

    Args:
        words: a file, a folder (all images in it and below), or a pattern with ``*``, ``?``, ``[...]`` or ``**``.

    Raises:
        UserError: a word names nothing.
    """
    found: dict[Path, None] = {}
    problems = []
    for word in words:
        path = Path(word).expanduser()
        if path.is_file():
            files = [path]
        elif path.is_dir():
            files = sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in SUFFIXES)
        elif any(sign in word for sign in _PATTERN_SIGNS):
            start = Path(path.anchor)
            files = sorted(file for file in start.glob(str(path.relative_to(start))) if file.is_file())
        else:
            problems.append(f"no image in {word}: no such file or folder")
            continue
        if not files:
            found_none = f"no file with {', '.join(SUFFIXES)}" if path.is_dir() else "no file is called so"
            problems.append(f"no image in {word}: {found_none}")
        found |= dict.fromkeys(file.absolute() for file in files)
    if problems:
        raise UserError(*problems)
    return list(found)


def image_list(images: Sequence[Path], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return images in the form of an annotation file; the id of each is its place, from 1.

    Args:
        images: the files, absolute.
        config: of the job, whose data set's category ids are kept.
    """
    records = []
    for number, path in enumerate(images, start=1):
        header = read_header(path)
        records.append({"id": number, "file_name": str(path), "width": header.width, "height": header.height})
    return {"images": records, "categories": _categories(config)}


def _categories(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the classes with the ids of the data that the job was trained on, or from 1 where that is not here."""
    classes = list(config["dataset"]["classes"])
    files = split_files(config["dataset"], "train")
    try:
        ids = {} if files is None else {entry["name"]: entry["id"] for entry in read_coco(files.ann_file).categories}
    except UserError:
        ids = {}
    if set(ids) != set(classes):
        ids = {name: number for number, name in enumerate(classes, start=1)}
    return [{"id": ids[name], "name": name} for name in classes]
