"""What is wrong with each detection of a run, and which objects it misses: the error types of TIDE.

The rules are those of Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors"
(arXiv:2008.08115), to the last tie as the ``tidecv`` package has them: at most `MAX_DETECTIONS` of an image count, of
all classes together, the highest scores first; each takes the free object of its class that it overlaps most, if by
`FOUND_IOU` or more. What found nothing is, by the first rule that holds:

1. localisation: overlaps an object of its class by `NEAR_IOU` to `FOUND_IOU`, both included;
2. classification: overlaps an object of another class by `FOUND_IOU` or more;
3. duplicate: overlaps an object of its class that another detection found by `FOUND_IOU` or more;
4. background: overlaps nothing by more than `NEAR_IOU`;
5. both: the rest, which is near an object of another class.

An object is missed if no detection found it, and none is a localisation or classification error on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.findings import ErrorType, Findings
from reports.judging.matching import Objects, box_iou

FOUND_IOU, NEAR_IOU = 0.5, 0.1
# Of one image, of all classes together: unlike COCO's own limit, which is for each class.
MAX_DETECTIONS = 100


class _Entries(NamedTuple):
    """Objects or detections, image after image, of each image the highest score first.

    ``place`` is the image's place in the file, ``number`` the entry's in its list.
    """

    number: NDArray[np.int64]
    place: NDArray[np.int64]
    class_id: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]

    def keep(self, chosen: Any) -> "_Entries":
        return _Entries(*(column[chosen] for column in self))


class _Image(NamedTuple):
    """What is found of one image.

    (D,) columns of its detections: error, index of the object that it concerns (-1 for none), overlap with it, whether
    it counts for nothing, whether it would find its object once repaired. (G,) of its objects: whether one counts and
    was not found, whether it was missed.
    """

    error: NDArray[np.int8]
    object_at: NDArray[np.int64]
    iou: NDArray[np.float64]
    is_ignored: NDArray[np.bool_]
    is_repaired: NDArray[np.bool_]
    is_unfound: NDArray[np.bool_]
    is_missed: NDArray[np.bool_]


def find_errors(
    truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]], found_iou: float = FOUND_IOU
) -> Findings:
    """Return the error type of every detection and of every missed object of a run.

    Args:
        truth: content of a COCO annotation file; boxes xywh in original pixels.
        detections: COCO results: ``image_id``, ``category_id``, ``bbox`` (xywh in original pixels), ``score`` (0-1).
        found_iou: the overlap from which on an object is found, above `NEAR_IOU` to 1.
    """
    in_file = np.array([image["id"] for image in truth["images"]], dtype=np.int64)
    image_ids = np.sort(in_file)
    objects, found = _entries(truth.get("annotations", []), in_file), _entries(detections, in_file)
    found = found.keep(np.arange(len(found.place)) - np.searchsorted(found.place, found.place) < MAX_DETECTIONS)
    listed = np.array([category["id"] for category in truth["categories"]], dtype=np.int64)
    class_ids = np.unique(np.concatenate([listed, objects.class_id, found.class_id]))
    bounds = np.arange(len(in_file) + 1)
    starts = np.searchsorted(objects.place, bounds), np.searchsorted(found.place, bounds)
    images = [
        _look_at(
            found.keep(slice(starts[1][place], starts[1][place + 1])),
            objects.keep(slice(starts[0][place], starts[0][place + 1])),
            found_iou,
        )
        for place in range(len(in_file))
    ]
    looked = _Image(*(np.concatenate(column) for column in zip(*images, strict=True)))
    # From here on all images at once; the index of an object becomes that among all objects.
    has_object = looked.object_at >= 0
    object_at = np.where(has_object, looked.object_at + starts[0][found.place], -1)
    of_detections = _rows(found, objects, object_at, class_ids)
    missed = np.flatnonzero(looked.is_missed)
    none = objects.keep(missed)._replace(number=np.full(len(missed), -1), class_id=np.full(len(missed), -1))
    of_missed = _rows(none, objects, missed, class_ids)
    unknown = np.full(len(missed), np.nan)
    repaired = np.where(
        looked.error == ErrorType.CLASSIFICATION, of_detections["object_class"], of_detections["detected_class"]
    )
    image_of = np.searchsorted(image_ids, in_file)
    columns = {name: np.concatenate([of_detections[name], of_missed[name]]) for name in of_detections}
    return Findings(
        image_ids=image_ids,
        class_ids=class_ids,
        error=np.concatenate([looked.error, np.full(len(missed), ErrorType.MISSED, np.int8)]),
        image=image_of[columns.pop("place")].astype(np.int32),
        score=np.concatenate([found.score, unknown]),
        iou=np.concatenate([looked.iou, unknown]),
        is_ignored=np.concatenate([looked.is_ignored, np.zeros(len(missed), bool)]),
        repaired_class=np.concatenate(
            [np.where(looked.is_repaired, repaired, -1), np.full(len(missed), -1)], dtype=np.int32
        ),
        n_objects=_counts(objects.keep(~objects.is_crowd), class_ids, image_of),
        n_unfound=_counts(objects.keep(looked.is_unfound), class_ids, image_of),
        **columns,
    )


def _entries(entries: Sequence[Mapping[str, Any]], in_file: NDArray[np.int64]) -> _Entries:
    """Return entries in order; those of images that the file does not list are left out."""
    place_of = {image_id: place for place, image_id in enumerate(in_file.tolist())}
    every = _Entries(
        number=np.arange(len(entries), dtype=np.int64),
        place=np.array([place_of.get(entry["image_id"], -1) for entry in entries], dtype=np.int64),
        class_id=np.array([entry["category_id"] for entry in entries], dtype=np.int64),
        boxes=np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4),
        score=np.array([entry.get("score", 0.0) for entry in entries], dtype=np.float64),
        is_crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in entries], dtype=bool),
    )
    kept = every.keep(every.place >= 0)
    # Stable: equal scores keep the order of the list.
    return kept.keep(np.lexsort((-kept.score, kept.place)))


def _rows(
    detections: _Entries, objects: _Entries, object_at: NDArray[np.int64], class_ids: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the columns that name image, detection, object and classes; -1 for what a row lacks."""
    has_object = object_at >= 0
    number, object_class = np.full(len(object_at), -1, np.int64), np.full(len(object_at), -1, np.int32)
    number[has_object] = objects.number[object_at[has_object]]
    object_class[has_object] = np.searchsorted(class_ids, objects.class_id[object_at[has_object]])
    is_detection = detections.number >= 0
    detected_class = np.where(is_detection, np.searchsorted(class_ids, detections.class_id), -1)
    return {
        "place": detections.place,
        "detection": detections.number,
        "object": number,
        "detected_class": detected_class.astype(np.int32),
        "object_class": object_class,
    }


