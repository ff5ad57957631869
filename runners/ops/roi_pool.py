"""RoIPool as mmcv calls it, on torchvision's kernels (CPU and CUDA): results are written into the caller's tensors.

torchvision rounds a region to whole cells before it is cut into bins; mmcv does not (its region ends one pixel behind
the last). So the bins are computed here, and each is one region of one bin to torchvision: the maximum of whole cells.
"""

import torch
import torchvision  # registers torch.ops.torchvision
from torch import Tensor

from runners.ops.dtypes import computed_in

assert torchvision.extension._has_ops(), "torchvision was installed without its compiled operators"

# What argmax holds where a bin has no cell: nothing flows back.
NO_CELL = -1


def roi_pool_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Pool regions of a feature map by their maximum.

    Args:
        features: (B, C, H, W).
        rois: (N, 5): index in the batch, then xyxy in input pixels, the last pixel included.
        output: (N, C, pooled_height, pooled_width), filled in; 0 where a bin has no cell.
        argmax: like the output, int32, filled in: the cell of the maximum in its map, row by row; -1 for none.
        pooled_height: bins per region, vertically.
        pooled_width: bins per region, horizontally.
        spatial_scale: feature cells per input pixel.
    """
    dtype = computed_in(features)
    bins, is_empty = _bins(rois.to(dtype), features.shape[-2:], (pooled_height, pooled_width), spatial_scale)
    pooled, cells = torch.ops.torchvision.roi_pool(features.to(dtype).contiguous(), bins, 1.0, 1, 1)
    shape = (rois.size(0), pooled_height, pooled_width, features.size(1))
    is_empty = is_empty.view(*shape[:3], 1).permute(0, 3, 1, 2)
    output.copy_(pooled.view(shape).permute(0, 3, 1, 2).masked_fill(is_empty, 0))
    argmax.copy_(cells.view(shape).permute(0, 3, 1, 2).masked_fill(is_empty, NO_CELL))


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add to `grad_input` (B, C, H, W) what flows back to the cells in `argmax`; the rest as in the forward."""
    dtype = computed_in(grad_output)
    gradient = torch.ops.torchvision._roi_pool_backward(
        grad_output.to(dtype).contiguous(),
        rois.to(dtype).contiguous(),
        argmax.contiguous(),
        spatial_scale,
        pooled_height,
        pooled_width,
        *grad_input.shape,
    )
    grad_input.add_(gradient)


def _bins(rois: Tensor, map_size: torch.Size, n_bins: tuple[int, int], scale: float) -> tuple[Tensor, Tensor]:
    """Return the cells of each bin.

    Returns:
        (N * rows * columns, 5): index in the batch, then x and y of the first and of the last cell;
        (N * rows * columns,): whether the bin has no cell at all.
    """
    height, width = map_size
    n_rows, n_columns = n_bins
    top, bottom, is_flat = _cells(rois[:, 2] * scale, (rois[:, 4] + 1) * scale, n_rows, height)
    left, right, is_narrow = _cells(rois[:, 1] * scale, (rois[:, 3] + 1) * scale, n_columns, width)
    size = (len(rois), n_rows, n_columns)
    columns = (
        rois[:, 0, None, None].expand(size),
        left[:, None, :].expand(size),
        top[:, :, None].expand(size),
        right[:, None, :].expand(size) - 1,
        bottom[:, :, None].expand(size) - 1,
    )
    is_empty = is_flat[:, :, None] | is_narrow[:, None, :]
    return torch.stack(columns, -1).view(-1, 5), is_empty.reshape(-1)


def _cells(start: Tensor, end: Tensor, n_bins: int, n_cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut intervals of (N,) into bins along one axis; return (N, n_bins) first cell, cell behind the last, is empty."""
    numbers = torch.arange(n_bins, device=start.device, dtype=start.dtype)
    size = ((end - start) / n_bins)[:, None]
    first = (numbers * size + start[:, None]).floor().clamp(0, n_cells)
    behind = ((numbers + 1) * size + start[:, None]).ceil().clamp(0, n_cells)
    return first, behind, (behind <= first) | (end <= start)[:, None]
