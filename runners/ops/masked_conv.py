"""What mmcv's masked convolution is made of, in plain PyTorch (CPU and CUDA): results go into the caller's tensors.

The convolution is computed at chosen cells only: their surroundings are gathered, multiplied, and put back.
"""

from torch import Tensor
from torch.nn.functional import pad


def masked_im2col_forward(
    features: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    data_col: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Gather what the kernel covers at each chosen cell.

    Args:
        features: (1, C, H, W).
        mask_h_idx: (M,) int64 row of each chosen cell.
        mask_w_idx: (M,) int64 column of each.
        data_col: (C * kernel_h * kernel_w, M), filled in; 0 beyond the border.
        kernel_h: height of the kernel.
        kernel_w: width of the kernel.
        pad_h: rows of the kernel above the chosen cell.
        pad_w: columns of the kernel on its left.
    """
    padded = pad(features[0], (pad_w, kernel_w, pad_h, kernel_h))
    covered = data_col.view(features.size(1), kernel_h, kernel_w, -1)
    for row in range(kernel_h):
        for column in range(kernel_w):
            covered[:, row, column] = padded[:, mask_h_idx + row, mask_w_idx + column]


def masked_col2im_forward(
    data_col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, output: Tensor, *, height: int, width: int, channels: int
) -> None:
    """Put `data_col` (channels, M) to the chosen cells of `output` (1, channels, height, width); others stay."""
    output[0, :, mask_h_idx, mask_w_idx] = data_col.to(output.dtype)
