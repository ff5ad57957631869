"""One attempt of a job, from its folder to its result."""

import logging
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from mmengine.registry import init_default_scope

from runners.allowlist import refuse_foreign_code
from runners.checkpoint_keeper import remove_what_is_not_kept
from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from runners.contract.yamlfile import load_yaml
from runners.failures import describe_failure
from runners.follower import follow_training
from runners.mended import mend_mmdet
from runners.needed_ops import ops_of, refuse_unserved
from runners.place import ALONE, Place
from runners.plugins import import_plugins
from runners.preload import awaken
from runners.ranks import Ranks, checked_split
from runners.stopping import StopRequest, StopTraining
from runners.train_job import train_job

_EXIT_CODES = {AttemptOutcome.COMPLETED: 0, AttemptOutcome.PRUNED: 0, AttemptOutcome.INTERRUPTED: 3}


def run_attempt(folder: AttemptFolder) -> int:
    """Execute an attempt in this process and write its result.

    Returns:
        The exit code: 0 completed or pruned, 1 failed, 3 stopped before the end.
    """
    started = time.monotonic()
    stop = StopRequest(folder)
    stop.listen()
    situation = "unknown settings"
    ranks: Ranks | None = None
    try:
        spec = AttemptSpec.read(folder)
        config = load_yaml(folder.job.config.read_text(encoding="utf-8"))
        situation = _situation(config, spec)
        checked_split(spec)
        if spec.mode == "train" and spec.n_devices > 1:
            ranks = Ranks(folder, spec, partial(_follow, folder, config, spec), situation)
        _get_ready(folder, config, spec)
        result = _execute(folder, config, spec, stop, started, ranks.place if ranks else ALONE)
    except StopTraining as stopped:
        # Training saves and says more; this is a stop before it began.
        outcome = AttemptOutcome.PRUNED if stopped.reason == "prune" else AttemptOutcome.INTERRUPTED
        result = AttemptResult(folder.number, outcome, finished_at=time.time())
    except Exception as error:
        logging.getLogger(__name__).exception("attempt failed")
        failure = (ranks.cause_of(error) if ranks else None) or describe_failure(error, situation)
        result = AttemptResult(folder.number, AttemptOutcome.FAILED, failure=failure, finished_at=time.time())
    finally:
        if ranks is not None:
            ranks.end()
    result.write(folder)
    if result.outcome is AttemptOutcome.COMPLETED and result.checkpoint is not None:
        # Only now: a job that is killed before its result stands goes on from its last state.
        remove_what_is_not_kept(folder.job, spec.keep, folder.job.path / result.checkpoint)
    return _EXIT_CODES.get(result.outcome, 1)


def _follow(folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec, place: Place) -> None:
    _get_ready(folder, config, spec)
    follow_training(folder, config, spec, place)


def _execute(
    folder: AttemptFolder,
    config: Mapping[str, Any],
    spec: AttemptSpec,
    stop: StopRequest,
    started: float,
    place: Place,
) -> AttemptResult:
    if spec.mode == "import":
        return AttemptResult(folder.number, AttemptOutcome.COMPLETED, finished_at=time.time())
    if spec.mode == "check":
        from runners.check_job import check_job

        return check_job(folder, config, spec)
    if spec.mode == "probe":
        from runners.probe_job import probe_job

        return probe_job(folder, config, spec, stop)
    return train_job(folder, config, spec, stop, started, place)


def _get_ready(folder: AttemptFolder, config: Mapping[str, Any], spec: AttemptSpec) -> None:
    """Make everything that the config may name known to this process, and see that it names nothing else.

    Each of several processes does so for itself, with its device at hand: code of the project's may ask for it.
    """
    prepare_process(spec)
    import_plugins(config, folder.job.path)
    refuse_foreign_code(config)
    refuse_unserved(ops_of(config["model"]))


def prepare_process(spec: AttemptSpec) -> None:
    """Give the process its threads and its device.

    Raises:
        UserError: the device is not there; a job never trains on another one by accident.
    """
    torch.set_num_threads(max(1, spec.n_threads // spec.n_devices))
    init_default_scope("mmdet")
    mend_mmdet()
    awaken(spec.device)
    if spec.device == "cuda" and not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise UserError(f"device in spec.json: cuda, but PyTorch finds no usable GPU (CUDA_VISIBLE_DEVICES: {visible})")


def _situation(config: Mapping[str, Any], spec: AttemptSpec) -> str:
    return f"{spec.batch_per_step} images per step at {config['image_size']['name']} on {spec.device}"
