"""A validation as the hooks of a config see it; one that averages weights lends them meanwhile."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from mmengine.runner import Runner
from torch import distributed

from runners.hooks.custom import call_custom, custom_hooks


class Validation:
    """What came of a validation, for the hooks that hear of its end.

    Attributes:
        metrics: all values under their full names; empty where nothing was measured.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}


@contextmanager
def validating(runner: Runner) -> Iterator[Validation]:
    """Tell the hooks that the config names of a validation's begin and end.

    Of several processes all do this together, and all their hooks hear what rank 0 has measured.

    Args:
        runner: the training.
    """
    validation = Validation()
    call_custom(runner, "before_val_epoch")
    try:
        yield validation
    except BaseException:
        for hook in custom_hooks(runner):
            # Weights have to be given back. It is a request or an error that ends this, and that is what is told,
            # whatever a hook thinks of a validation without numbers.
            with suppress(Exception):
                hook.after_val_epoch(runner, metrics={})
        raise
    if custom_hooks(runner):
        call_custom(runner, "after_val_epoch", metrics=_shared(validation.metrics))


def _shared(metrics: dict[str, float]) -> dict[str, float]:
    """Return rank 0's metrics."""
    if not distributed.is_initialized():
        return metrics
    text = json.dumps(metrics).encode()
    size = torch.tensor([len(text)])
    distributed.broadcast(size, src=0)
    content = torch.zeros(int(size), dtype=torch.uint8)
    if distributed.get_rank() == 0:
        content = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    distributed.broadcast(content, src=0)
    told: dict[str, float] = json.loads(bytes(content.tolist()))
    return told
