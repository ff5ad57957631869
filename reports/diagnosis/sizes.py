"""Average precision by size of the objects: in COCO's bins, and in bins of equal counts from the data's own objects."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.decision import FEW_OBJECTS, too_few
from reports.judging.matches import COCO_AREAS, Matches, match_run
from runners.contract.hypothesis import MIN_IMAGES, MIN_OBJECTS

# The largest area that counts; what is larger is in the last bin all the same.
_LARGEST = COCO_AREAS[0][1]
_HALF = 0  # place of IoU 0.50 among the ten thresholds


@dataclass(frozen=True)
class SizeBin:
    """A range of areas.

    Attributes:
        name: how tables call it.
        low: smallest area in it, square pixels of the original image.
        high: largest area in it, likewise.
    """

    name: str
    low: float
    high: float

    @property
    def sides(self) -> str:
        """The range as sides of squares in pixels: under 32, 32 to 96, over 96."""
        low, high = f"{np.sqrt(self.low):.0f}", f"{np.sqrt(self.high):.0f}"
        if self.high >= _LARGEST:
            return "any" if self.low <= 0 else f"over {low}"
        return f"under {high}" if self.low <= 0 else f"{low} to {high}"


COCO_BINS = tuple(
    SizeBin(name, *areas) for name, areas in zip(("small", "medium", "large"), COCO_AREAS[1:], strict=True)
)


def quantile_bins(truth: Mapping[str, Any], n_bins: int = 4) -> tuple[SizeBin, ...]:
    """Return bins that hold about equally many objects each, the smallest first.

    Limits lie half-way between two areas that occur, so that no object is in two bins; where many objects have one
    area there are fewer bins than asked for. Without objects there are none.

    Args:
        truth: content of a COCO annotation file, usually val; crowds do not count.
        n_bins: how many, at least 1.
    """
    areas = np.sort([_area(entry) for entry in truth.get("annotations", []) if not entry.get("iscrowd", 0)])
    if not len(areas):
        return ()
    starts = [round(len(areas) * number / n_bins) for number in range(1, n_bins)]
    # A limit inside a run of equal areas moves to its start.
    starts = sorted({int(np.searchsorted(areas, areas[start])) for start in starts if start < len(areas)} - {0})
    limits = [0.0, *((areas[start - 1] + areas[start]) / 2 for start in starts), _LARGEST]
    n_found = len(limits) - 1
    return tuple(
        SizeBin(f"{number} of {n_found}", float(low), float(high))
        for number, (low, high) in enumerate(pairwise(limits), start=1)
    )


@dataclass(frozen=True)
class SizeRow:
    """What a run reaches on the objects of one size.

    Attributes:
        size: the bin.
        n_objects: that count.
        n_groups: images (or groups of images) with at least one of them.
        ap: mean AP over classes and IoU 0.50 to 0.95, 0-1, higher is better; None without objects.
        ap50: mean AP over classes at IoU 0.50, likewise.
    """

    size: SizeBin
    n_objects: int
    n_groups: int
    ap: float | None
    ap50: float | None

    @property
    def is_too_few(self) -> bool:
        """Whether the numbers are shown grey, and nothing is concluded from them."""
        return too_few(self.n_objects, self.n_groups)

    @property
    def remark(self) -> str:
        """What must be said of the numbers; empty where nothing must."""
        if not self.n_objects:
            return "no objects"
        if self.is_too_few:
            return (
                f"too few to judge: {_number(self.n_objects, 'object')} in {_number(self.n_groups, 'image')}; "
                f"{MIN_OBJECTS} in {MIN_IMAGES} are needed"
            )
        return f"few: {self.n_objects} objects" if self.n_objects < FEW_OBJECTS else ""


def match_sizes(truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]], bins: Sequence[SizeBin]) -> Matches:
    """Match a run within each bin.

    Args:
        truth: content of a COCO annotation file; boxes xywh in original pixels.
        detections: COCO results of the run.
        bins: in any order.
    """
    return match_run(truth, detections, [(size.low, size.high) for size in bins])


def size_table(
    matches: Matches, bins: Sequence[SizeBin], groups: Sequence[Hashable] | None = None
) -> tuple[SizeRow, ...]:
    """Return what a run reaches in each bin.

    Args:
        matches: of the run, within the same bins (`match_sizes`).
        bins: in the order of the matches.
        groups: of each image what it belongs to, images by ascending id; without, each image is its own.
    """
    values = average_precision(matches, np.ones((1, len(matches.image_ids))))
    rows = []
    for number, size in enumerate(bins):
        counts = matches.n_objects[number].sum(axis=0)
        rows.append(
            SizeRow(
                size=size,
                n_objects=int(counts.sum()),
                n_groups=_n_groups(counts, groups),
                ap=_known(mean_ap(values, area=number)),
                ap50=_known(mean_ap(values, area=number, threshold=_HALF)),
            )
        )
    return tuple(rows)


def _n_groups(counts: NDArray[np.int64], groups: Sequence[Hashable] | None) -> int:
    holding = np.flatnonzero(counts).tolist()
    return len(holding) if groups is None else len({groups[image] for image in holding})


def _known(values: NDArray[np.float64]) -> float | None:
    return None if np.isnan(values[0]) else float(values[0])


def _area(entry: Mapping[str, Any]) -> float:
    _, _, width, height = entry["bbox"]
    return float(entry.get("area", width * height))


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
