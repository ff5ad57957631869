"""Hooks that a job's config names, mmengine's, mmdet's or the project's own, beside those of detsweep."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from runners.contract.errors import UserError
from runners.hooks.ema import SteppedEMAHook

# The config's key: names to configs of hooks, or to None; names say nothing but which of them another file changes.
KEY = "custom_hooks"

# Hooks that would do again, or against each other, what detsweep does; and what is there instead.
REFUSED = {
    "CheckpointHook": "keep=best, best+last or all says which checkpoints stay",
    "LoggerHook": "losses and metrics go to the tracking store and to metrics.jsonl by themselves",
    "RuntimeInfoHook": "epoch and iteration are in mmengine's MessageHub by themselves",
    "IterTimerHook": "pace is measured by itself, cost/iteration_s",
    "ParamSchedulerHook": "it is there already; param_scheduler is what it steps",
    "DistSamplerSeedHook": "it is there already; seed= orders the images",
    "EarlyStoppingHook": "jobs that are compared train equally long: n_epochs; detsweep stop JOB ends one",
    "PrepareTTAHook": "detsweep evaluate RUN tta=flip tests with augmentation",
    "NaiveVisualizationHook": "predictions are stored, and detsweep predict RUN draws them",
    "DetVisualizationHook": "predictions are stored, and detsweep predict RUN draws them",
    "TrackVisualizationHook": "detsweep trains detectors, and tracks nothing",
    "GroundingVisualizationHook": "predictions are stored, and detsweep predict RUN draws them",
    "ProfilerHook": "probe=true measures pace and memory of each model",
    "NPUProfilerHook": "probe=true measures pace and memory of each model",
}


def hook_problem(name: str, place: str) -> str | None:
    """Return a line if a hook is not to be used beside detsweep's.

    Args:
        name: as it is registered.
        place: in the config, for the line.
    """
    return f"hook not allowed in {place}: {name}; leave it out: {REFUSED[name]}" if name in REFUSED else None


def listed_hooks(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the hooks of a job's config as MMDetection lists them.

    Raises:
        UserError: a hook without a type.
    """
    hooks = {name: hook for name, hook in (config.get(KEY) or {}).items() if hook is not None}
    nameless = [name for name, hook in hooks.items() if not isinstance(hook, Mapping) or "type" not in hook]
    if nameless:
        raise UserError(
            f"hook without a type in {KEY}.{nameless[0]}: {hooks[nameless[0]]}; write {{type: EMAHook, ...}}, or null"
        )
    return [dict(hook) for hook in hooks.values()]


def build_hook(config: Mapping[str, Any]) -> Hook:
    """Build one hook of a config.

    Raises:
        UserError: it does not take its arguments.
    """
    arguments = {key: value for key, value in config.items() if key != "priority"}
    if arguments["type"] in ("EMAHook", "mmengine.EMAHook"):
        arguments["type"] = SteppedEMAHook.__name__
    try:
        hook: Hook = HOOKS.build(arguments)
    except (TypeError, ValueError, AssertionError) as error:
        # mmengine tells the class, its module and all that the constructor said.
        told = " ".join(str(error).split())
        raise UserError(f"arguments of a hook in {KEY}: {config['type']}: {told}; change them") from error
    if "priority" in config:
        hook.priority = config["priority"]
    return hook


def call_custom(runner: Runner, name: str, **arguments: Any) -> None:
    """Call a method of the hooks that the config names, in the order of their priorities; detsweep's own hear nothing.

    Args:
        runner: a `runners.training.JobRunner`; another has no such hooks.
        name: of the method.
        arguments: of the method, behind the runner.
    """
    for hook in custom_hooks(runner):
        if hasattr(hook, name):
            getattr(hook, name)(runner, **arguments)


def custom_hooks(runner: Runner) -> list[Hook]:
    """Return the hooks of a runner that the config names, in the order of their priorities."""
    custom: Sequence[Hook] = getattr(runner, "custom", ())
    return [hook for hook in runner.hooks if hook in custom] if custom else []
