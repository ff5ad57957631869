"""What is wrong with a run, as a table: a row for each detection and each missed object."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class ErrorType(IntEnum):
    """What is wrong with a detection, or with an object that has none."""

    NONE = 0
    CLASSIFICATION = 1
    LOCALISATION = 2
    BOTH = 3
    DUPLICATE = 4
    BACKGROUND = 5
    MISSED = 6

    @property
    def word(self) -> str:
        """How it is called in tables."""
        return self.name.lower()


# The six that cost something, in TIDE's order.
MAIN_TYPES = tuple(error for error in ErrorType if error is not ErrorType.NONE)


@dataclass(frozen=True)
class ErrorRecord:
    """One row.

    Attributes:
        error: what is wrong; `ErrorType.NONE` for a detection that found its object.
        image_id: as the annotation file has it.
        detection: place in the list of detections, from 0; None for a missed object.
        object: place in the file's list of annotations, from 0: the object that the row concerns; None where there is
            none (background).
        detected_class: category id that the detection names; None for a missed object.
        object_class: category id of the object.
        score: of the detection, 0-1.
        iou: overlap of detection and object, 0-1; None where one of them is missing.
        is_ignored: whether the detection counts for nothing, because it lies on a crowd of its class.
    """

    error: ErrorType
    image_id: int
    detection: int | None
    object: int | None
    detected_class: int | None
    object_class: int | None
    score: float | None
    iou: float | None
    is_ignored: bool


@dataclass(frozen=True)
class Findings:
    """All rows of one run on one split, as columns; image after image as the annotation file lists them.

    In an image stand the detections, the highest score first. The missed objects stand behind all detections. What a
    row lacks is -1, or NaN in columns of fractions.

    Attributes:
        image_ids: (N,) ascending.
        class_ids: (C,) category ids, ascending: the file's, and any others that occur.
        error: (R,) values of `ErrorType`.
        image: (R,) index in `image_ids`.
        detection: (R,) place in the list of detections.
        object: (R,) place in the list of annotations.
        detected_class: (R,) index in `class_ids`.
        object_class: (R,) likewise.
        score: (R,) 0-1.
        iou: (R,) 0-1.
        is_ignored: (R,) whether a detection counts for nothing.
        repaired_class: (R,) index of the class in which a wrong detection would find its object once its error were
            repaired; -1 where it would only go.
        n_objects: (C, N) objects that count.
        n_unfound: (C, N) those that no detection found, missed or not.
    """

    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    error: NDArray[np.int8]
    image: NDArray[np.int32]
    detection: NDArray[np.int64]
    object: NDArray[np.int64]
    detected_class: NDArray[np.int32]
    object_class: NDArray[np.int32]
    score: NDArray[np.float64]
    iou: NDArray[np.float64]
    is_ignored: NDArray[np.bool_]
    repaired_class: NDArray[np.int32]
    n_objects: NDArray[np.int32]
    n_unfound: NDArray[np.int32]

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file."""
        with path.open("wb") as file:
            np.savez_compressed(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Findings":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{name: stored[name] for name in stored.files})

    def records(self) -> Iterator[ErrorRecord]:
        """Yield the rows one by one, for those who filter and show them."""
        for row in range(len(self.error)):
            yield ErrorRecord(
                error=ErrorType(int(self.error[row])),
                image_id=int(self.image_ids[self.image[row]]),
                detection=_place(self.detection[row]),
                object=_place(self.object[row]),
                detected_class=self._category(self.detected_class[row]),
                object_class=self._category(self.object_class[row]),
                score=_fraction(self.score[row]),
                iou=_fraction(self.iou[row]),
                is_ignored=bool(self.is_ignored[row]),
            )

    def _category(self, index: np.int32) -> int | None:
        return int(self.class_ids[index]) if index >= 0 else None


def _place(number: np.int64) -> int | None:
    return int(number) if number >= 0 else None


def _fraction(number: np.float64) -> float | None:
    return None if np.isnan(number) else float(number)
