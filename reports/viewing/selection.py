"""Which findings are looked at, and which images show them: one question, filters, and an order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.viewing.counterparts import counterpart_scores
from reports.viewing.view import MIN_SCORE, View, ViewedRun, size_of


class Question(Enum):
    """What is asked of one or two runs, A and B."""

    FOUND_BY_A = "A finds, B misses"
    FOUND_BY_B = "B finds, A misses"
    ONLY_A = "errors that only A makes"
    ONLY_B = "errors that only B makes"
    ERRORS_A = "errors of A"
    ERRORS_B = "errors of B"
    IMAGES = "all images, with the errors of A"

    @property
    def run(self) -> int:
        """Which run it is about: 0 for A, 1 for B."""
        return int(self in (Question.ERRORS_B, Question.FOUND_BY_B, Question.ONLY_B))

    @property
    def is_of_finds(self) -> bool:
        """Whether it is about objects that were found, so that there is no type of error to choose."""
        return self in (Question.FOUND_BY_A, Question.FOUND_BY_B)


class Order(Enum):
    """Which image comes first."""

    MOST = "most of them"
    SCORE = "highest score"
    OVERLAP = "lowest overlap"
    SMALLEST = "smallest"
    NAME = "file name"


@dataclass(frozen=True)
class Wanted:
    """What is to be shown.

    Attributes:
        question: about one run or two.
        errors: types that count, for questions about errors.
        classes: indices of classes: of the object, or the name that a detection gave; empty for all.
        called: indices of classes that the detection named; empty for all, missed objects among them.
        sizes: indices in `view.SIZES`: of the object, or of the detection where there is none; empty for all.
        min_score: a detection below it is taken for not there, 0-1.
        order: of the images.
    """

    question: Question = Question.ERRORS_A
    errors: frozenset[ErrorType] = field(default=frozenset(MAIN_TYPES))
    classes: frozenset[int] = frozenset()
    called: frozenset[int] = frozenset()
    sizes: frozenset[int] = frozenset()
    min_score: float = MIN_SCORE
    order: Order = Order.MOST


class Item(NamedTuple):
    """One finding: of ``run`` in ``image``; ``row`` of its findings or -1 (missed), ``object`` or -1 (background)."""

    run: int
    image: int
    row: int
    object: int
    error: ErrorType


@dataclass(frozen=True)
class Items:
    """Findings as columns; I of them.

    Attributes:
        run: which run they are of: 0 or 1.
        image: (I,) index of the image.
        row: (I,) row of the run's findings; -1 for a missed object.
        object: (I,) index of the object; -1 where there is none.
        error: (I,) values of `ErrorType`; `NONE` for one that was found.
        score: (I,) of the detection, 0-1; -1 without one.
        iou: (I,) overlap of detection and object, 0-1; NaN where one is missing.
    """

    run: int
    image: NDArray[np.int64]
    row: NDArray[np.int64]
    object: NDArray[np.int64]
    error: NDArray[np.int64]
    score: NDArray[np.float64]
    iou: NDArray[np.float64]

    def keep(self, chosen: NDArray[np.bool_]) -> "Items":
        """Return some of them."""
        columns = {name: column[chosen] for name, column in vars(self).items() if name != "run"}
        return Items(self.run, **columns)

    def each(self, numbers: NDArray[np.int64]) -> Iterator[Item]:
        """Yield single ones."""
        for at in numbers.tolist():
            error = ErrorType(int(self.error[at]))
            yield Item(self.run, int(self.image[at]), int(self.row[at]), int(self.object[at]), error)


@dataclass(frozen=True)
class Selection:
    """What is shown.

    Attributes:
        items: the findings.
        images: indices of the images that hold them, in the order that was asked for; where all are asked for, those
            that hold none as well, behind them.
        numbers: for each of those images, which of the items it holds, the highest score first.
    """

    items: Items
    images: Sequence[int]
    numbers: Sequence[NDArray[np.int64]]

    def items_of(self, place: int) -> list[Item]:
        """Return the findings in the image at a place of the order."""
        return list(self.items.each(self.numbers[place]))


def select(view: View, wanted: Wanted) -> Selection:
    """Return what is shown of a view."""
    items = found_items(view, wanted) if wanted.question.is_of_finds else error_items(view, wanted)
    chosen = _ordered(view, items.keep(_passes(view, items, wanted)), wanted.order)
    if wanted.question is not Question.IMAGES:
        return chosen
    others = np.setdiff1d(np.arange(len(view.images)), chosen.images).tolist()
    none = [np.empty(0, np.int64)] * len(others)
    return Selection(chosen.items, [*chosen.images, *others], [*chosen.numbers, *none])


def found_items(view: View, wanted: Wanted) -> Items:
    """Return the objects that one run finds and the other does not, with detections of the score or above."""
    one, other = view.runs[wanted.question.run], view.runs[1 - wanted.question.run]
    objects = np.flatnonzero((one.found_score >= wanted.min_score) & (other.found_score < wanted.min_score))
    return _of_rows(view, wanted.question.run, one.found_row[objects])


def error_items(view: View, wanted: Wanted) -> Items:
    """Return the errors of a run, or those of them that the other does not make as well."""
    number = wanted.question.run
    run = view.runs[number]
    is_only = wanted.question in (Question.ONLY_A, Question.ONLY_B)
    findings = run.findings
    kinds = [error for error in wanted.errors if error is not ErrorType.MISSED]
    shown = (findings.detection >= 0) & ~findings.is_ignored & (findings.score >= wanted.min_score)
    rows = np.flatnonzero(shown & np.isin(findings.error, kinds))
    missed = np.flatnonzero(_is_missed(view, run, wanted)) if ErrorType.MISSED in wanted.errors else np.empty(0, int)
    if is_only:
        other = view.runs[1 - number]
        rows = rows[counterpart_scores(view, number, rows) < wanted.min_score]
        missed = missed[other.found_score[missed] >= wanted.min_score]
    return _joined(_of_rows(view, number, rows), _of_missed(view, number, missed))


def _is_missed(view: View, run: ViewedRun, wanted: Wanted) -> NDArray[np.bool_]:
    # By TIDE's rule, of the detections that are left: which type these have does not hang on those below them.
    is_listed = view.labels.is_counted & (view.labels.image >= 0)
    return is_listed & (run.cover_score < wanted.min_score)


def _of_rows(view: View, number: int, rows: NDArray[np.int64]) -> Items:
    findings = view.runs[number].findings
    return Items(
        run=number,
        image=findings.image[rows].astype(np.int64),
        row=rows,
        object=findings.object[rows],
        error=findings.error[rows].astype(np.int64),
        score=findings.score[rows],
        iou=findings.iou[rows],
    )


def _of_missed(view: View, number: int, objects: NDArray[np.int64]) -> Items:
    n_missed = len(objects)
    return Items(
        run=number,
        image=view.labels.image[objects],
        row=np.full(n_missed, -1),
        object=objects,
        error=np.full(n_missed, int(ErrorType.MISSED)),
        score=np.full(n_missed, -1.0),
        iou=np.full(n_missed, np.nan),
    )


def _joined(one: Items, other: Items) -> Items:
    columns = {name: np.concatenate([column, vars(other)[name]]) for name, column in vars(one).items() if name != "run"}
    return Items(one.run, **columns)


def _passes(view: View, items: Items, wanted: Wanted) -> NDArray[np.bool_]:
    true_class, called = class_columns(view, items)
    passes = np.ones(len(items.image), bool)
    if wanted.classes:
        chosen = list(wanted.classes)
        passes &= np.isin(true_class, chosen) | np.isin(called, chosen)
    if wanted.called:
        passes &= np.isin(called, list(wanted.called))
    if wanted.sizes:
        passes &= np.isin(size_of(areas(view, items)), list(wanted.sizes))
    return passes


def class_columns(view: View, items: Items) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (I,) the class of each item's object, and (I,) that which its detection names; -1 where it has none."""
    findings = view.runs[items.run].findings
    true_class, called = np.full(len(items.image), -1), np.full(len(items.image), -1)
    has_object, has_row = items.object >= 0, items.row >= 0
    true_class[has_object] = view.labels.class_index[items.object[has_object]]
    called[has_row] = findings.detected_class[items.row[has_row]]
    return true_class, called


