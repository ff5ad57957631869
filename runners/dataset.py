"""MMDetection's COCO data set without its silence: an unreadable image ends the attempt instead of being replaced."""

from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS

from runners.failures import DataError


@DATASETS.register_module()
class StrictCocoDataset(CocoDataset):  # type: ignore[misc]
    """A `CocoDataset` that names the image it cannot use; mmengine would draw another one at random and say nothing."""

    def prepare_data(self, index: int) -> Any:
        """Load and augment one image.

        Raises:
            DataError: the file is missing or cannot be decoded, or the pipeline leaves nothing of it.
        """
        try:
            data = super().prepare_data(index)
        except Exception as error:
            problem = image_problem(Path(self.get_data_info(index)["img_path"]))
            if problem is None:
                raise  # the image is fine: the pipeline itself is wrong
            raise DataError(problem) from error
        if data is None:
            path = self.get_data_info(index)["img_path"]
            raise DataError(f"image {path}: the training pipeline leaves nothing of it")
        return data

    def _rand_another(self) -> NoReturn:
        raise AssertionError("prepare_data never returns None")


def use_strict_datasets(config: Any) -> None:
    """Replace `CocoDataset` by the strict one, in place, wherever a data loader's config names it."""
    if isinstance(config, dict):
        if config.get("type") in ("CocoDataset", "mmdet.CocoDataset"):
            config["type"] = StrictCocoDataset.__name__
        for value in config.values():
            use_strict_datasets(value)
    elif isinstance(config, list | tuple):
        for value in config:
            use_strict_datasets(value)


def image_problem(path: Path) -> str | None:
    """Return why an image cannot be used, with its path; None where it can."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"image {path}: {error.strerror}"
    if not content:
        return f"image {path}: the file is empty"
    if cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is None:
        return f"image {path}: cannot be decoded"
    return None
