"""A found data set as an option of the group `dataset`: its name, its YAML, and what there is to say of it."""

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from runners.contract.coco import SPLITS
from runners.contract.errors import UserError
from runners.contract.metrics import Split
from sweeper.project.found_data import FoundData

N_FOLDS = 5
# The usual batch; a data set that is smaller gets a smaller one.
BATCH_SIZE = 16
_NAME = re.compile(r"[^\W\d_][\w.\-]{0,59}")
# Words that are no text in YAML or in an override.
_NO_NAMES = ("null", "true", "false", "yes", "no", "on", "off", "nan", "inf")
N_CLASSES_TOLD = 12


@dataclass(frozen=True)
class DatasetOption:
    """A data set under the name by which it is chosen.

    Attributes:
        name: ``dataset=NAME``.
        data: what was found.
        root: its folder, as the file is to say it: relative to the project's root, or absolute.
    """

    name: str
    data: FoundData
    root: str

    @property
    def n_folds(self) -> int | None:
        """Into how many parts train is cut; None where there is a val split."""
        return None if "val" in self.data.splits else min(N_FOLDS, max(2, self._n_images("train")))

    @property
    def n_trained(self) -> int:
        """How many images of train there are to train on, at least."""
        n_images = self._n_images("train")
        return n_images if self.n_folds is None else n_images - math.ceil(n_images / self.n_folds)

    @property
    def batch_size(self) -> int:
        """The usual batch, or as many images as there are, if those are fewer."""
        return max(1, min(BATCH_SIZE, self.n_trained))

    @property
    def has_unlabelled_test(self) -> bool:
        """Whether test is to be predicted and cannot be scored."""
        test = self.data.splits.get("test")
        return test is not None and not test.coco.is_labelled

    @property
    def classes_told(self) -> str:
        """The classes, in words."""
        classes = self.data.splits["train"].coco.classes
        shown = ", ".join(classes[:N_CLASSES_TOLD])
        return shown if len(classes) <= N_CLASSES_TOLD else f"{shown} and {len(classes) - N_CLASSES_TOLD} more"

    @property
    def summary(self) -> str:
        """What the data set holds, in a line."""
        n_classes = len(self.data.splits["train"].coco.classes)
        told = [f"{n_classes} class{'' if n_classes == 1 else 'es'}"]
        for split, found in self.data.splits.items():
            label = "" if found.coco.is_labelled else ", no boxes"
            told.append(f"{split} {self._n_images(split)} images{label}")
        if self.n_folds is not None:
            told.append(f"val is one of {self.n_folds} parts of train")
        return "; ".join(told)

    def text(self) -> str:
        """Return the option's file."""
        lines = [
            "# @package _global_",
            f"# detsweep train dataset={self.name}",
            f"# {_in_a_comment(self.summary)}.",
            "dataset:",
            f"  name: {self.name}",
            f"  root: {_scalar(self.root)}{_meaning(self.root)}",
            "  classes: ${coco_classes:${dataset.root},${dataset.train.ann_file}} "
            f"# {_in_a_comment(self.classes_told)}",
        ]
        if self.n_folds is None:
            lines.append("  n_folds: null")
        else:
            lines.append(
                f"  n_folds: {self.n_folds} # there is no val: `fold` says which part of train is held out as val"
            )
        lines += [
            "  group_by: null # key of the image records; images of one group stay in one fold",
            "  split_seed: 0 # of the folds and of hold_back",
            "  hold_back: null # share of val (0.4) that a search never sees: it becomes the labelled test split",
            "  skip_broken_images: false # true leaves images out that cannot be read, and says how many",
            *(f"  {split}: {self._split(split)}" for split in SPLITS),
        ]
        if self.n_folds is not None:
            lines += ["", "fold: 0"]
        return "\n".join(lines) + "\n"

    def _split(self, split: Split) -> str:
        found = self.data.splits.get(split)
        if found is None:
            return "null"
        ann_file = _scalar(os.path.relpath(found.coco.path, self.data.root))
        image_dir = os.path.relpath(found.image_dir, self.data.root)
        folder = '""' if image_dir == "." else _scalar(f"{image_dir}/")
        return f"{{ann_file: {ann_file}, image_dir: {folder}}}"

    def _n_images(self, split: Split) -> int:
        return len(self.data.splits[split].coco.images)


def checked_name(name: str, shipped: Path) -> str:
    """Return a name that can stand behind ``dataset=``.

    Args:
        name: as it was given.
        shipped: the shipped folder of groups.

    Raises:
        UserError: it cannot, or one of ours has it.
    """
    if not _is_name(name):
        raise UserError(
            f"name in name=: {name!r} cannot stand behind dataset=; "
            "up to 60 letters, digits and . _ -, the first one a letter"
        )
    if (shipped / "dataset" / f"{name}.yaml").exists():
        raise UserError(f"name taken in name=: {name} is a data set of detsweep's own; choose another")
    return name


def name_from(*folders: Path) -> str | None:
    """Return a name after the first of some folders that has one to give; folders called data say nothing."""
    for folder in folders:
        name = re.sub(r"[^\w.\-]+", "_", folder.name).strip("._-")[:60]
        if _is_name(name) and name.lower() not in ("data", "dataset", "datasets", "annotations", "coco"):
            return name
    return None


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.lower() not in _NO_NAMES


def _scalar(text: str) -> str:
    """Return text as YAML, plain where nothing in it can be misread."""
    is_plain = re.fullmatch(r"[\w.~/][\w./~ \-]*", text) is not None and text == text.strip()
    if is_plain and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


def _in_a_comment(text: str) -> str:
    """Return text without line ends and other characters that no comment may hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _meaning(root: str) -> str:
    return "" if Path(root).is_absolute() else " # from the project's folder"
