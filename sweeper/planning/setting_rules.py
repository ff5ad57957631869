"""Which type and range each setting may have: one table, and an override keeps the type of its default."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runners.contract.held_back import LEAST_SHARE, MOST_SHARE
from runners.contract.metrics import BEST_BY
from runners.contract.records import KeptCheckpoints

# Where MMDetection itself takes null for "leave it out"; elsewhere null is refused unless it is the default.
NULLABLE_NODES = ("model", "pipeline", "optim_wrapper", "param_scheduler", "load_from", "custom_hooks")
# Settings that take a number, a list or a word; the table says which.
SEVERAL_KINDS = (
    *("gpus", "jobs_per_gpu", "probe", "plugins"),
    *("search.sampler", "search.pruner", "search.objectives"),
)
NULLABLE_SPLITS = ("dataset.val", "dataset.test")


@dataclass(frozen=True)
class Rule:
    """What one setting may be.

    Attributes:
        wanted: the rule in words.
        accepts: whether a value that is not null follows it.
        takes_null: whether null does.
    """

    wanted: str
    accepts: Callable[[Any], bool]
    takes_null: bool = False

    def is_kept(self, value: Any) -> bool:
        """Whether a value follows the rule."""
        return self.takes_null if value is None else self.accepts(value)


def whole(low: int, high: int | None = None, takes_null: bool = False) -> Rule:
    """Return the rule of a whole number."""
    ends = f"from {low} to {high}" if high is not None else f"from {low}"
    words = f"a whole number {ends}{', or null' if takes_null else ''}"
    return Rule(words, lambda value: _is_whole(value) and low <= value <= (value if high is None else high), takes_null)


def number(low: float, high: float | None = None, low_is_out: bool = False) -> Rule:
    """Return the rule of a finite number."""
    ends = f"{'above' if low_is_out else 'from'} {low}" + (f", at most {high}" if high is not None else "")

    def accepts(value: Any) -> bool:
        if not _is_number(value) or not math.isfinite(value) or (high is not None and value > high):
            return False
        return bool(value > low if low_is_out else value >= low)

    return Rule(f"a finite number {ends}", accepts)


def share(low: float, high: float) -> Rule:
    """Return the rule of a part of a whole, or null for none of it."""
    return Rule(
        f"a share from {low} to {high}, or null", lambda value: _is_number(value) and low <= value <= high, True
    )


def choice(*names: str) -> Rule:
    """Return the rule of a word out of several."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


_TEXT = Rule("text", lambda value: isinstance(value, str) and bool(value))
_TRUTH = Rule("true or false", lambda value: isinstance(value, bool))
_SIDE_PX = whole(32, 4096)  # below 32 the coarsest level of the neck has no pixel left

# The one table of ranges. A key that a config has not is not looked at.
SETTINGS: Mapping[str, Rule] = {
    "seed": whole(0, 2**32 - 1),
    "fold": whole(0, takes_null=True),
    "batch_size": whole(1, 65536),
    "n_epochs": whole(1, 100_000),
    "best_by": choice(*BEST_BY),
    "precision": choice("fp32", "bf16", "fp16"),
    "optimizer.lr": number(0, low_is_out=True),
    "optimizer.momentum": number(0, 1),
    "optimizer.weight_decay": number(0),
    "schedule.warmup_steps": whole(0),
    "image_size.scale": Rule(
        f"two sides in pixels, [WIDTH, HEIGHT], each {_SIDE_PX.wanted}",
        lambda value: isinstance(value, list) and len(value) == 2 and all(map(_SIDE_PX.accepts, value)),
    ),
    "image_size.keep_ratio": _TRUTH,
    "evaluation.n_train_images": whole(0),
    "dataset.root": Rule("a folder", _TEXT.accepts, takes_null=True),  # null: generated data has its own place
    "dataset.n_folds": whole(2, 1000, takes_null=True),
    "dataset.split_seed": whole(0),
    "dataset.hold_back": share(LEAST_SHARE, MOST_SHARE),
    "dataset.skip_broken_images": _TRUTH,
    "dataset.group_by": Rule("a key of the image records, or null", _TEXT.accepts, takes_null=True),
    "gpus": Rule("all, none, or device numbers such as 0,1", lambda value: isinstance(value, str | int | list)),
    "jobs_per_gpu": Rule(
        "a whole number from 1 to 64, or auto", lambda value: value == "auto" or (_is_whole(value) and 1 <= value <= 64)
    ),
    "devices_per_job": whole(1, 64),
    "busy_gpus": choice("wait", "use"),
    "probe": Rule("auto, true or false", lambda value: value == "auto" or isinstance(value, bool)),
    "share": choice("private", "group"),
    "keep": choice(*get_args(KeptCheckpoints)),
    "check_disk": _TRUTH,
    "reuse": _TRUTH,
    "max_losses": whole(1),
    "first_step_limit_min": number(0, low_is_out=True),
    "step_limit_min": number(0, low_is_out=True),
    "plugins": Rule(
        "names of packages or modules of the project, [trash_augs]",
        lambda value: (
            isinstance(value, str) or (isinstance(value, list) and all(isinstance(name, str) for name in value))
        ),
    ),
    "entry": Rule(
        "a Python module", lambda value: isinstance(value, str) and re.fullmatch(r"[\w.]+", value) is not None
    ),
    "n_workers": whole(0, 256, takes_null=True),
    "batch_per_step": whole(1, takes_null=True),
    "job_limit": whole(1),
    "output_dir": Rule("a folder", _TEXT.accepts),
    # It becomes part of a folder's name.
    "name": Rule(
        "up to 60 letters, digits and . _ -, or null",
        lambda value: isinstance(value, str) and re.fullmatch(r"[\w][\w.\-]{0,59}", value) is not None,
        takes_null=True,
    ),
    "tracking.uri": Rule("an address, or null", _TEXT.accepts, takes_null=True),
    "tracking.experiment": _TEXT,
    "tracking.required": _TRUTH,
    "tracking.log_checkpoints": _TRUTH,
}


