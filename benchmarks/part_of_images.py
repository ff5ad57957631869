"""What runs found on a part of the images that they were evaluated on, and what it is worth under weightings."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.effect import Cell
from reports.judging.matches import Matches

# Name -> threshold; None for the mean of all ten.
METRICS: Mapping[str, int | None] = {"mAP50": 0, "mAP": None}


def of_images(matches: Matches, chosen: NDArray[np.int64]) -> Matches:
    """Return what a run found on some images: the same as matching these alone.

    Args:
        matches: on all images.
        chosen: (n,) indices of the images, ascending.
    """
    place = np.full(len(matches.image_ids), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    is_kept = place[matches.image] >= 0
    n_before = np.concatenate([[0], np.cumsum(is_kept)])
    return Matches(
        image_ids=matches.image_ids[chosen],
        class_ids=matches.class_ids,
        area_ranges=matches.area_ranges,
        class_start=n_before[matches.class_start],
        image=place[matches.image[is_kept]].astype(np.int32),
        score=matches.score[is_kept],
        matched=matches.matched[:, is_kept],
        ignored=matches.ignored[:, is_kept],
        n_objects=matches.n_objects[:, :, chosen],
    )


def n_images_with_object(matches: Matches) -> int:
    """Return G: how many images hold an object."""
    return int((matches.n_objects[0].sum(axis=0) > 0).sum())


def values_under(matches: Matches, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (metrics, J) the average precisions of a run under weightings of its images, 0-1."""
    found = average_precision(matches, weights)
    return np.stack([mean_ap(found, threshold=threshold) for threshold in METRICS.values()])


def cell_of(values: NDArray[np.float64], runs: Sequence[int] | NDArray[np.int64]) -> Cell:
    """Return some of the runs as replicates of one recipe.

    Args:
        values: (runs, 1 + J): at weight one, then under each weighting.
        runs: their numbers.
    """
    of_runs = values[runs]
    return Cell(of_runs[:, 0], of_runs[:, 1:])
