"""In which precision the served operators compute."""

import torch
from torch import Tensor


def computed_in(tensor: Tensor) -> torch.dtype:
    """Return float64 for float64 and float32 for everything else.

    Reduced types have no kernel on the CPU for most operators, and coordinates need more than their eight or eleven
    bits; results go back into the caller's tensors, which have the type that mmcv chose.
    """
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
