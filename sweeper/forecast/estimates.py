"""What a job will need, from what was measured where there is something, and from a first guess where there is not.

`Estimator` learns while a sweep runs: a finished job corrects those like it exactly, and all others on the device by
how far the first guess was off, in the median.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from runners.contract import metrics as names
from sweeper.forecast.first_guess import Pace, guess_memory, guess_pace, job_seconds
from sweeper.forecast.learnt import Known, Learnt
from sweeper.forecast.measurements import Measurement, Origin, device_key
from sweeper.forecast.workload import FORWARDS_IN_A_STEP, Workload, read_workload

# What memory is multiplied with, by how well it is known.
MARGINS = {"measured": 1.1, "probe": 1.15, "zoo": 1.3, "model": 1.5}

# The CUDA driver's own memory in each process, which PyTorch's allocator does not see.
CUDA_CONTEXT_GB = 0.5

# A few small jobs say little about the memory of large ones: they may raise a guess, and lower it a little.
_LOWEST_MEMORY_RATIO = 0.8

# A job whose wall time is shorter than its epochs was measured in part only: it went on from an earlier attempt.
_WHOLE = 0.9


@dataclass(frozen=True)
class DeviceKind:
    """The devices of a sweep, which are taken to be alike.

    Attributes:
        kind: ``cuda`` or ``cpu``.
        name: of the GPU or the processor.
        n_threads: CPU threads of a job.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    n_threads: int = 1

    @property
    def label(self) -> str:
        """What measurements are kept under: on a CPU, the number of threads decides."""
        return self.name if self.kind == "cuda" else f"{self.name} x{self.n_threads}"


@dataclass(frozen=True)
class Estimate:
    """What a job will need.

    Attributes:
        expected_s: seconds on its devices, the start and the final evaluations with it; 0 where nothing is known.
        memory_gb: of each device in 1e9 bytes, margin and driver with it; 0 where nothing is known.
        source: of the memory, and of the pace where it was measured: ``measured`` (a finished job of the same work),
            ``probe``, ``zoo`` (mmdet's published memory, scaled), ``model`` (multiply-adds and the like), ``unknown``.
        is_rough: nothing was timed on this device yet, so that `expected_s` may be off by a factor.
    """

    expected_s: float
    memory_gb: float
    source: str
    is_rough: bool = False