def range_problems(config: DictConfig, keys: Sequence[str] = tuple(SETTINGS)) -> list[str]:
    """Return a line for each setting whose value breaks its rule.

    Args:
        config: a composed config; values that cannot be resolved yet are left to `resolve`.
        keys: which settings of the table are looked at.
    """
    problems = []
    for key in keys:
        rule = SETTINGS.get(key)
        if rule is None or not _has(config, key):
            continue
        try:
            value = OmegaConf.select(config, key, throw_on_missing=True)
        except OmegaConfBaseException:
            continue
        value = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        if not rule.is_kept(value):
            problems.append(f"value out of range in {key}: {_shown(value)}; {rule.wanted}")
    return problems


def type_problem(key: str, default: Any, value: Any, line: str) -> str | None:
    """Return a line if an override does not keep the type of what it replaces.

    A number stays a number; whether it has to be whole is the table's affair, for YAML writes 10 where 10.0 is meant.

    Args:
        key: the overridden key.
        default: what the config holds without the override.
        value: the new value.
        line: the override as it was given.
    """
    rule = SETTINGS.get(key)
    if value is None:
        can_be_left_out = key in NULLABLE_SPLITS or key.partition(".")[0] in NULLABLE_NODES
        if default is None or can_be_left_out or (rule and rule.takes_null):
            return None
    elif default is None or key in SEVERAL_KINDS or _is_open(value) or _is_of_a_kind(default, value):
        return None
    what = f"{_kind(value)} {_shown(value)}" if value is not None else "null"
    wanted = rule.wanted if rule else _kind(default)
    quote = isinstance(default, str) and _is_number(value)
    hint = f"; to mean text, quote it: \"{key}='{value}'\"" if quote else ""
    return f"wrong type in override '{line}': {what}; wanted {wanted}, such as {_shown(default)}{hint}"


def batch_problems(config: DictConfig, n_images: int) -> list[str]:
    """Return a line if a batch is larger than the training split.

    Args:
        config: a composed config.
        n_images: images of the training split.
    """
    batch_size = OmegaConf.select(config, "batch_size")
    if not _is_whole(batch_size) or batch_size <= n_images:
        return []
    return [f"value out of range in batch_size: {batch_size}; the training split has {n_images} images"]


def class_count_problems(config: DictConfig, n_classes: int) -> list[str]:
    """Return a line for each `num_classes` in the model that the data set contradicts.

    Args:
        config: a composed config.
        n_classes: classes of the data set.
    """
    model = OmegaConf.to_container(config.model, resolve=False) if "model" in config else {}
    return [
        f"number of classes differs from the data in {key}: {value}, but the data set has {n_classes}; "
        "leave it to follow the data"
        for key, value in _numbers_of_classes(model, "model")
        if _is_whole(value) and value != n_classes
    ]


def _numbers_of_classes(node: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(node, list):
        return [pair for number, entry in enumerate(node) for pair in _numbers_of_classes(entry, f"{key}.{number}")]
    if not isinstance(node, dict):
        return []
    # What proposes boxes has no classes, or one.
    has_classes = "num_classes" in node and not key.endswith("rpn_head")
    own = [(f"{key}.num_classes", node["num_classes"])] if has_classes else []
    return own + [pair for name, entry in node.items() for pair in _numbers_of_classes(entry, f"{key}.{name}")]


def _has(config: DictConfig, key: str) -> bool:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or part not in node:
            return False
        node = node._get_node(part)
    return True


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_link(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _is_of_a_kind(default: Any, value: Any) -> bool:
    if isinstance(default, list) and isinstance(value, list):
        return not _holds_numbers(default) or _holds_numbers(value)
    return _kind(default) == _kind(value)


def _holds_numbers(values: list[Any]) -> bool:
    return bool(values) and all(_is_number(entry) or _is_link(entry) for entry in values)


def _is_open(value: Any) -> bool:
    """Whether the value is not known yet, or said to be missing; both are looked at when the config is resolved."""
    return value == "???" or _is_link(value)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    if _is_number(value):
        return "a number"
    if isinstance(value, list):
        return "a list of numbers" if _holds_numbers(value) else "a list"
    return "a mapping" if isinstance(value, Mapping) else "text"


def _shown(value: Any) -> str:
    """Return a value as YAML would write it, cut to a line's length."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
