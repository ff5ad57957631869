"""Imports PyTorch and MMDetection once so that processes forked afterwards start at once, and can still use CUDA.

Importing mmengine and mmcv asks ``torch.cuda.is_available()``, after which CUDA refuses to work in forked children.
So the question is answered with no while importing, and `awaken` makes up for it in the process that trains.
"""

import importlib
import os
import sys
import warnings

from runners import ops

# Everything a job needs; importing them registers what MMDetection's configs name.
MODULES = (
    "mmdet.datasets",
    "mmdet.datasets.transforms",
    "mmdet.engine",
    "mmdet.evaluation",
    "mmdet.models",
    "mmdet.visualization",
    "faster_coco_eval",
    "runners.job",
)


def preload() -> None:
    """Import everything a job needs without touching CUDA; costs about ten seconds once.

    Raises:
        RuntimeError: PyTorch or mmengine was imported before.
    """
    if "torch" in sys.modules or "mmengine" in sys.modules:
        raise RuntimeError("preload() must come before torch and mmengine are imported")
    # Threads that wait for each other by spinning come to a standstill (30 s an iteration was measured instead of 1.5)
    # as soon as something else wants the same cores. OpenMP reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    ask_cuda = torch.cuda.is_available
    torch.cuda.is_available = lambda: False
    try:
        ops.install()
        with warnings.catch_warnings():
            # The libraries' own warnings about each other; nothing a user of a sweep can act on.
            warnings.simplefilter("ignore")
            for module in MODULES:
                importlib.import_module(module)
    finally:
        torch.cuda.is_available = ask_cuda


def awaken(device: str) -> None:
    """Repeat, in the process that trains, what mmengine and mmcv asked about CUDA while they were imported.

    Args:
        device: ``cpu`` or ``cuda``: where models and batches go from now on.
    """
    import mmcv.utils
    import mmcv.utils.device_type
    import mmengine.device.utils
    import torch

    mmengine.device.utils.DEVICE = device
    is_available = torch.cuda.is_available()
    mmcv.utils.device_type.IS_CUDA_AVAILABLE = is_available
    mmcv.utils.IS_CUDA_AVAILABLE = is_available
    attention = sys.modules.get("mmcv.ops.multi_scale_deform_attn")
    if attention is not None:
        attention.IS_CUDA_AVAILABLE = is_available  # type: ignore[attr-defined]
