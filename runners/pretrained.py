"""Other people's checkpoints as a starting point: read without running code, and put where MMDetection loads them from."""

import pickle
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from runners.contract.errors import UserError


class _Ignored:
    """Takes the place of what a checkpoint holds beside its weights: made from anything, keeping nothing."""

    def __init__(self, *_args: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


# Training logs that mmengine keeps in its checkpoints, and the function by which they would be built. PyTorch refuses a file
# that holds them; with these in their place it loads the weights, and nothing in the file can call anything.
_STAND_INS = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.ndarray",
    "numpy.dtype",
)


def allow_mmengine_checkpoints() -> None:
    """Let `torch.load` accept checkpoints that mmengine wrote, still with ``weights_only=True``; once per process."""
    torch.serialization.add_safe_globals([(_Ignored, name) for name in _STAND_INS])


def place_weights(model: dict[str, Any], path: str) -> str | None:
    """Decide how a file of the user's own is loaded: as a whole detector, or into the backbone.

    Args:
        model: the detector's config; the backbone's `init_cfg` is set where the file holds a backbone.
        path: the file.

    Returns:
        What mmengine's Runner shall load into the whole detector, if anything.

    Raises:
        UserError: the file holds anything but weights.
    """
    if _holds_detector(path):
        print_log(f"weights.path: {path} holds a detector", logger="current")
        return path
    print_log(f"weights.path: {path} holds a backbone", logger="current")
    model["backbone"]["init_cfg"] = {"type": "Pretrained", "checkpoint": path}
    return None


def _holds_detector(path: str) -> bool:
    allow_mmengine_checkpoints()
    try:
        content = torch.load(Path(path), map_location="meta", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"unreadable checkpoint in weights.path: {path} ({reason}); give a file of weights only"
        ) from None
    # mmengine's checkpoints, the Swin authors' and bare state dicts; the backbone of a detector is called so in all of them.
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise UserError(f"no weights in weights.path: {path} holds {type(content).__name__}; give a state dict")
    return any(name.startswith("backbone.") for name in content)
