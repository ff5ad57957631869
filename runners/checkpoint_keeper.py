"""Which checkpoints of a training are kept: the newest state, to go on from, and the best weights, to keep."""

from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from runners.checkpoints import remove_checkpoints, save_checkpoint


class CheckpointKeeper:
    """Saves into a job's ``checkpoints`` folder; what is replaced goes only after its successor is complete.

    Args:
        folder: the job's checkpoints.
        attempt: number of the attempt; every file name carries it.
        classes: the detector's classes, saved beside the weights so that they can be used alone.
    """

    def __init__(self, folder: Path, attempt: int, classes: list[str]) -> None:
        self._folder = folder
        self._attempt = attempt
        self._classes = classes
        self._last: Path | None = None

    @property
    def best(self) -> Path:
        """Where the best weights are."""
        return self._folder / f"a{self._attempt}_best.pth"

    def save_last(self, runner: Runner, n_epochs_done: int, best: dict[str, Any]) -> Path:
        """Save everything that training needs to go on.

        Args:
            runner: the training, between two optimizer steps.
            n_epochs_done: complete epochs, 0 and more; iterations beyond them mark the name.
            best: what is known of the best epoch so far, plain values.

        Raises:
            DiskError: not written; the one before is still there.
        """
        is_between_epochs = runner.iter == n_epochs_done * len(runner.train_dataloader)
        within = "" if is_between_epochs else f"_iter_{runner.iter}"
        path = self._folder / f"a{self._attempt}_epoch_{n_epochs_done}{within}.pth"
        save_checkpoint(
            path,
            {
                "state_dict": runner.model.state_dict(),
                "optimizer": runner.optim_wrapper.state_dict(),
                "param_schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
                "meta": {
                    "attempt": self._attempt,
                    "epoch": n_epochs_done,
                    "iter": runner.iter,
                    "seed": runner.seed,
                    "dataset_meta": {"classes": self._classes},
                    "best": best,
                },
            },
        )
        if self._last is not None and self._last != path:
            self._last.unlink(missing_ok=True)
        self._last = path
        return path

    def save_best(self, runner: Runner, epoch: int) -> None:
        """Save the weights alone, as MMDetection's tools read them.

        Raises:
            DiskError: not written; the one before is still there.
        """
        meta = {"attempt": self._attempt, "epoch": epoch, "dataset_meta": {"classes": self._classes}}
        save_checkpoint(self.best, {"state_dict": runner.model.state_dict(), "meta": meta})

    def keep_best_only(self) -> None:
        """Remove every other checkpoint of the job, of this attempt and of earlier ones."""
        remove_checkpoints(self._folder, keep=self.best)
