"""The most telling images: where two runs differ most, or where one run's errors cost most.

An object is one part in n of its class's recall, and every class counts the same in the mean: so each finding weighs
one part in n, times its score, for a wrong detection costs the more the higher it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.diagnosis.tide import diagnose
from reports.viewing.selection import Item, Items, Question, Wanted, class_columns, error_items, found_items
from reports.viewing.view import View

N_IMAGES = 50
# A class with fewer objects than this would have the page to itself.
FEWEST_OBJECTS = 5

TITLES = {
    ErrorType.CLASSIFICATION: "Called by another name",
    ErrorType.LOCALISATION: "Badly placed",
    ErrorType.BOTH: "Wrong name and wrong place",
    ErrorType.DUPLICATE: "Found more than once",
    ErrorType.BACKGROUND: "Found where nothing is labelled",
    ErrorType.MISSED: "Missed",
}


@dataclass(frozen=True)
class TellingImage:
    """One image, with the findings of a chapter that it shows, the weightiest first."""

    image: int
    items: Sequence[Item]


@dataclass(frozen=True)
class Chapter:
    """One kind of finding.

    Attributes:
        title: what it is.
        n_findings: how many there are in the whole split.
        images: those that were chosen.
    """

    title: str
    n_findings: int
    images: Sequence[TellingImage]


def telling_chapters(view: View, min_score: float, n_images: int = N_IMAGES) -> list[Chapter]:
    """Return the most telling images of a view; every kind of finding gets its share.

    Each image stands in one chapter, but for those that would have none otherwise.

    Args:
        view: of one run or two.
        min_score: a detection below it is taken for not there, 0-1.
        n_images: how many at most.
    """
    kinds = _differences(view, min_score) if len(view.runs) == 2 else _errors(view, min_score)
    ranked = [_ranked(view, items) for _, items in kinds]
    chosen: list[list[TellingImage]] = [images[:1] for images in ranked]
    taken = {each.image for images in chosen for each in images}
    waiting = [iter(images[1:]) for images in ranked]
    is_open = [True] * len(kinds)
    while any(is_open) and sum(map(len, chosen)) < n_images:
        for number, images in enumerate(waiting):
            free = next((each for each in images if each.image not in taken), None)
            is_open[number] = free is not None
            if free is not None and sum(map(len, chosen)) < n_images:
                taken.add(free.image)
                chosen[number].append(free)
    return [
        Chapter(title, len(items.image), images) for (title, items), images in zip(kinds, chosen, strict=True) if images
    ]


def _differences(view: View, min_score: float) -> list[tuple[str, Items]]:
    """Return what tells two runs apart: finds, then confusions, then what only one of them sees."""
    asked = Wanted(min_score=min_score)
    kinds = [
        (title, found_items(view, replace(asked, question=question)))
        for title, question in (
            ("Found by A, missed by B", Question.FOUND_BY_A),
            ("Found by B, missed by A", Question.FOUND_BY_B),
        )
    ]
    for error in (ErrorType.CLASSIFICATION, ErrorType.BACKGROUND):
        for letter, question in (("A", Question.ONLY_A), ("B", Question.ONLY_B)):
            only = replace(asked, question=question, errors=frozenset({error}))
            kinds.append((f"{TITLES[error]}, by {letter} alone", error_items(view, only)))
    return kinds


def _errors(view: View, min_score: float) -> list[tuple[str, Items]]:
    """Return the errors of a run by type, the costliest type first."""
    costs = diagnose(view.runs[0].findings).costs
    ordered = sorted(MAIN_TYPES, key=lambda error: -costs[error])
    return [
        (
            f"{TITLES[error]} (costs {100 * costs[error]:.1f} points of AP50)",
            error_items(view, Wanted(errors=frozenset({error}), min_score=min_score)),
        )
        for error in ordered
    ]


def _ranked(view: View, items: Items) -> list[TellingImage]:
    if not len(items.image):
        return []
    weights = _weights(view, items)
    order = np.lexsort((-weights, items.image))
    images, starts = np.unique(items.image[order], return_index=True)
    found = []
    for image, numbers in zip(images.tolist(), np.split(order, starts[1:]), strict=True):
        # Of many alike in one image each further one tells less.
        weight = float((weights[numbers] / np.arange(1, len(numbers) + 1)).sum())
        found.append((weight, TellingImage(image, list(items.each(numbers)))))
    return [each for _, each in sorted(found, key=lambda pair: (-pair[0], pair[1].image))]


def _weights(view: View, items: Items) -> NDArray[np.float64]:
    true_class, called = class_columns(view, items)
    concerns = np.where(true_class >= 0, true_class, called)
    n_objects = np.maximum(view.n_objects, FEWEST_OBJECTS)
    # A class that the split does not hold moves no number.
    shares = np.where(view.n_objects > 0, 1 / n_objects, 0.0)
    return np.asarray(shares[concerns] * np.where(items.score >= 0, items.score, 1.0))
