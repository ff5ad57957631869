"""What the processes beside rank 0 do: the same steps on their share of each batch, and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptSpec
from runners.going_on import prepare_going_on
from runners.hooks.ranks import FollowHook, rank_hooks
from runners.hooks.repeatable import RepeatableHook
from runners.mm_config import annotation_file
from runners.place import Place
from runners.training import build_runner, build_train_loader


def follow_training(folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec, place: Place) -> None:
    """Train along with rank 0 to the last epoch, or until it ends this process.

    Args:
        folder: the attempt; nothing is written.
        config: the job's config.
        spec: the attempt's spec.
        place: this process's.

    Raises:
        DataError: an image cannot be used.
        UserError: there is no going on from what the spec names.
    """
    loader = build_train_loader(config, spec, place)
    state = None if spec.resume is None else prepare_going_on(folder.job, spec, loader)[1]
    place.join(spec.device)
    hooks = [RepeatableHook(config["seed"], place.rank), *rank_hooks(place), FollowHook(_is_validated(config))]
    runner, _ = build_runner(config, spec, loader, hooks)
    runner.state = state
    runner.train()
    place.leave()


def _is_validated(config: Mapping[str, Any]) -> bool:
    """Whether rank 0 validates: there is a val split, and it is labelled."""
    if config["dataset"]["val"] is None:
        return False
    return bool(json.loads(annotation_file(config, "val").read_bytes()).get("annotations"))
