"""Everything that changes while a detector is trained: taken out of a runner, and put back into another.

No state of random generators is among it: what is drawn follows the seed and the place in training (`runners.seeding`).
"""

import pickle
import warnings
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from runners.checkpoints import load_checkpoint
from runners.contract.checkpoint_files import StateFile, is_valid
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.hooks.custom import call_custom
from runners.place import detector_of


def training_state(runner: Runner) -> dict[str, Any]:
    """Return weights, optimizer, schedules and gradients, as they are between two forward passes.

    Gradients are there only where an epoch ended within an optimizer step; the next epoch's first images complete it.
    Hooks that the config names add what is theirs: where one averages weights, the averages are the ``state_dict`` and
    the trained weights stand beside them, as mmengine has it.
    """
    detector = detector_of(runner.model)
    state = {
        "state_dict": detector.state_dict(),
        "optimizer": runner.optim_wrapper.state_dict(),
        "param_schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers or []],
        "gradients": {
            name: parameter.grad for name, parameter in detector.named_parameters() if parameter.grad is not None
        },
    }
    call_custom(runner, "before_save_checkpoint", checkpoint=state)
    return state


def restore_training(runner: Runner, state: Mapping[str, Any]) -> None:
    """Put a state into a runner whose model, optimizer and schedules are built, and set its counters.

    Not `Runner.resume`: that one unpickles whatever the file holds and executes the config in it.

    Args:
        runner: the training.
        state: as `read_training_state` gave it. Where its ``param_schedulers`` are None, the iterations before it were
            counted in another way, and the schedules are moved to its place from their beginning.
    """
    detector = detector_of(runner.model)
    # Hooks exchange entries of the parts that they know.
    state = {name: copy(part) for name, part in state.items()}
    runner._resume = True
    call_custom(runner, "after_load_checkpoint", checkpoint=state)
    detector.load_state_dict(state["state_dict"])
    if state["param_schedulers"] is None:
        rates = _move_schedules(runner, state["meta"])
        runner.optim_wrapper.load_state_dict(dict(state["optimizer"]))
        for group, values in zip(runner.optim_wrapper.param_groups, rates, strict=True):
            group.update(values)
    else:
        runner.optim_wrapper.load_state_dict(dict(state["optimizer"]))
        for scheduler, saved in zip(runner.param_schedulers or [], state["param_schedulers"], strict=True):
            scheduler.load_state_dict(saved)
    parameters = dict(detector.named_parameters())
    for name, gradient in state["gradients"].items():
        parameters[name].grad = gradient.to(parameters[name].device)
    runner.train_loop._epoch = state["meta"]["epoch"]
    runner.train_loop._iter = state["meta"]["iter"]
    runner.logger.info(f"going on after {runner.epoch} epochs, {runner.iter} iterations")


def _move_schedules(runner: Runner, meta: Mapping[str, Any]) -> list[dict[str, float]]:
    """Move new schedules to an epoch's end, as training would have, and return what they set in each group."""
    schedulers = runner.param_schedulers or []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no optimizer step between the schedules' steps, on purpose
        for _ in range(meta["epoch"]):
            for _ in range(meta["iter"] // meta["epoch"]):
                for scheduler in schedulers:
                    if not scheduler.by_epoch:
                        scheduler.step()
            for scheduler in schedulers:
                if scheduler.by_epoch:
                    scheduler.step()
    set_by_them = {scheduler.param_name for scheduler in schedulers}
    return [{name: group[name] for name in set_by_them} for group in runner.optim_wrapper.param_groups]


def read_training_state(job: JobFolder, resume: str) -> tuple[Path, dict[str, Any]]:
    """Read what a spec's `resume` names.

    Args:
        job: the job, whose ``checkpoints`` the path must lie in.
        resume: path relative to the job's folder.

    Returns:
        The path and the content, tensors on the CPU.

    Raises:
        UserError: no state of this job, an incomplete one, or one that holds more than tensors and plain values.
    """
    path = job.path / resume
    if path.parent.resolve() != job.checkpoints.resolve() or StateFile.named(path) is None:
        raise UserError(f"no checkpoint to go on from in resume: {resume}; wanted checkpoints/a<n>_epoch_<n>.pth")
    if not is_valid(path):
        raise UserError(f"incomplete checkpoint in resume: {resume} (file or digest missing, or not as written)")
    try:
        return path, load_checkpoint(path, "cpu")
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"unsafe checkpoint in resume: {resume} ({reason}); nothing of it was loaded") from error
