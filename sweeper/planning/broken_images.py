"""Leaving images out that cannot be read, where the person asked for it: never in silence, and never by chance."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from runners.contract.coco import SPLITS, SplitFiles, read_coco, split_files, subset
from runners.contract.coco_records import check_records
from runners.contract.errors import UserError
from runners.contract.findings import count, examples
from runners.contract.image_files import is_broken, read_headers
from runners.contract.jsonfile import write_text


def leave_out_broken_images(dataset: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the data set without the images that cannot be read.

    Args:
        dataset: the config's `dataset` node, its root absolute.
        folder: where the shortened annotation files go, ``<output_dir>/splits``.

    Returns:
        The node, which names a shortened annotation file for each split with such images, and a line for each with
        their exact number.
    """
    node, warnings = dict(dataset), []
    for split in SPLITS:
        files = split_files(dataset, split)
        if files is None or not files.ann_file.is_file():
            continue
        shortened, warning = _shorten(files, folder, files.ann_file.stat().st_mtime_ns)
        if shortened is not None:
            node[split] = {**dataset[split], "ann_file": str(shortened)}
            warnings.append(warning)
    return node, warnings


@lru_cache(maxsize=32)
def _shorten(files: SplitFiles, folder: Path, edited_ns: int) -> tuple[Path | None, str]:
    """Write the shortened annotation file, if one is needed; `edited_ns` only tells a changed file from a known one."""
    try:
        coco = read_coco(files.ann_file)
    except UserError:
        return None, ""  # told by the check that follows
    if check_records(coco).problems:
        return None, ""
    headers = list(zip(coco.images, read_headers(coco, files), strict=True))
    broken = {image["id"]: f"{image['file_name']}: {header.fault}" for image, header in headers if is_broken(header)}
    if not broken:
        return None, ""
    kept = {image["id"] for image in coco.images} - broken.keys()
    key = hashlib.sha256(json.dumps([coco.digest, sorted(broken)]).encode()).hexdigest()[:12]
    path = folder / f"{files.ann_file.stem}-readable-{key}" / files.ann_file.name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(subset(coco, kept), ensure_ascii=False) + "\n")
    left_out = f"{len(broken)} of {count(len(coco.images), 'image')} ({examples(broken.values())})"
    return path, f"{files.split} is used without {left_out}, which cannot be read"
