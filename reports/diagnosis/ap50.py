"""Average precision at one overlap as TIDE takes it, under weights of the images.

It differs from `reports.judging.average_precision` in where precision is read: at k/100, where pycocotools reads ten
of its 101 recalls one rounding beside that, which now and then moves a value by a hundredth of a precision. Error
costs are compared with those that TIDE publishes, so they are taken as there.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reports.judging.recalls import n_recalls

_RECALLS = np.arange(101) / 100
# So many weightings at a time stay within the processor's caches.
_CHUNK = 125


def ap50(
    image: NDArray[np.int32],
    is_find: NDArray[np.bool_],
    n_objects: NDArray[np.int32],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (J,) average precision of one class, 0-1, higher is better.

    A class with detections and no object has 0; one with neither has none, which is NaN.

    Args:
        image: (D,) index of each detection's image, the highest score first.
        is_find: (D,) whether it finds an object; all others are false.
        n_objects: (N,) objects in each image.
        weights: (J, N) weight of each image, at least 0.
    """
    values = np.full(len(weights), np.nan)
    n_detected = np.bincount(image, minlength=weights.shape[1])
    false_before = _false_before(image, is_find, weights.shape[1])
    for start in range(0, len(weights), _CHUNK):
        chunk = np.ascontiguousarray(weights[start : start + _CHUNK].T, dtype=np.float64)
        objects = n_objects @ chunk
        found = np.zeros(chunk.shape[1])
        if is_find.any():
            found = _of_finds(chunk[image[is_find]], false_before @ chunk, objects)
        is_known = (objects > 0) | (n_detected @ chunk > 0)
        values[start : start + _CHUNK] = np.where(is_known, np.where(objects > 0, found, 0.0), np.nan)
    return values


def _false_before(image: NDArray[np.int32], is_find: NDArray[np.bool_], n_images: int) -> sparse.csr_array:
    """Return (F, N): how many false detections of each image stand between one find and the next, up to that find."""
    n_finds = int(is_find.sum())
    find_behind = np.cumsum(is_find)[~is_find]
    counts = find_behind < n_finds
    rows, columns = find_behind[counts], image[~is_find][counts]
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n_finds, n_images))


def _of_finds(
    finds: NDArray[np.float64], false_between: NDArray[np.float64], objects: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (J,) from the (F, J) weights of finds, of false detections between them, and (J,) objects."""
    true, false = np.cumsum(finds, axis=0), np.cumsum(false_between, axis=0)
    every = true + false
    # Where nothing has weight yet, nothing is found.
    precision = true / np.where(every > 0, every, 1.0)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    n_reached = n_recalls(true / np.where(objects > 0, objects, 1.0), _RECALLS)
    steps = envelope[0] * n_reached[0] + (envelope[1:] * np.diff(n_reached, axis=0)).sum(axis=0)
    values: NDArray[np.float64] = steps / len(_RECALLS)
    return values
