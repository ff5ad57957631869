"""What measurements say together: of one kind of work, and of how far first guesses are off on a device."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sweeper.forecast.measurements import Measurement, Origin

RatioName = Literal["memory", "iteration", "validation", "wall"]


@dataclass(frozen=True)
class Known:
    """What was measured of one kind of work on a device; 0 for what was not.

    Attributes:
        origin: of the memory.
        peak_memory_gb: the largest peak of all.
        iteration_s: median of the seconds of a forward and backward pass.
        validation_image_s: median of the seconds per evaluated image.
        wall_ratio: median of what whole jobs took, to what their pace makes of them.
    """

    origin: Origin
    peak_memory_gb: float
    iteration_s: float
    validation_image_s: float
    wall_ratio: float


class Learnt:
    """The measurements of one device; sums them up when it is asked, once."""

    def __init__(self) -> None:
        self._measurements: dict[str, list[Measurement]] = {}
        self._known: dict[str, Known] = {}
        self._ratios: dict[RatioName, float] | None = None

    def add(self, measurement: Measurement) -> None:
        """Take a measurement into account."""
        self._measurements.setdefault(measurement.key, []).append(measurement)
        # Thousands of jobs that differ in their seed have one key: summed up when it is asked for.
        self._known.pop(measurement.key, None)
        self._ratios = None

    def of(self, key: str) -> Known | None:
        """Return what is known of one kind of work."""
        if key not in self._known and key in self._measurements:
            self._known[key] = summary(self._measurements[key])
        return self._known.get(key)

    def ratio(self, name: RatioName) -> float | None:
        """Return measured over guessed, in the median of all kinds of work; None where nothing was measured."""
        if self._ratios is None:
            self._ratios = median_ratios(self._measurements.values())
        return self._ratios.get(name)


def summary(measurements: Sequence[Measurement]) -> Known:
    """Return what all measurements of one kind of work say together; finished jobs are believed before probes."""
    jobs = [entry for entry in measurements if entry.origin == "job"]
    probes = [entry for entry in measurements if entry.origin == "probe"]

    def values(name: str) -> list[float]:
        found = ([float(value) for entry in group if (value := getattr(entry, name))] for group in (jobs, probes))
        return next(filter(None, found), [0.0])

    return Known(
        origin="job" if any(entry.peak_memory_gb for entry in jobs) else "probe",
        peak_memory_gb=max(values("peak_memory_gb")),
        iteration_s=statistics.median(values("iteration_s")),
        validation_image_s=statistics.median(values("validation_image_s")),
        wall_ratio=statistics.median(values("wall_ratio")),
    )


def median_ratios(by_key: Iterable[Sequence[Measurement]]) -> dict[RatioName, float]:
    """Return how far guesses were off; each kind of work counts once, with its newest measurement."""
    ratios: dict[RatioName, list[float]] = {}
    for measurements in by_key:
        newest: dict[RatioName, float] = {}
        for entry in measurements:
            pairs: tuple[tuple[RatioName, float, float], ...] = (
                ("memory", entry.peak_memory_gb, entry.guessed_memory_gb),
                ("iteration", entry.iteration_s, entry.guessed_iteration_s),
                ("validation", entry.validation_image_s, entry.guessed_validation_image_s),
                ("wall", entry.wall_ratio, 1.0),
            )
            newest |= {name: measured / guessed for name, measured, guessed in pairs if measured and guessed}
        for name, ratio in newest.items():
            ratios.setdefault(name, []).append(ratio)
    return {name: statistics.median(values) for name, values in ratios.items()}
