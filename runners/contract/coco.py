"""Reading COCO annotation files: the classes they name, whether they are labelled, a data set's fingerprint."""

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.metrics import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")

# The tracking store keeps at most 36 characters of a data set's digest.
N_FINGERPRINT_CHARACTERS = 32

# What no record of a kind may lack. Annotations are looked at one by one in `coco_check`.
RECORD_KEYS = {"images": ("id", "file_name", "width", "height"), "categories": ("id", "name"), "annotations": ()}


@dataclass(frozen=True)
class SplitFiles:
    """Where one split of a data set lies, and which setting says so."""

    split: Split
    ann_file: Path
    image_dir: Path
    root: Path

    @property
    def setting(self) -> str:
        """The node of the config that names these files, ``dataset.train``."""
        return f"dataset.{self.split}"

    def image_path(self, image: Mapping[str, Any]) -> Path:
        """Return where an image record's file lies."""
        return self.image_dir / str(image["file_name"])


@dataclass(frozen=True)
class CocoFile:
    """One annotation file in COCO's detection format.

    Attributes:
        path: the file.
        content: all of its JSON; `images` and `categories` are lists of records, `annotations` may be missing.
        digest: SHA-256 of its bytes, in hex.
    """

    path: Path
    content: Mapping[str, Any] = field(repr=False)
    digest: str

    @property
    def images(self) -> list[dict[str, Any]]:
        """The image records (`id`, `file_name`, `width`, `height` in pixels)."""
        images: list[dict[str, Any]] = self.content["images"]
        return images

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """The annotation records (`bbox`: x, y, width, height in pixels of the original image); may be empty."""
        annotations: list[dict[str, Any]] = self.content.get("annotations", [])
        return annotations

    @property
    def categories(self) -> list[dict[str, Any]]:
        """The category records (`id`, `name`) in the order of the file."""
        categories: list[dict[str, Any]] = self.content["categories"]
        return categories

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the file, which is the order in which MMDetection numbers its labels."""
        return [category["name"] for category in self.categories]

    @property
    def is_labelled(self) -> bool:
        """Whether there is anything to score against."""
        return bool(self.annotations)


def split_files(dataset: Mapping[str, Any], split: Split) -> SplitFiles | None:
    """Return where a split lies, or None where the data set has no such split.

    Args:
        dataset: the config's `dataset` node; `ann_file` and `image_dir` are relative to its `root`, or absolute.
        split: which split.
    """
    node = dataset.get(split)
    if node is None or node.get("ann_file") is None:
        return None
    root = Path(dataset["root"])
    return SplitFiles(split, root / node["ann_file"], root / (node.get("image_dir") or ""), root)


def subset(coco: CocoFile, image_ids: Container[int]) -> dict[str, Any]:
    """Return the JSON of a file that holds only these images and their annotations; order and all other keys stay."""
    return {
        **coco.content,
        "images": [image for image in coco.images if image["id"] in image_ids],
        "annotations": [box for box in coco.annotations if box["image_id"] in image_ids],
    }


def read_coco(path: Path, setting: str = "annotation file", fix: str = "give a COCO JSON file") -> CocoFile:
    """Read an annotation file and check that it has the shape of COCO's detection format.

    Args:
        path: the file.
        setting: the setting that gave the path, for the error.
        fix: what helps where there is no file.

    Raises:
        UserError: there is no such file, it is not JSON, or the JSON is not COCO.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"annotation file missing in {setting}: {path} ({found}); {fix}")
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"broken JSON in {path}: {error.msg} at {at}; the file may be cut short") from None
    except UnicodeDecodeError as error:
        raise UserError(f"broken JSON in {path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    problems = _shape_problems(content, path)
    if problems:
        raise UserError(*problems)
    return CocoFile(path, content, hashlib.sha256(raw).hexdigest())


def read_classes(path: Path, setting: str = "annotation file") -> list[str]:
    """Return the class names of an annotation file; an unchanged file is parsed once, however many jobs ask.

    Raises:
        UserError: as `read_coco`.
    """
    if not path.is_file():
        return read_coco(path, setting).classes  # raises
    status = path.stat()
    return list(_cached_classes(path, setting, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _cached_classes(path: Path, setting: str, mtime_ns: int, n_bytes: int) -> tuple[str, ...]:
    return tuple(read_coco(path, setting).classes)


def fingerprint(files: Iterable[tuple[CocoFile, Path]]) -> str:
    """Return a digest of a data set: the annotation files' bytes, and every image's name and size in bytes.

    Pixels are not read, so that a set of a hundred thousand images takes a second; an image replaced by another of the
    same length keeps the fingerprint.

    Args:
        files: each annotation file with the folder of its images; a missing image counts as one of its own kind.
    """
    digest = hashlib.sha256()
    for coco, image_dir in files:
        digest.update(f"{coco.digest}\n".encode())
        for name in sorted({str(image["file_name"]) for image in coco.images}):
            path = image_dir / name
            n_bytes = path.stat().st_size if path.is_file() else -1
            digest.update(f"{name}\0{n_bytes}\n".encode())
    return digest.hexdigest()[:N_FINGERPRINT_CHARACTERS]


def _shape_problems(content: Any, path: Path) -> list[str]:
    wanted = "COCO wants an object with 'images', 'categories' and, where labelled, 'annotations'"
    if not isinstance(content, dict):
        return [f"JSON is not COCO in {path}: {_json_type(content)} at the top; {wanted}"]
    missing = [key for key in ("images", "categories") if key not in content]
    if missing:
        names = " and ".join(f"'{key}'" for key in missing)
        return [f"JSON is not COCO in {path}: no {names} among its keys ({', '.join(content) or 'none'}); {wanted}"]
    problems = []
    for key, needed in RECORD_KEYS.items():
        records = content.get(key, [])
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            found = _json_type(records)
            problems.append(f"JSON is not COCO in {path}: '{key}' is {found}; it must be a list of objects")
            continue
        for name in needed:
            n_without = sum(name not in record for record in records)
            if n_without:
                problems.append(f"JSON is not COCO in {path}: {n_without} of {len(records)} {key} have no '{name}'")
    return problems


def _json_type(value: Any) -> str:
    if isinstance(value, list):
        return "a list" if all(isinstance(entry, dict) for entry in value) else "a list of something else than objects"
    return {dict: "an object", str: "a string", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
