"""Transforms that MMDetection lacks; importing this module makes them known to its registry."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes


@TRANSFORMS.register_module()
class RandomRotate90(BaseTransform):  # type: ignore[misc]
    """Rotate by 0, 90, 180 or 270 degrees, each as likely; boxes stay exact.

    mmdet's own `Rotate` keeps the canvas and cuts off what no longer fits. To be placed before the image is resized.

    Required keys: ``img`` (H, W, 3), ``gt_bboxes`` (N, 4) xyxy in pixels of it. Modified keys: these and ``img_shape``.
    """

    @cache_randomness  # type: ignore[untyped-decorator]
    def _random_quarters(self) -> int:
        return int(np.random.randint(4))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Rotate image and boxes counterclockwise by a random number of quarter turns."""
        for _ in range(self._random_quarters()):
            width = results["img"].shape[1]
            x1, y1, x2, y2 = results["gt_bboxes"].tensor.unbind(dim=-1)
            # Distances from the right edge become distances from the top, those from the top ones from the left.
            results["gt_bboxes"] = HorizontalBoxes(torch.stack([y1, width - x2, y2, width - x1], dim=-1))
            results["img"] = np.rot90(results["img"])
        results["img"] = np.ascontiguousarray(results["img"])
        results["img_shape"] = results["img"].shape[:2]
        return results
