"""Other people's checkpoints as a starting point: read without running code, and handed to MMDetection's loading."""

import functools
import os
import pickle
from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    load_from_http,
    load_from_local,
    load_from_openmmlab,
    load_from_torchvision,
)

from runners.contract.errors import UserError


class _Ignored:
    """Takes the place of what a checkpoint holds beside its weights: made from anything, keeping nothing."""

    def __init__(self, *_args: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


# The training logs in mmengine's checkpoints, and the function by which they would be built. PyTorch refuses files that
# hold them; with these in their place the weights load, and nothing in the file can call anything.
_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Ignored, name)
    for name in (
        "builtins.getattr",
        "mmengine.logging.history_buffer.HistoryBuffer",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "numpy.ndarray",
    )
]


_LOADERS = {
    "": load_from_local,
    "http://": load_from_http,
    "https://": load_from_http,
    "torchvision://": load_from_torchvision,
    "open-mmlab://": load_from_openmmlab,
}


def read_weights_only() -> None:
    """Have mmengine, and whoever else loads one, read the weights in a checkpoint and nothing else.

    Calling it again changes nothing.
    """
    # mmengine downloads by way of torch.hub, which would read whatever a file of its cache holds.
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    for scheme, load in _LOADERS.items():
        CheckpointLoader.register_scheme(scheme, _told(_weights_only(load)), force=True)


def place_weights(model: dict[str, Any], path: str) -> str | None:
    """Decide how a file of the user's own is loaded: as a whole detector, or into the backbone.

    Args:
        model: the detector's config; the backbone's `init_cfg` is set where the file holds a backbone.
        path: the file.

    Returns:
        What mmengine's Runner shall load into the whole detector, if anything.

    Raises:
        UserError: the file holds no weights, or more than weights.
    """
    if any(name.startswith("backbone.") for name in _read_state_dict(path)):
        print_log(f"weights.path: {path} holds a detector", logger="current")
        return path
    print_log(f"weights.path: {path} holds a backbone", logger="current")
    model["backbone"]["init_cfg"] = {"type": "Pretrained", "checkpoint": path}
    return None


def read_weights(path: str, device: str) -> Any:
    """Read a checkpoint of anybody's; of what it holds beside tensors and plain values, nothing is kept.

    Raises:
        pickle.UnpicklingError: it holds what could execute code.
        RuntimeError: it is damaged; EOFError and OSError likewise.
    """
    return _weights_only(torch.load)(path, map_location=device, weights_only=True)


def state_dict_of(content: Any) -> dict[str, Any] | None:
    """Return the weights within what a checkpoint holds; None where there are none."""
    # mmengine puts the weights under one name, the authors of Swin under another; a bare state dict is fine as well.
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        return None
    return content


def _read_state_dict(path: str) -> dict[str, Any]:
    try:
        # Only the names are wanted: on the meta device the tensors take no memory.
        content = read_weights(path, "meta")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"unreadable file in weights.path: {path} ({reason}); give a checkpoint of weights") from None
    state = state_dict_of(content)
    if state is None:
        raise UserError(f"no weights in weights.path: {path} holds {type(content).__name__}; give a state dict")
    return state


def _told(load: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load)  # mmengine's log tells the function's name
    def wrapped(filename: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return load(filename, *args, **kwargs)
        except pickle.UnpicklingError as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"unsafe checkpoint in weights: {filename} ({reason}); nothing of it was loaded") from error

    return wrapped


def _weights_only(load: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.serialization.safe_globals(_STAND_INS):
            return load(*args, **kwargs)

    return wrapped
