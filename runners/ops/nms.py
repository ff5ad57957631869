"""Non-maximum suppression as mmcv calls it, on torchvision's kernel (CPU and CUDA)."""

import torch
import torchvision
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the kept boxes' indices, best score first.

    Args:
        boxes: (N, 4) xyxy in pixels.
        scores: (N,), higher is better.
        iou_threshold: boxes that overlap a better one by more than this are dropped, 0-1.
        offset: 1 counts a box's last pixel as part of it (width = x2 - x1 + 1), 0 does not.

    Returns:
        (K,) int64.
    """
    # One reduced type with another (autocast gives bfloat16 scores beside float32 boxes) has no kernel.
    boxes, scores = boxes.to(torch.float32), scores.to(torch.float32)
    if offset:
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), dim=1)
    kept: Tensor = torchvision.ops.nms(boxes, scores, iou_threshold)
    return kept