def areas(view: View, items: Items) -> NDArray[np.float64]:
    """Return (I,) the area of each item's object in pixels, or of its detection where there is none."""
    found = np.empty(len(items.image))
    has_object = items.object >= 0
    found[has_object] = view.labels.area[items.object[has_object]]
    boxes = view.runs[items.run].boxes[items.row[~has_object]]
    found[~has_object] = boxes[:, 2] * boxes[:, 3]
    return found


def _ordered(view: View, items: Items, order: Order) -> Selection:
    by_image = np.lexsort((-items.score, items.image))
    images, starts, counts = np.unique(items.image[by_image], return_index=True, return_counts=True)
    if not len(images):
        return Selection(items, [], [])
    if order is Order.MOST:
        keys = -counts.astype(float)
    elif order is Order.SCORE:
        keys = -np.maximum.reduceat(items.score[by_image], starts)
    elif order is Order.OVERLAP:
        keys = np.minimum.reduceat(np.nan_to_num(items.iou[by_image], nan=2.0), starts)
    elif order is Order.SMALLEST:
        keys = np.minimum.reduceat(areas(view, items)[by_image], starts)
    else:
        names = [str(view.images[image]["file_name"]) for image in images.tolist()]
        keys = np.argsort(np.argsort(np.array(names, dtype=object), kind="stable")).astype(float)
    # Of equal ones the first in the file.
    placed = np.argsort(keys, kind="stable")
    parts = np.split(by_image, starts[1:])
    return Selection(items, images[placed].tolist(), [parts[place] for place in placed.tolist()])
