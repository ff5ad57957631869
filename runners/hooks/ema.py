"""mmengine's moving average of weights, counted in optimizer steps."""

from mmengine.hooks import EMAHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class SteppedEMAHook(EMAHook):  # type: ignore[misc]
    """An `EMAHook` that does the same however a batch is split.

    mmengine's averages after every forward pass: with four of them in an optimizer step, weights that have not changed
    would count four times, and the average would follow four times as fast.
    """

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Average, if the weights have just changed; running statistics, which are copied, change with every pass."""
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
        elif not self.ema_model.update_buffers:
            # Val is evaluated with the newest, so that is what a checkpoint has to hold.
            for average, newest in zip(self.ema_model.module.buffers(), self.src_model.buffers(), strict=True):
                average.data.copy_(newest.data)
