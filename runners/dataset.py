"""MMDetection's COCO data set without its silence: an unreadable image ends the attempt instead of being replaced.

What augmentation leaves nothing of is no such image: a random crop without a box is drawn anew.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS

from runners.failures import DataError

# As often as MMDetection draws a mixed image again.
_N_DRAWS = 15
_N_IMAGES = 20


@DATASETS.register_module()
class StrictCocoDataset(CocoDataset):  # type: ignore[misc]
    """A `CocoDataset` that names the image it cannot use; mmengine would draw another one at random and say nothing."""

    def __getitem__(self, index: int) -> Any:
        """Load and augment one image; in training the same again, then another, where chance leaves nothing of it.

        Raises:
            DataError: a file is missing or cannot be decoded, or the pipeline leaves nothing of any image.
        """
        path = self.get_data_info(index)["img_path"]
        n_images, n_draws = (1, 1) if self.test_mode else (_N_IMAGES, _N_DRAWS)
        for _ in range(n_images):
            for _ in range(n_draws):
                data = self.prepare_data(index)
                if data is not None:
                    return data
            index = self._rand_another()
        raise DataError(f"image {path}: the pipeline leaves nothing of it ({n_images} images tried {n_draws} times)")

    def prepare_data(self, index: int) -> Any:
        """Load and augment one image once; None if nothing is left of it.

        Raises:
            DataError: the file is missing or cannot be decoded.
        """
        try:
            return super().prepare_data(index)
        except Exception as error:
            problem = image_problem(Path(self.get_data_info(index)["img_path"]))
            if problem is None:
                raise  # the image is fine: the pipeline itself is wrong
            raise DataError(problem) from error


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
