"""From the config's `dataset` node to files that can be trained on: generated, checked and split once for all jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from runners.contract.coco import SPLITS, CocoFile, fingerprint, read_coco, split_files
from runners.contract.coco_check import check_classes, check_scorable, read_dataset
from runners.contract.coco_records import check_trainable
from runners.contract.coco_split import FoldPlan, write_folds
from runners.contract.errors import UserError
from runners.contract.metrics import Split
from sweeper.planning.broken_images import leave_out_broken_images
from sweeper.planning.held_back_part import hold_part_back
from sweeper.planning.shapes import shapes_root, write_shapes


@dataclass(frozen=True)
class PreparedDataset:
    """A data set that was found fit to train on.

    Attributes:
        node: the `dataset` node of a job's config: `root` absolute, `classes` a list, annotations those of the fold.
        source: the node before a fold was held out of it or a part of val held back; preparing it again gives the same
            set, or tells what changed.
        classes: class names in the order of the labels.
        fingerprint: digest of the whole set, the same for all of its folds.
        n_images: images of each split there is.
        labelled: whether a split can be scored.
        warnings: lines worth showing, none of which stops a sweep.
    """

    node: dict[str, Any]
    source: dict[str, Any]
    classes: list[str]
    fingerprint: str
    n_images: dict[Split, int]
    labelled: dict[Split, bool]
    warnings: list[str]


def prepare_dataset(dataset: Mapping[str, Any], output_dir: Path, fold: int | None = None) -> PreparedDataset:
    """Generate, check and split the data set of one job; jobs that share a data set have it checked once.

    Args:
        dataset: the config's `dataset` node; `classes` is compared with the files where it is a list, and always set.
        output_dir: generated data goes to ``data/`` in it, folds and parts to ``splits/``.
        fold: which fold is val, where `n_folds` is set.

    Raises:
        UserError: with all problems of the data set.
    """
    node = place_dataset(dataset, output_dir.absolute())
    warnings: list[str] = []
    if node.get("skip_broken_images"):
        node, warnings = leave_out_broken_images(node, output_dir.absolute() / "splits")
    problems = _fold_problems(node, fold)
    if node.get("n_folds") is not None:
        node["val"] = None  # held out of train below; that no val file is overlooked was seen above
    place = dict(node)
    if node.get("hold_back") is not None:
        held = hold_part_back(node, output_dir.absolute() / "splits")
        node = held.node
        problems += held.problems
        warnings += held.warnings
    source = _Source.of(node)
    checked = _check(source)
    problems.extend(checked.problems)
    if checked.train is not None:
        problems += check_classes(node.get("classes"), checked.train)
    if problems or checked.train is None:
        raise UserError(*problems)
    node["classes"] = place["classes"] = list(checked.train.classes)
    sizes = dict(checked.sizes)
    if fold is not None:
        plan = FoldPlan(node["n_folds"], node.get("group_by"), node.get("split_seed") or 0)
        held_out = _hold_out(source, plan, fold, output_dir.absolute() / "splits")
        node["train"] = {**node["train"], "ann_file": str(held_out.train_file)}
        node["val"] = {**node["train"], "ann_file": str(held_out.val_file)}
        sizes |= held_out.sizes
    return PreparedDataset(
        node=node,
        source=place,
        classes=node["classes"],
        fingerprint=checked.fingerprint,
        n_images={split: sizes[split].n_images for split in SPLITS if split in sizes},
        labelled={split: sizes[split].is_labelled for split in SPLITS if split in sizes},
        warnings=[*warnings, *checked.warnings],
    )


@dataclass(frozen=True)
class _Source:
    """What a check depends on; two jobs with equal sources share one."""

    root: Path
    # (split, annotation file, image folder, and the file's time and length, so that an edited file is read again)
    splits: tuple[tuple[Split, str, str, tuple[int, int] | None], ...]

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> "_Source":
        splits = []
        for split in SPLITS:
            files = split_files(node, split)
            if files is not None:
                status = files.ann_file.stat() if files.ann_file.is_file() else None
                edited = (status.st_mtime_ns, status.st_size) if status else None
                splits.append((split, str(files.ann_file), str(files.image_dir), edited))
        return cls(Path(node["root"]), tuple(splits))

    @property
    def node(self) -> dict[str, Any]:
        splits: dict[str, Any] = {
            split: {"ann_file": ann_file, "image_dir": folder} for split, ann_file, folder, _ in self.splits
        }
        return {"root": str(self.root), **splits}


@dataclass(frozen=True)
class _Size:
    n_images: int
    is_labelled: bool

    @classmethod
    def of(cls, coco: CocoFile) -> "_Size":
        return cls(len(coco.images), coco.is_labelled)


@dataclass(frozen=True)
class _Checked:
    problems: list[str]
    warnings: list[str]
    train: CocoFile | None
    fingerprint: str
    sizes: dict[Split, _Size]


@dataclass(frozen=True)
class _HeldOut:
    train_file: Path
    val_file: Path
    sizes: dict[Split, _Size]


@lru_cache(maxsize=8)
def _check(source: _Source) -> _Checked:
    contents, found = read_dataset(source.node)
    # The fingerprint asks the disk for every image, and would be of no use to a set that is refused.
    digest = "" if found.problems else fingerprint((coco, files.image_dir) for files, coco in contents.values())
    train = contents["train"][1] if "train" in contents else None
    sizes = {split: _Size.of(coco) for split, (_, coco) in contents.items()}
    return _Checked(found.problems, found.warnings, train, digest, sizes)


@lru_cache(maxsize=256)
def _hold_out(source: _Source, plan: FoldPlan, fold: int, folder: Path) -> _HeldOut:
    train = _check(source).train
    assert train is not None  # a set without it was refused
    train_file, val_file = write_folds(train, plan, fold, folder)
    kept, held = read_coco(train_file), read_coco(val_file)
    problems = [*check_trainable(kept).problems, *check_scorable("val", held).problems]
    if problems:
        raise UserError(*problems)
    return _HeldOut(train_file, val_file, {"train": _Size.of(kept), "val": _Size.of(held)})


def place_dataset(dataset: Mapping[str, Any], output_dir: Path) -> dict[str, Any]:
    """Return the node with an absolute root; generated data is written on the way.

    Args:
        dataset: the config's `dataset` node.
        output_dir: absolute; generated data goes to ``data/`` in it.

    Raises:
        UserError: there is no root.
    """
    node = dict(dataset)
    root = node.get("root")
    shapes = node.get("shapes")
    if shapes is not None:
        node["root"] = str(write_shapes(Path(root).absolute() if root else shapes_root(output_dir, shapes), **shapes))
    elif not isinstance(root, str | Path) or str(root) in ("", "???"):
        raise UserError(f"missing value in dataset.root: {root!r}; give dataset.root=<folder of the data set>")
    else:
        node["root"] = str(Path(root).expanduser().absolute())
    return node


def _fold_problems(node: Mapping[str, Any], fold: int | None) -> list[str]:
    n_folds, val = node.get("n_folds"), split_files(node, "val")
    if n_folds is None:
        if fold is not None:
            return [f"fold without a split in fold: {fold}; set dataset.n_folds=5 (and dataset.val=null), or fold=null"]
        if val is None:
            return [
                "no validation split in dataset.val: null; name its file, or hold out a part: dataset.n_folds=5 fold=0"
            ]
        return []
    problems = []
    if not isinstance(n_folds, int) or isinstance(n_folds, bool) or n_folds < 2:
        problems.append(f"value out of range in dataset.n_folds: {n_folds}; a whole number from 2, or null")
    elif fold is None:
        problems.append(f"missing value in fold: null; dataset.n_folds={n_folds} wants one of 0 to {n_folds - 1}")
    elif not isinstance(fold, int) or isinstance(fold, bool) or not 0 <= fold < n_folds:
        problems.append(f"value out of range in fold: {fold}; dataset.n_folds={n_folds} makes 0 to {n_folds - 1}")
    if val is not None and val.ann_file.exists():
        problems.append(
            f"two validation splits in dataset.n_folds: {n_folds}, but {val.ann_file} exists; "
            "leave it out with dataset.val=null, or set dataset.n_folds=null"
        )
    return problems
