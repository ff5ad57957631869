"""What a config may name: the parts that MMDetection's registries know, and nothing that would run other code.

MMEngine looks a ``type`` up in its registries and, where it is in none, imports it by its dotted path and calls it with
what stands beside it (``type: shutil.copy``); mmcv evaluates the name of a non-maximum suppression as Python. All that
a config names is checked here before anything is built from it.
"""

import difflib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import mmcv.ops
import mmdet.registry
import mmengine.registry
from mmengine.registry import Registry

from runners.contract.errors import UserError
from runners.pipeline import import_transforms

# The registries from which a job is built; hooks, visualizers and the like come from detsweep alone.
_REGISTRIES = (
    "MODELS",
    "TASK_UTILS",
    "TRANSFORMS",
    "DATASETS",
    "DATA_SAMPLERS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "PARAM_SCHEDULERS",
    "WEIGHT_INITIALIZERS",
)
_SCOPES = ("mmdet", "mmengine", "mmcv")

# Values of a ``type`` that no registry has, because mmcv, mmdet and mmengine compare them with words of their own.
_WORDS = frozenset(
    [
        *("nms", "soft_nms", "nms_match", "nms_rotated"),  # the operators of a non-maximum suppression
        *("norm", "value"),  # how gradients are clipped
        *("dilation", "offset"),  # Cascade RPN's adaptation
        *("conv", "interpolation_conv", "last_conv"),  # FPG's transitions
    ]
)
# Evaluates one of its arguments as Python; it tracks objects through videos.
_EVALUATING = frozenset(["CameraMotionCompensation"])

# Keys whose value MMEngine looks up in a registry.
_NAMING_KEYS = ("type", "constructor")
# Keys by which MMEngine or Hydra would import, call, or replace parts of the config.
_REFUSED_KEYS = ("_base_", "_delete_", "_scope_", "_target_", "_args_", "_partial_", "custom_imports", "custom_hooks")
# With these in a key, the job's ``config.py`` would hold code instead of a key.
_REFUSED_IN_KEYS = "'\\\n\r"

_N_NEAREST = 3


def refuse_foreign_code(config: Mapping[str, Any]) -> None:
    """Check everything in a job's config that names code.

    Raises:
        UserError: names that no registry has, and keys that would have other code run, each with its place.
    """
    problems = list(_problems(config, ""))
    if problems:
        raise UserError(*problems)


@functools.cache
def known_names() -> frozenset[str]:
    """Return what a ``type`` may be, without its scope."""
    import_transforms()
    names = set(_WORDS).union(mmcv.ops.__all__)  # regions of interest are cut out by an operator, named as it is
    for name in _REGISTRIES:
        for package in (mmengine.registry, mmdet.registry):
            registry = getattr(package, name)
            if isinstance(registry, Registry):
                registry.import_from_location()
                names |= set(registry.module_dict)
    return frozenset(names - _EVALUATING)


def _problems(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            inner = f"{place}.{key}" if place else str(key)
            if key in _REFUSED_KEYS:
                yield f"key not allowed in {inner}: {entry!r}; a job's config is plain data, leave it out"
            elif any(character in str(key) for character in _REFUSED_IN_KEYS):
                yield f"characters not allowed in key {inner!r}: quote, backslash or line break; rename it"
            elif key in _NAMING_KEYS:
                yield from _name_problems(entry, inner)
            else:
                yield from _problems(entry, inner)
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from _problems(entry, f"{place}[{number}]")


def _name_problems(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from _name_problems(entry, f"{place}[{number}]")
    elif not isinstance(value, str):
        yield f"unknown name in {place}: {value!r}; wanted the name of a part of MMDetection"
    elif _without_scope(value) not in known_names():
        nearest = difflib.get_close_matches(value.rpartition(".")[2], known_names(), _N_NEAREST)
        choices = f"the nearest are {', '.join(nearest)}" if nearest else "nothing has a name like it"
        yield f"unknown name in {place}: {value}; wanted one that MMDetection has registered ({choices})"


def _without_scope(name: str) -> str:
    scope, _, rest = name.partition(".")
    return rest if scope in _SCOPES and rest else name
