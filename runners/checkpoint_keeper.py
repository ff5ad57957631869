"""Which checkpoints are kept: while a job trains, the newest states to go on from; at its end, what was asked for."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from runners.checkpoints import remove_checkpoints, replacing_file, save_checkpoint
from runners.contract.checkpoint_files import (
    StateFile,
    all_states,
    files_of,
    is_valid,
    read_digests,
    write_digests,
)
from runners.contract.digest import sha256_of
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec, KeptCheckpoints
from runners.failures import DiskError
from runners.hooks.custom import call_custom
from runners.place import detector_of
from runners.training_state import training_state

# The newest, and the one before in case the newest turns out to be torn.
_N_STATES = 2


class CheckpointKeeper:
    """Saves into a job's ``checkpoints`` folder; what is replaced goes only after its successor is complete.

    While training goes on, the best weights carry their epoch (``a1_best_epoch_3.pth``), because an older state refers
    to what was best then; the end of training makes ``a1_best.pth`` of them. Beside the two newest states stays the
    newest one at an epoch's end, the only kind from which training goes on with another split of the batch.

    Args:
        job: the job.
        spec: the attempt's; every file name carries its number.
        classes: the detector's classes, saved beside the weights so that they can be used alone.

    Attributes:
        splits: (first epoch, images per step, accumulation) of each part of the training.
    """

    def __init__(self, job: JobFolder, spec: AttemptSpec, classes: list[str]) -> None:
        self._job = job
        self._folder = job.checkpoints
        self._spec = spec
        self._attempt = spec.attempt
        self._classes = classes
        self._states: list[Path] = []
        self._epoch_end: Path | None = None
        self._best: tuple[Path, str] | None = None
        self.splits = [(1, spec.batch_per_step, spec.accumulation)]

    @property
    def best(self) -> Path:
        """Where the best weights are, once there are any."""
        return self._found_best()[0]

    def go_on_from(self, path: Path, splits: Sequence[Sequence[int]]) -> None:
        """Take over a valid state that an earlier attempt saved, and the best weights it refers to."""
        self.splits = [(epoch, batch_per_step, accumulation) for epoch, batch_per_step, accumulation in splits]
        self._states = [path]
        self._epoch_end = self._newest_epoch_end(StateFile.named(path))
        best = [(path.parent / name, digest) for name, digest in read_digests(path).items() if name != path.name]
        self._best = best[0] if best else None

    def save_last(self, runner: Runner, n_epochs_done: int, progress: dict[str, Any]) -> Path:
        """Save everything that training needs to go on.

        Args:
            runner: the training, between two optimizer steps.
            n_epochs_done: complete epochs, 0 and more; iterations beyond them mark the name.
            progress: what the hooks need to go on, plain values.

        Raises:
            DiskError: not written; those before are still there.
        """
        n_iterations = len(runner.train_dataloader)
        is_between_epochs = runner.iter == n_epochs_done * n_iterations
        state = StateFile(self._folder, self._attempt, n_epochs_done, None if is_between_epochs else runner.iter)
        path = self._folder / state.name
        meta = {
            "attempt": self._attempt,
            "epoch": n_epochs_done,
            "iter": runner.iter,
            "n_iterations_per_epoch": n_iterations,
            "batch_per_step": self._spec.batch_per_step,
            "accumulation": self._spec.accumulation,
            "splits": [list(split) for split in self.splits],
            "seed": runner.seed,
            "dataset_meta": {"classes": self._classes},
            **progress,
        }
        digests = {path.name: save_checkpoint(path, {**training_state(runner), "meta": meta})}
        if self._best is not None:
            digests[self._best[0].name] = self._best[1]
        write_digests(path, digests)
        self._states = [*(kept for kept in self._states if kept != path), path][-_N_STATES:]
        if is_between_epochs:
            self._epoch_end = path
        kept = {*self._states, *([] if self._epoch_end is None else [self._epoch_end])}
        if self._spec.keep == "all":
            kept |= {known.path for known in all_states(self._job) if known.iteration is None}
        remove_checkpoints(self._folder, keep=set().union(*map(files_of, kept)))
        return path

    def save_best(self, runner: Runner, epoch: int) -> None:
        """Save the weights alone, as MMDetection's tools read them.

        Raises:
            DiskError: not written; the one before is still there.
        """
        meta = {"attempt": self._attempt, "epoch": epoch, "dataset_meta": {"classes": self._classes}}
        path = self._folder / f"a{self._attempt}_best_epoch_{epoch}.pth"
        content = {"state_dict": detector_of(runner.model).state_dict(), "meta": meta}
        call_custom(runner, "before_save_checkpoint", checkpoint=content)
        # What hooks put beside the weights is for going on; the weights are those that were validated.
        self._best = path, save_checkpoint(path, {"state_dict": content["state_dict"], "meta": meta})

    def publish_best(self) -> tuple[Path, str]:
        """Copy the best weights to the name under which they stay; the states go once the result is written.

        Returns:
            The file and its hex digest.

        Raises:
            DiskError: not written.
        """
        best, digest = self._found_best()
        path = self._folder / f"a{self._attempt}_best.pth"
        with replacing_file(path) as file, best.open("rb") as source:
            shutil.copyfileobj(source, file)
        if sha256_of(path) != digest:
            raise DiskError(f"checkpoint {path.name} is not what was written to {best.name}: the disk is failing")
        return path, digest

    def _newest_epoch_end(self, state: StateFile | None) -> Path | None:
        """Return the newest whole state at an epoch's end that is not newer than another state."""
        for known in all_states(self._job):
            is_newer = state is not None and known.n_epochs_done > state.n_epochs_done
            if known.iteration is None and not is_newer and is_valid(known.path):
                return known.path
        return None

    def _found_best(self) -> tuple[Path, str]:
        if self._best is None:
            raise LookupError("no epoch has been chosen as the best yet")
        return self._best


def remove_what_is_not_kept(job: JobFolder, keep: KeptCheckpoints, best: Path) -> None:
    """Remove the checkpoints that a completed job does not keep; its result stands by now.

    Args:
        job: the job.
        keep: the best weights; the newest state as well; or the states at every epoch's end.
        best: the best weights under their last name. States that refer to the same under an earlier name refer to this
            file afterwards, so that they stay whole.
    """
    states = [state for state in all_states(job) if read_digests(state.path) and keep != "best"]
    if keep == "best+last":
        states = states[:1]
    elif keep == "all":
        states = [state for state in states if state.iteration is None]
    digest = sha256_of(best) if states else ""
    kept = {best}
    for state in states:
        digests = read_digests(state.path)
        if digest in digests.values():
            write_digests(state.path, {state.path.name: digests[state.path.name], best.name: digest})
        kept |= files_of(state.path)
    remove_checkpoints(job.checkpoints, keep=kept)