class Estimator:
    """Estimates jobs on one kind of device.

    Args:
        measurements: of earlier sweeps; those of other devices are left aside.
        device: where the jobs will run.
    """

    def __init__(self, measurements: Sequence[Measurement], device: DeviceKind) -> None:
        self._device = device
        self._learnt = Learnt()
        self._context_gb = CUDA_CONTEXT_GB if device.kind == "cuda" else 0.0
        for measurement in measurements:
            if measurement.device == device.label:
                self._learnt.add(measurement)

    def estimate(
        self,
        config: Mapping[str, Any],
        n_images: Mapping[str, int],
        batch_per_step: int,
        accumulation: int,
        n_devices: int = 1,
    ) -> Estimate:
        """Estimate a job.

        Args:
            config: its resolved config.
            n_images: images of each split there is.
            batch_per_step: images in one forward pass, the sum over its devices.
            accumulation: forward passes in one optimizer step.
            n_devices: devices that it occupies.
        """
        return self.estimate_workload(read_workload(config, n_images, batch_per_step, accumulation, n_devices))

    def estimate_workload(self, workload: Workload) -> Estimate:
        """Estimate a job whose config was read before, as a running sweep does again and again with all that wait."""
        known = self._known_of(workload)
        memory_gb, source = self._memory(workload, known)
        pace = self._pace(workload, known)
        expected_s = 0.0
        if pace is not None:
            ratio = known.wall_ratio if known is not None and known.wall_ratio else self._learnt.ratio("wall")
            expected_s = job_seconds(workload, pace) * (ratio or 1.0)
        is_timed = (known is not None and known.iteration_s > 0.0) or self._learnt.ratio("iteration") is not None
        return Estimate(expected_s, memory_gb, source, is_rough=pace is not None and not is_timed)

    def learn(
        self,
        config: Mapping[str, Any],
        result_metrics: Mapping[str, float],
        batch_per_step: int,
        accumulation: int,
        n_images: Mapping[str, int],
        n_devices: int = 1,
        origin: Origin = "job",
        at: float = 0.0,
    ) -> Measurement:
        """Take a finished job, or a probe, into account; return what to append to the file of measurements.

        Args:
            config: its resolved config.
            result_metrics: of its result, under the names of `runners.contract.metrics`.
            batch_per_step: images in one forward pass, the sum over its devices.
            accumulation: forward passes in one optimizer step.
            n_images: images of each split there is.
            n_devices: devices that it occupied.
            origin: what it was.
            at: wall-clock seconds since the epoch.
        """
        workload = read_workload(config, n_images, batch_per_step, accumulation, n_devices)
        kind = self._device.kind
        guess = guess_pace(workload, kind, self._device.n_threads) or Pace(0.0, 0.0)
        memory = guess_memory(workload, kind)
        measured = Measurement(
            key=device_key(workload.key, self._device.label),
            device=self._device.label,
            origin=origin,
            peak_memory_gb=self._peak_memory_gb(result_metrics),
            iteration_s=_iteration_s(result_metrics, batch_per_step, n_devices, origin),
            validation_image_s=_number(result_metrics, names.VALIDATION_IMAGE_S),
            guessed_memory_gb=memory[0] + self._context_gb if memory else 0.0,
            guessed_iteration_s=guess.iteration_s,
            guessed_validation_image_s=guess.validation_image_s,
            wall_ratio=0.0,
            title=str(config.get("title", "")),
            at=at,
        )
        measured = replace(measured, wall_ratio=_wall_ratio(workload, measured, result_metrics))
        self._learnt.add(measured)
        return measured

    def _peak_memory_gb(self, result_metrics: Mapping[str, float]) -> float:
        """Return what has to be free for a job, on its device or, on a CPU, in the host."""
        if self._device.kind == "cpu":
            return _number(result_metrics, names.PEAK_HOST_GB)
        allocated_gb = _number(result_metrics, names.PEAK_MEMORY_GB)
        in_all_gb = _number(result_metrics, names.PEAK_DEVICE_GB)
        return in_all_gb or (allocated_gb + self._context_gb if allocated_gb else 0.0)

    def _known_of(self, workload: Workload) -> Known | None:
        return self._learnt.of(device_key(workload.key, self._device.label))

    def _memory(self, workload: Workload, known: Known | None) -> tuple[float, str]:
        if known is not None and known.peak_memory_gb:
            source = "measured" if known.origin == "job" else "probe"
            return known.peak_memory_gb * MARGINS[source], source
        guess = guess_memory(workload, self._device.kind)
        if guess is None:
            return 0.0, "unknown"
        guess_gb, origin = guess
        ratio = max(self._learnt.ratio("memory") or 1.0, _LOWEST_MEMORY_RATIO)
        return (guess_gb + self._context_gb) * ratio * MARGINS[origin], origin

    def _pace(self, workload: Workload, known: Known | None) -> Pace | None:
        guess = guess_pace(workload, self._device.kind, self._device.n_threads)
        iteration_s = known.iteration_s if known is not None else 0.0
        validation_image_s = known.validation_image_s if known is not None else 0.0
        if guess is not None:
            iteration_s = iteration_s or guess.iteration_s * (self._learnt.ratio("iteration") or 1.0)
            # Where no evaluation was timed, it is off by as much as training.
            ratio = self._learnt.ratio("validation") or self._learnt.ratio("iteration") or 1.0
            validation_image_s = validation_image_s or guess.validation_image_s * ratio
        elif iteration_s:
            # A model that the table has not: an evaluated image costs a third of a trained one.
            validation_image_s = validation_image_s or iteration_s / workload.images_per_device / FORWARDS_IN_A_STEP
        return Pace(iteration_s, validation_image_s) if iteration_s else None


def _iteration_s(result_metrics: Mapping[str, float], batch_per_step: int, n_devices: int, origin: Origin) -> float:
    """Return the seconds of a step as the whole job saw them: images per second counts the waiting for images too."""
    images_per_s = _number(result_metrics, names.IMAGES_PER_S)
    if origin == "job" and n_devices == 1 and images_per_s:
        return batch_per_step / images_per_s
    return _number(result_metrics, names.ITERATION_S)


def _wall_ratio(workload: Workload, measured: Measurement, result_metrics: Mapping[str, float]) -> float:
    wall_s = _number(result_metrics, names.WALL_S)
    if measured.origin == "probe" or not wall_s or not measured.iteration_s or not measured.validation_image_s:
        return 0.0
    ratio = wall_s / job_seconds(workload, Pace(measured.iteration_s, measured.validation_image_s))
    return ratio if ratio >= _WHOLE else 0.0


def _number(result_metrics: Mapping[str, float], name: str) -> float:
    value = result_metrics.get(name, 0.0)
    return float(value) if math.isfinite(value) and value > 0.0 else 0.0
