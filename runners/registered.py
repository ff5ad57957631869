"""The names that MMDetection's registries know by now, and which registry a place of a job's config is looked up in."""

import re
from collections.abc import Iterator

import mmcv.ops
import mmengine.registry
from mmengine.registry import Registry

from runners.pipeline import import_transforms

HOOKS = "HOOKS"
# The registries from which a job is built; visualizers, loops and the like come from detsweep alone.
REGISTRIES = (
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
# A name of these is found without its scope, and with it.
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

# What tells the registry of a ``type`` in a config: a pattern of its place, list indices left out.
_PLACES = (
    (r"custom_hooks\.[^.]+\.type", HOOKS),
    (r"(.*\.)?(pipeline|switch_pipeline)\b.*", "TRANSFORMS"),
    (r"optim_wrapper\.optimizer\.type", "OPTIMIZERS"),
    (r"optim_wrapper\.type", "OPTIM_WRAPPERS"),
    (r"(.*\.)?constructor", "OPTIM_WRAPPER_CONSTRUCTORS"),
    (r"param_scheduler\b.*", "PARAM_SCHEDULERS"),
    (r".*\binit_cfg\.type", "WEIGHT_INITIALIZERS"),
    (r"model\..*(assigner|sampler|coder|generator|iou_calculator|calculator|cost|costs)\.type", "TASK_UTILS"),
    (r"model\..*(?<!nms)\.type|model\.type|.*\.ema_type", "MODELS"),
)


def registry_of(place: str) -> str | None:
    """Return the registry that a name at a place of a job's config is looked up in, as far as the place tells.

    Args:
        place: dotted keys, list indices in brackets, ``model.bbox_head[0].loss_cls.type``.
    """
    keys = re.sub(r"\[\d+\]", "", place)
    return next((registry for pattern, registry in _PLACES if re.fullmatch(pattern, keys)), None)


def known_names(registry: str | None = None) -> frozenset[str]:
    """Return what a ``type`` may be: without its scope, or with it where it is found in no other way.

    Args:
        registry: only what this one has; by default what all have from which models, data and optimizers are built.
    """
    import_transforms()
    if registry is not None:
        return frozenset(_names(registry)) - _EVALUATING
    # Regions of interest are cut out by an operator, named as it is.
    names = set(_WORDS).union(mmcv.ops.__all__, *(_names(each) for each in REGISTRIES))
    return frozenset(names - _EVALUATING)


def without_scope(name: str) -> str:
    """Return a name as `known_names` has it."""
    scope, _, rest = name.partition(".")
    return rest if scope in _SCOPES and rest else name


def _names(registry: str) -> Iterator[str]:
    root = getattr(mmengine.registry, registry)
    yield from _names_below(root)


def _names_below(registry: Registry) -> Iterator[str]:
    registry.import_from_location()
    scope = "" if registry.scope in _SCOPES else f"{registry.scope}."
    yield from (f"{scope}{name}" for name in registry.module_dict)
    for child in registry.children.values():
        yield from _names_below(child)
