"""COCO's average precision under weights of the images: exact, and for a thousand weightings in seconds.

Matching is done image by image, so weights never change it: an image that stands twice in a set brings its detections
and its objects twice. At weight one the values are pycocotools', and under whole-number weights those of the set in
which each image is copied so often (as long as no scores tie between images).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reports.judging.matches import Matches, class_slices, is_set
from reports.judging.matching import IOU_THRESHOLDS
from reports.judging.recalls import n_recalls

_ALL_BITS = (1 << len(IOU_THRESHOLDS)) - 1
# The recalls at which precision is read, to the last bit as pycocotools has them.
_RECALLS = np.linspace(0.0, 1.0, 101)
# So many weightings at a time stay within the processor's caches.
_CHUNK = 64


def average_precision(matches: Matches, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (J, A, C, 10) average precision, 0-1, higher is better; NaN where the weighted set holds no object.

    Args:
        matches: of a run.
        weights: (J, N) weight of each image, at least 0, in the order of the matches' images.
    """
    n_ranges, n_classes = matches.n_objects.shape[:2]
    values = np.full((len(weights), n_ranges, n_classes, len(IOU_THRESHOLDS)), np.nan)
    n_images = len(matches.image_ids)
    lined_up = [
        _line_up(matches.image[here], matches.matched[area, here], matches.ignored[area, here], n_images)
        for here in class_slices(matches)
        for area in range(n_ranges)
    ]
    # One after the other: threads would wait for the interpreter, which NumPy keeps while it adds up short rows.
    for start in range(0, len(weights), _CHUNK):
        chunk = np.ascontiguousarray(weights[start : start + _CHUNK].T, dtype=np.float64)
        for place, found in enumerate(lined_up):
            class_index, area = divmod(place, n_ranges)
            objects = matches.n_objects[area, class_index].astype(np.float64) @ chunk
            precisions = _of_class(found, objects, chunk)
            values[start : start + _CHUNK, area, class_index] = np.where(objects > 0, precisions, np.nan).T
    return values


class _Events(NamedTuple):
    """The detections of one class and size bin, as all weightings have them.

    Attributes:
        image: (E,) of each that matches at some threshold, the highest score first.
        missed: (E, N) how many detections of each image match nowhere between one event and the next, up to that.
        thresholds: those at which the same events are true and the same false, with (E,) which are true, and false.
    """

    image: NDArray[np.int32]
    missed: sparse.csr_array
    thresholds: Sequence[tuple[list[int], NDArray[np.bool_], NDArray[np.bool_]]]


def _line_up(
    image: NDArray[np.int32], matched: NDArray[np.uint16], ignored: NDArray[np.uint16], n_images: int
) -> _Events:
    """Return what is the same under all weightings.

    Args:
        image: (D,) of each detection, the highest score first.
        matched: (D,) bits of the thresholds.
        ignored: (D,) likewise.
        n_images: N.
    """
    # What is ignored at every threshold is nothing, matched or not: most of what finds an object of another size.
    is_event = (matched != 0) & (ignored != _ALL_BITS)
    # What never matches is a false positive at every threshold, or ignored at every one.
    missed = _between_events(image, is_event, ~is_event & (ignored == 0), n_images)
    alike: dict[tuple[bytes, bytes], tuple[list[int], NDArray[np.bool_], NDArray[np.bool_]]] = {}
    for threshold, hits, misses in _at_thresholds(matched[is_event], ignored[is_event]):
        if hits.any():
            alike.setdefault((hits.tobytes(), misses.tobytes()), ([], hits, misses))[0].append(threshold)
    return _Events(image[is_event], missed, list(alike.values()))


def _of_class(found: _Events, objects: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (10, J) of one class and size bin.

    Args:
        found: its detections.
        objects: (J,) weighted number of objects.
        weights: (N, J).
    """
    values = np.zeros((len(IOU_THRESHOLDS), weights.shape[1]))
    if not found.thresholds:
        return values
    events = weights[found.image]
    # Without an object nothing is found: what it is divided by does not matter.
    counted = np.where(objects > 0, objects, 1.0)
    missed_before = np.cumsum(found.missed @ weights, axis=0)
    for thresholds, hits, misses in found.thresholds:
        true = np.cumsum(events[hits], axis=0)
        false = missed_before[hits]
        if misses.any():
            false = false + np.cumsum(np.where(misses[:, None], events, 0.0), axis=0)[hits]
        precision = true / (true + false + np.spacing(1))
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        n_reached = n_recalls(true / counted, _RECALLS)
        values[thresholds] = envelope[0] * n_reached[0] + (envelope[1:] * np.diff(n_reached, axis=0)).sum(axis=0)
    return values / len(_RECALLS)


def _between_events(
    image: NDArray[np.int32], is_event: NDArray[np.bool_], is_missed: NDArray[np.bool_], n_images: int
) -> sparse.csr_array:
    """Return (E, N): how many detections of each image miss between one event and the next, up to that event."""
    n_events = int(is_event.sum())
    event_behind = np.cumsum(is_event)[is_missed]
    counted = event_behind < n_events
    rows, columns = event_behind[counted], image[is_missed][counted]
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n_events, n_images))


def _at_thresholds(
    matched: NDArray[np.uint16], ignored: NDArray[np.uint16]
) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield of each threshold which of the events are true positives, and which false."""
    for threshold in range(len(IOU_THRESHOLDS)):
        is_match, counts = is_set(matched, threshold), ~is_set(ignored, threshold)
        yield threshold, is_match & counts, ~is_match & counts


def mean_ap(values: NDArray[np.float64], area: int = 0, threshold: int | None = None) -> NDArray[np.float64]:
    """Return (J,) the mean over classes that have an object, and over all thresholds or at one.

    Args:
        values: as `average_precision` gives them.
        area: which size bin.
        threshold: which of the ten; None for their mean.
    """
    chosen = values[:, area, :, :] if threshold is None else values[:, area, :, threshold : threshold + 1]
    with np.errstate(invalid="ignore"):
        counted = ~np.isnan(chosen)
        sums = np.where(counted, chosen, 0.0).sum(axis=(1, 2))
        means: NDArray[np.float64] = sums / counted.sum(axis=(1, 2))
    return means
