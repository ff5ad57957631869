"""Tells MMDetection's parts where training is: some change what they do with the epoch or the iteration."""

from mmengine.hooks import Hook
from mmengine.runner import Runner


class ToldPlaceHook(Hook):  # type: ignore[misc]
    """Keeps epoch and iteration in mmengine's `MessageHub`.

    Its own `RuntimeInfoHook` does too, and copies every loss from the device in every iteration.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the epoch, from 0."""
        runner.message_hub.update_info("epoch", runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Tell the iteration, from 0."""
        runner.message_hub.update_info("iter", runner.iter)
