"""`dataset.hold_back`: a part of val that no search sees; it becomes the labelled test split before one starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from runners.contract.coco import CocoFile, SplitFiles, read_coco, split_files
from runners.contract.coco_records import check_records
from runners.contract.errors import UserError
from runners.contract.held_back import HoldBackPlan, hold_back

_SETTING = "dataset.hold_back"


@dataclass(frozen=True)
class HeldBackPart:
    """A data set whose val was split in two.

    Attributes:
        node: the `dataset` node; `val` names what is left of it, and `test` what was held back. Where that cannot be
            done it is the one that was given.
        problems: why it cannot.
        warnings: lines worth showing.
    """

    node: dict[str, Any]
    problems: list[str]
    warnings: list[str]


def hold_part_back(dataset: Mapping[str, Any], folder: Path) -> HeldBackPart:
    """Hold the share `hold_back` of val's images back as the test split.

    What is wrong with val itself is left to the check that follows.

    Args:
        dataset: the config's `dataset` node, its root absolute, `hold_back` not null.
        folder: where the annotation files of the two parts go, ``<output_dir>/splits``.
    """
    node, share = dict(dataset), dataset["hold_back"]
    given = HeldBackPart(node, [], [])
    if node.get("n_folds") is not None:
        return HeldBackPart(
            node,
            [
                f"folds beside a part of val in {_SETTING}: {share}, but dataset.n_folds={node['n_folds']}: another "
                "fold trains on what is held back; name a val file and set dataset.n_folds=null fold=null, or set "
                f"{_SETTING}=null and label a test split"
            ],
            [],
        )
    val, test = (_read(split_files(node, split)) for split in ("val", "test"))
    if test is not None and test.is_labelled:
        return HeldBackPart(
            node,
            [
                f"labelled test split beside a part of val in {_SETTING}: {share}, but {test.path} is labelled; "
                f"judge on it and set {_SETTING}=null, or leave it out with dataset.test=null"
            ],
            [],
        )
    if val is None or not val.is_labelled:
        return given
    plan = HoldBackPlan(share, node.get("group_by"), node.get("split_seed") or 0)
    try:
        parts = hold_back(val, plan, folder)
    except UserError as error:
        return HeldBackPart(node, list(error.problems), [])
    warnings = []
    if test is not None:
        warnings.append(f"{test.path} is not looked at: it has no labels, and test is the part of val held back")
    node["val"] = {**dataset["val"], "ann_file": str(parts.kept_file)}
    node["test"] = {**dataset["val"], "ann_file": str(parts.held_file)}
    return HeldBackPart(node, [], warnings)


def _read(files: SplitFiles | None) -> CocoFile | None:
    """Return a split that is there and sound."""
    if files is None or not files.ann_file.is_file():
        return None
    status = files.ann_file.stat()
    return _cached(files.ann_file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _cached(path: Path, mtime_ns: int, n_bytes: int) -> CocoFile | None:
    """Read a file once for all jobs; an edited one is read again."""
    try:
        coco = read_coco(path)
    except UserError:
        return None
    return None if check_records(coco).problems else coco
