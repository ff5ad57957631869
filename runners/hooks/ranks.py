"""What keeps the processes of one training together, beside the exchange of gradients."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, distributed

from runners.hooks.validation import validating
from runners.place import Place, detector_of


class MeanLossHook(Hook):  # type: ignore[misc]
    """Replaces each process's losses by their means over all, before anybody looks at them."""

    priority = "VERY_HIGH"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Average the losses of an iteration."""
        if outputs is None:
            return
        names = sorted(name for name in outputs if "loss" in name)
        values = torch.stack([outputs[name].detach().float() for name in names])
        distributed.all_reduce(values)
        outputs.update(zip(names, values / distributed.get_world_size(), strict=True))


class GradientsHook(Hook):  # type: ignore[misc]
    """Averages the gradients of an optimizer step that an epoch's end cuts in two, so that rank 0 saves all of them.

    Within a step each process has its own until the step is taken; the mean of means is the same as without this.
    """

    priority = "HIGH"

    def after_train_epoch(self, runner: Runner) -> None:
        """Average what there is; with whole steps there is nothing."""
        parameters = [each for each in detector_of(runner.model).parameters() if each.requires_grad]
        # What one process has used another may not have: all of them have to exchange the same.
        n_users = torch.tensor([float(parameter.grad is not None) for parameter in parameters])
        distributed.all_reduce(n_users)
        for parameter, number in zip(parameters, n_users.tolist(), strict=True):
            if number:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                distributed.all_reduce(parameter.grad)
                parameter.grad /= distributed.get_world_size()


class EpochBarrierHook(Hook):  # type: ignore[misc]
    """Has the others wait, without keeping a device busy, until rank 0 has validated and saved."""

    priority = "LOWEST"

    def after_train_epoch(self, runner: Runner) -> None:
        """Wait for rank 0."""
        distributed.broadcast(torch.zeros(1), src=0)


class FollowHook(Hook):  # type: ignore[misc]
    """Goes along, in the processes beside rank 0, with what rank 0 does at an epoch's end.

    Args:
        is_validated: whether there is a labelled val split.
    """

    priority = "VERY_LOW"

    def __init__(self, is_validated: bool) -> None:
        self._is_validated = is_validated

    def before_train(self, runner: Runner) -> None:
        """Complete an epoch that an earlier attempt trained to its last iteration."""
        if runner.iter == (runner.epoch + 1) * len(runner.train_dataloader):
            self.after_train_epoch(runner)
            runner.train_loop._epoch += 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Tell the config's hooks what they are told by rank 0: they may exchange something, as normalization does."""
        if self._is_validated:
            with validating(runner):
                pass


def rank_hooks(place: Place) -> list[Hook]:
    """Return what all of several processes have in common; none where a process trains alone."""
    return [] if place.n_ranks == 1 else [MeanLossHook(), GradientsHook(), EpochBarrierHook()]
