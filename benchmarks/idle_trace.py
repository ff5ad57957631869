"""Sixty trainings of the study's mix, and how long each takes; ``python -m benchmarks.idle_trace`` writes them anew.

2 detectors x 5 backbones x 2 image sizes x 3 seeds. How long a training takes follows from its multiply-adds
(`sweeper/forecast/complexity.csv`, counted with the real models): a step costs three forward passes, the data set has
5,000 images, 12 epochs are trained, and the device does 10^13 multiply-adds a second of what detectors ask of it. Only
the relations matter; the benchmark scales them. What the schedule is told is off by a factor: one for each model and
size, log-normal with a sigma of 0.2, as for a model of the device that is wrong in the same way for all seeds; and jobs
of one model differ by a sigma of 0.03.
"""

import csv
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweeper.forecast.complexity import find_complexity

TRACE = Path(__file__).with_name("idle_trace.csv")
DETECTORS = ("faster_rcnn", "cascade_rcnn")
BACKBONES = ("resnet50", "resnet101", "resnext101_32x4d", "swin_t", "swin_l")
SIZES_PX = (512, 1024)
SEEDS = (0, 1, 2)
N_IMAGES, N_EPOCHS, N_PROPOSALS = 5000, 12, 512
FORWARDS_PER_STEP = 3
ADDS_PER_S = 1e13
SIGMA_MODEL, SIGMA_JOB = 0.2, 0.03


@dataclass(frozen=True)
class TracedJob:
    """One training.

    Attributes:
        title: what it is called.
        expected_min: what the schedule is told.
        actual_min: what it takes.
    """

    title: str
    expected_min: float
    actual_min: float


def read_trace(path: Path = TRACE) -> list[TracedJob]:
    """Return the recorded trace, in the order of a plan."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [TracedJob(row["title"], float(row["expected_min"]), float(row["actual_min"])) for row in rows]


def make_trace(seed: int = 0) -> Iterator[TracedJob]:
    """Yield the trace, made from multiply-adds and a seed."""
    chance = random.Random(seed)
    for detector, backbone, size_px in itertools.product(DETECTORS, BACKBONES, SIZES_PX):
        usual_min = _training_min(detector, backbone, size_px)
        told_min = usual_min * math.exp(chance.gauss(0, SIGMA_MODEL))
        for number in SEEDS:
            actual_min = usual_min * math.exp(chance.gauss(0, SIGMA_JOB))
            title = f"{detector}_{backbone}_{size_px}_s{number}"
            yield TracedJob(title, round(told_min, 1), round(actual_min, 1))


def _training_min(detector: str, backbone: str, size_px: int) -> float:
    found = find_complexity({"detector": detector, "backbone": backbone, "neck": "fpn", "width": "standard"})
    if found is None:
        raise LookupError(f"no {detector} with {backbone} in sweeper/forecast/complexity.csv")
    forward = found.adds_g_per_mpx * 1e9 * size_px**2 / 1e6 + found.adds_m_per_proposal * 1e6 * N_PROPOSALS
    return FORWARDS_PER_STEP * forward * N_IMAGES * N_EPOCHS / ADDS_PER_S / 60


def main() -> None:
    """Write the file."""
    with TRACE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["title", "expected_min", "actual_min"])
        writer.writerows([job.title, job.expected_min, job.actual_min] for job in make_trace())


if __name__ == "__main__":
    main()
