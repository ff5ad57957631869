"""Ends training between two optimizer steps when somebody asks for it."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from runners.stopping import StopRequest


class StopHook(Hook):  # type: ignore[misc]
    """Lets a stop request through only where the state can be saved: before an optimizer step's first forward pass.

    Args:
        request: what to look out for.
        accumulation: forward passes per optimizer step.
    """

    priority = "HIGHEST"

    def __init__(self, request: StopRequest, accumulation: int) -> None:
        self._request = request
        self._accumulation = accumulation

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Raise `StopTraining` if asked to."""
        if runner.iter % self._accumulation == 0:
            self._request.raise_if_asked()
