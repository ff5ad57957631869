"""Non-maximum suppression as mmcv calls it: on torchvision's kernel (CPU and CUDA), and with the groups it forms."""

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


def nms_match(dets: Tensor, *, iou_threshold: float) -> list[list[int]]:
    """Return the groups of a suppression: each kept box's index, then those that it suppressed, best score first.

    Args:
        dets: (N, 5) xyxy in pixels and score, on the CPU.
        iou_threshold: boxes that overlap a better one by this or more belong to it, 0-1.
    """
    dets = dets.to(torch.float32)
    overlaps = torchvision.ops.box_iou(dets[:, :4], dets[:, :4])
    groups = []
    order = dets[:, 4].argsort(descending=True)
    while order.numel():
        belongs = overlaps[order[0], order] >= iou_threshold
        belongs[0] = True  # a box without an area overlaps nothing, not even itself
        groups.append(order[belongs].tolist())
        order = order[~belongs]
    return groups
