"""What jobs and probes were measured to need, kept beside the sweeps for those to come."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runners.contract.jsonfile import append_line
from sweeper.forecast.workload import workload_key

FILE = "measurements.jsonl"

Origin = Literal["probe", "job"]


@dataclass(frozen=True)
class Measurement:
    """One probe or finished job; whatever was not measured is 0.

    Attributes:
        key: what `probe_key` gives for the job: its work and the device.
        device: name of the device, and of the CPU's threads.
        origin: a probe measured a few steps, a finished job all of them.
        peak_memory_gb: what had to be free for it, in 1e9 bytes: on each of its GPUs, or in the host.
        iteration_s: seconds of one forward and backward pass, loading and all.
        validation_image_s: seconds per evaluated image.
        guessed_memory_gb: what was expected before anything was measured, as are the next two.
        guessed_iteration_s: seconds.
        guessed_validation_image_s: seconds.
        wall_ratio: seconds that the whole job took, to those that its measured pace makes of it; 0 where it was seen in
            part (a probe, a resumed job).
        title: of the job, for people who open the file.
        at: wall-clock seconds since the epoch.
    """

    key: str
    device: str
    origin: Origin
    peak_memory_gb: float = 0.0
    iteration_s: float = 0.0
    validation_image_s: float = 0.0
    guessed_memory_gb: float = 0.0
    guessed_iteration_s: float = 0.0
    guessed_validation_image_s: float = 0.0
    wall_ratio: float = 0.0
    title: str = ""
    at: float = 0.0


def probe_key(config: Mapping[str, Any], batch_per_step: int, device_name: str) -> str:
    """Return what is equal for jobs that one probe answers: same model, image sizes, batch, precision and device.

    Args:
        config: a job's resolved config.
        batch_per_step: images in one forward pass on each device.
        device_name: `sweeper.forecast.estimates.DeviceKind.label`.
    """
    return device_key(workload_key(config, batch_per_step), device_name)


def device_key(key: str, device_name: str) -> str:
    """Return the key of a workload on a device."""
    return f"{key}@{device_name}"


def read_measurements(output_dir: Path) -> list[Measurement]:
    """Read what earlier sweeps of an output folder measured.

    This file only makes guesses better: a line that a full disk cut short, or that another version wrote, is left out.
    """
    path = output_dir / FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [found for line in lines if (found := _parse(line)) is not None]


def append_measurement(output_dir: Path, measurement: Measurement) -> None:
    """Append one measurement in a single write, so that sweeps side by side need no lock."""
    append_line(output_dir / FILE, dataclasses.asdict(measurement))


def _parse(line: str) -> Measurement | None:
    try:
        return Measurement(**json.loads(line))
    except (ValueError, TypeError):
        return None