def _counts(objects: _Entries, class_ids: NDArray[np.int64], image_of: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return (C, N) how many objects of each class stand in each image."""
    counts = np.zeros((len(class_ids), len(image_of)), np.int32)
    np.add.at(counts, (np.searchsorted(class_ids, objects.class_id), image_of[objects.place]), 1)
    return counts


def _look_at(detections: _Entries, objects: _Entries, found_iou: float) -> _Image:
    counted = np.flatnonzero(~objects.is_crowd)
    n_detections = len(detections.number)
    labels = Objects(objects.boxes, np.zeros(len(objects.number)), objects.is_crowd)
    overlaps = box_iou(detections.boxes, labels)
    same = detections.class_id[:, None] == objects.class_id[None, :]
    iou, same_counted = overlaps[:, counted], same[:, counted]
    own = np.where(same_counted, iou, 0.0)
    taken = _take(own, found_iou)
    is_found = np.zeros(len(counted), bool)
    is_found[taken[taken >= 0]] = True
    on_crowd = (same & (overlaps > found_iou))[:, objects.is_crowd].any(axis=1)
    error, at = _types(taken, iou, own, np.where(same_counted, 0.0, iou), own * is_found, found_iou)
    # Of those that a better class or box would bring to one object, the first would find it: the highest score.
    repairs = np.flatnonzero((error == ErrorType.CLASSIFICATION) | (error == ErrorType.LOCALISATION))
    repairs = repairs[~is_found[at[repairs]]]
    reached, first = np.unique(at[repairs], return_index=True)
    is_repaired = np.zeros(n_detections, bool)
    is_repaired[repairs[first]] = True
    is_unfound, is_missed = np.zeros(len(objects.number), bool), np.zeros(len(objects.number), bool)
    is_unfound[counted] = is_missed[counted] = ~is_found
    is_missed[counted[reached]] = False
    has_object = at >= 0
    overlap, object_at = np.full(n_detections, np.nan), np.full(n_detections, -1)
    overlap[has_object] = iou[has_object, at[has_object]]
    object_at[has_object] = counted[at[has_object]]
    return _Image(error, object_at, overlap, on_crowd & (taken < 0), is_repaired, is_unfound, is_missed)


def _take(own: NDArray[np.float64], found_iou: float) -> NDArray[np.int64]:
    """Return (D,) which object each detection finds, -1 for none; (D, G) overlaps with objects of its own class."""
    taken = np.full(len(own), -1)
    free = own.copy()
    for number in np.flatnonzero((own >= found_iou).any(axis=1)):
        best = free[number].argmax()
        if free[number, best] >= found_iou:
            taken[number] = best
            free[:, best] = 0.0
    return taken


def _types(
    taken: NDArray[np.int64],
    iou: NDArray[np.float64],
    own: NDArray[np.float64],
    other: NDArray[np.float64],
    own_found: NDArray[np.float64],
    found_iou: float,
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return (D,) error types, and (D,) the object that each concerns, -1 for none.

    Args:
        taken: (D,) the object that each found, -1 for none.
        iou: (D, G) overlaps with all objects.
        own: (D, G) those with objects of the same class, else 0.
        other: (D, G) those with objects of other classes, else 0.
        own_found: (D, G) those with objects of the same class that were found, else 0.
        found_iou: the overlap from which on an object is found.
    """
    error, at = np.full(len(taken), ErrorType.BACKGROUND, np.int8), np.full(len(taken), -1)
    if iou.size:
        rows, none = np.arange(len(taken)), np.full(len(taken), -1)
        at_any, at_found, at_other, at_own = (table.argmax(axis=1) for table in (iou, own_found, other, own))
        own_iou = own[rows, at_own]
        # From the last rule to the first, so that the first that holds stays.
        for holds, kind, concerns in (
            (np.full(len(taken), True), ErrorType.BOTH, at_any),
            (iou[rows, at_any] <= NEAR_IOU, ErrorType.BACKGROUND, none),
            (own_found[rows, at_found] >= found_iou, ErrorType.DUPLICATE, at_found),
            (other[rows, at_other] >= found_iou, ErrorType.CLASSIFICATION, at_other),
            ((own_iou >= NEAR_IOU) & (own_iou <= found_iou), ErrorType.LOCALISATION, at_own),
            (taken >= 0, ErrorType.NONE, taken),
        ):
            error[holds], at[holds] = kind, concerns[holds]
    return error, at
