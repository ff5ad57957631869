"""Seeds what the model and the data draw from the place in training alone."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from runners.seeding import derived_seed, seed_everything


class RepeatableHook(Hook):  # type: ignore[misc]
    """Makes each epoch and iteration draw the same numbers, whether training came there in one go or was resumed.

    Args:
        seed: the job's seed.
        rank: of the process; rank 0 draws what a process that trains alone draws, and no two draw the same.
    """

    priority = "VERY_HIGH"

    def __init__(self, seed: int, rank: int = 0) -> None:
        self._seed = seed
        self._rank = (rank,) if rank else ()

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the data set its epoch before the loader's iterator is made."""
        runner.train_dataloader.dataset.set_epoch(runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Seed what the model is about to draw."""
        seed_everything(derived_seed(self._seed, "iteration", runner.iter, *self._rank))
