"""A small sound data set on the disk, to be spoiled in one way at a time."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from runners.contract.coco_check import check_classes, read_dataset
from runners.contract.findings import Findings
from sweeper.planning.shapes import write_shapes

Content = dict[str, Any]


def check_dataset(node: Content) -> Findings:
    """Return all that is found about a data set, as a sweep would find it."""
    contents, found = read_dataset(node)
    if "train" in contents:
        found.problems.extend(check_classes(node.get("classes"), contents["train"][1]))
    return found


@dataclass(frozen=True)
class SampleSet:
    """Eight training, four validation and four test images of 64 pixels with two classes."""

    root: Path

    @classmethod
    def write(cls, root: Path) -> "SampleSet":
        write_shapes(root, n_train=8, n_val=4, n_test=4, image_px=64, n_classes=2)
        return cls(root)

    @property
    def node(self) -> dict[str, Any]:
        """The config's `dataset` node."""
        splits = {split: {"ann_file": f"{split}.json", "image_dir": "images/"} for split in ("train", "val", "test")}
        return {"name": "sample", "root": str(self.root), "n_folds": None, "group_by": None, **splits}

    def read(self, split: str) -> Content:
        content: Content = json.loads((self.root / f"{split}.json").read_text())
        return content

    def edit(self, split: str, change: Callable[[Content], object]) -> None:
        """Change the JSON of one split in place."""
        content = self.read(split)
        change(content)
        (self.root / f"{split}.json").write_text(json.dumps(content), encoding="utf-8")

    def edit_all(self, change: Callable[[Content], object]) -> None:
        for split in ("train", "val", "test"):
            self.edit(split, change)

    def image(self, split: str = "train", number: int = 0) -> Path:
        return self.root / "images" / f"{split}_{number:05d}.png"

    def save_as_jpeg(self, name: str = "photo.jpg", size: tuple[int, int] = (64, 64), orientation: int = 1) -> Path:
        """Add a JPEG file; no annotation file names it yet."""
        picture = Image.effect_noise(size, 60).convert("RGB")
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = self.root / "images" / name
        picture.save(path, exif=exif)
        return path
