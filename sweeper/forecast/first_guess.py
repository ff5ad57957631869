"""What a job will need before anything was measured: memory from mmdet's model zoo, time from multiply-adds.

Memory of a training step = parameters, gradients and optimizer state + what the forward pass keeps + the rest (losses,
proposals, workspace). The first two are known (`sweeper.forecast.complexity`); the rest is what the zoo's published
training memory leaves, 0.7 to 0.9 GB for every model of it that the groups can build.
"""

import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runners.contract.errors import UserError
from sweeper.forecast.complexity import GROUPS, Complexity, read_table
from sweeper.forecast.workload import Workload

MemorySource = Literal["zoo", "model"]

# How the zoo measured: SGD, float32, 2 images of 1333 x 800 (padded) on each GPU, the first stage of a ResNet frozen.
_ZOO_N_IMAGES = 2
_ZOO_PX = 1344 * 800
_ZOO_N_ROIS = 512
_ZOO_N_MOMENTS = 1

# Where the zoo cannot be read.
_REST_GB = 0.85
# The part of the rest that is there with the smallest batch (RetinaNet R-18: 1.7 GB with 2 images, 5.0 GB with 8).
_FIXED_REST = 0.4
# What bf16 and fp16 leave of it (the zoo's two models with mixed precision: Faster R-CNN 0.74, RetinaNet 0.56).
_REDUCED = 0.65

# The process with PyTorch and MMDetection imported, on the CPU.
_HOST_GB = 0.75

# 1e9 multiply-adds per second. GPU: Faster R-CNN R-50 at 1333 x 800 takes 0.21 s for a step of 2 images on a V100
# (Detectron2's model zoo); newer ones are faster. CPU: the same model at 256 px, 2.75 s on 2 cores with AVX-512.
_GPU_ADDS_G_PER_S = 5900.0
_THREAD_ADDS_G_PER_S = 20.0
_REDUCED_SPEEDUP = 1.5
# Seconds of a step, and of an evaluated image, that no multiply-add explains: small operators, losses, suppression.
_STEP_S = {"cuda": 0.05, "cpu": 0.08}
_IMAGE_S = {"cuda": 0.02, "cpu": 0.02}
# What the exchange of gradients adds where devices train together.
_EXCHANGE = 1.1

_START_S = 3.0
_SAVED_BYTES_PER_S = 300e6


@dataclass(frozen=True)
class Pace:
    """How fast a job goes.

    Attributes:
        iteration_s: seconds of one forward and backward pass.
        validation_image_s: seconds per evaluated image.
    """

    iteration_s: float
    validation_image_s: float


def guess_pace(workload: Workload, kind: Literal["cpu", "cuda"], n_threads: int) -> Pace | None:
    """Return how fast a job may go on a device of which nothing is known; None for an unknown model."""
    step_adds_g, test_adds_g = workload.step_adds_g, workload.test_adds_g
    if step_adds_g is None or test_adds_g is None:
        return None
    adds_g_per_s = _GPU_ADDS_G_PER_S if kind == "cuda" else _THREAD_ADDS_G_PER_S * n_threads
    speedup = 1.0 if workload.precision == "fp32" else _REDUCED_SPEEDUP
    step_s = _STEP_S[kind] + step_adds_g / (adds_g_per_s * speedup)
    # Evaluation is always float32.
    return Pace(step_s * (_EXCHANGE if workload.n_devices > 1 else 1.0), _IMAGE_S[kind] + test_adds_g / adds_g_per_s)


def job_seconds(workload: Workload, pace: Pace) -> float:
    """Return the seconds of a whole job at a pace: start, epochs with their checkpoints, final evaluations."""
    epoch_s = workload.n_steps * pace.iteration_s + workload.n_val_images * pace.validation_image_s
    epoch_s += state_bytes(workload) / _SAVED_BYTES_PER_S
    return _START_S + workload.n_epochs * epoch_s + workload.n_final_images * pace.validation_image_s


def state_bytes(workload: Workload) -> float:
    """Return the size of a full training state: parameters and what the optimizer keeps; 0 for an unknown model."""
    return weight_bytes(workload) * (1 + workload.n_moments)


def weight_bytes(workload: Workload) -> float:
    """Return the size of the weights in float32; 0 for an unknown model."""
    return 0.0 if workload.complexity is None else workload.complexity.parameters_m * 4e6


def guess_memory(workload: Workload, kind: Literal["cpu", "cuda"]) -> tuple[float, MemorySource] | None:
    """Return the peak memory of a job in 1e9 bytes, without margin, and where it is from; None for an unknown model.

    On a GPU it is what PyTorch's allocator will count, as the zoo does: the driver's own context comes on top.
    """
    complexity = workload.complexity
    if complexity is None:
        return None
    choices = tuple(workload.choices[group] for group in GROUPS)
    published = _published_rests().get(choices)
    rest = _usual_rest(choices[0]) if published is None else published
    n_images, px = workload.images_per_device, workload.largest_px
    is_reduced = workload.precision != "fp32"
    kept_b_per_px = complexity.saved_b_per_px_thawed if workload.is_thawed else complexity.saved_b_per_px
    kept = _kept_gb(complexity, kept_b_per_px, n_images, px, workload.n_rois) * (_REDUCED if is_reduced else 1.0)
    static = _static_gb(complexity, workload.n_moments)
    # Autocast keeps a copy of the weights in 2 bytes, training on several devices one of the gradients.
    static += complexity.parameters_m / 1e3 * (2 * is_reduced + 4 * (workload.n_devices > 1))
    share = (1 - _FIXED_REST) * n_images * px / (_ZOO_N_IMAGES * _ZOO_PX)
    rest *= share + (_FIXED_REST if kind == "cuda" else 0.0)  # a GPU's libraries want room to work in
    total = static + kept + rest + (_HOST_GB if kind == "cpu" else 0.0)
    return total, "model" if published is None else "zoo"


def _static_gb(complexity: Complexity, n_moments: int) -> float:
    return complexity.parameters_m / 1e3 * (4 + 4 + 4 * n_moments)


def _kept_gb(complexity: Complexity, b_per_px: float, n_images: int, px: float, n_rois: int) -> float:
    return n_images * (b_per_px * px / 1e9 + complexity.saved_kb_per_roi * n_rois / 1e6)


@functools.cache
def _published_rests() -> Mapping[tuple[str, ...], float]:
    """Return, for each combination that the zoo has, what its published memory leaves when the known is taken off."""
    rests = {}
    for choices, complexity in read_table().items():
        memory_gb = _published_gb(dict(zip(GROUPS, choices, strict=True)))
        if memory_gb is not None:
            known = _static_gb(complexity, _ZOO_N_MOMENTS)
            n_rois = _ZOO_N_ROIS if complexity.saved_kb_per_roi else 0
            known += _kept_gb(complexity, complexity.saved_b_per_px, _ZOO_N_IMAGES, _ZOO_PX, n_rois)
            rests[choices] = memory_gb - known
    return rests


def _published_gb(choices: Mapping[str, str]) -> float | None:
    from reports.zoo import find_entry

    try:
        entry = find_entry({**choices, "n_epochs": "12"})
    except UserError:  # an mmdet without its metafiles trains all the same
        return None
    return None if entry is None else entry.memory_gb


def _usual_rest(detector: str) -> float:
    """Return the rest of the zoo's models of a detector, or of all there are."""
    rests = _published_rests()
    alike = [rest for choices, rest in rests.items() if choices[0] == detector] or list(rests.values())
    return statistics.median(alike) if alike else _REST_GB
