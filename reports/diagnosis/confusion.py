"""Which classes a run takes for which others, object by object.

An object is confused if a detection of another class overlaps it as far as a find must, and is a classification error
after TIDE (`reports.diagnosis.error_types`): it found nothing of its own class, and is no localisation error there. Of
several the highest score counts, so that an object is confused once at most. It may have been found under its own name
as well (each class is suppressed on its own, so two boxes on one object are common); what harm that does depends on
which name has the higher score, so both are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.findings import ErrorType, Findings
from reports.judging.effect import Cell, Effect, effect

# Detections below this score are not what anybody would act on.
MIN_SCORE = 0.3


@dataclass(frozen=True)
class ConfusedObject:
    """One object that was called by another name.

    Attributes:
        image_id: as the annotation file has it.
        object: its place in the file's list of annotations, from 0.
        object_box: xywh in original pixels.
        detection_box: likewise, of the detection with the other name.
        score: of that detection, 0-1.
        iou: overlap of the two, 0-1.
        found_score: of the detection that found the object under its own name; None if none at or above the score did.
    """

    image_id: int
    object: int
    object_box: tuple[float, ...]
    detection_box: tuple[float, ...]
    score: float
    iou: float
    found_score: float | None

    @property
    def is_misnamed(self) -> bool:
        """Whether the other name is the one that has the highest score, and so the one that would be believed."""
        return self.found_score is None or self.found_score < self.score


@dataclass(frozen=True)
class ConfusedPair:
    """All objects of one class that were called by the name of another.

    Attributes:
        true_class: name of their class.
        called: name that they were given.
        objects: the highest score first.
        n_labelled: objects of the class that the split holds.
    """

    true_class: str
    called: str
    objects: tuple[ConfusedObject, ...]
    n_labelled: int

    @property
    def n_misnamed(self) -> int:
        """How many of them have no higher score under their own name."""
        return sum(one.is_misnamed for one in self.objects)

    @property
    def words(self) -> str:
        """The pair in a sentence: Paper pack called Paper, 41 times of 230 (in 29 with the highest score)."""
        n_confused = len(self.objects)
        of_them = "" if self.n_misnamed == n_confused else f" (in {self.n_misnamed} with the highest score)"
        return f"{self.true_class} called {self.called}, {_times(n_confused)} of {self.n_labelled}{of_them}"

    def by_image(self, image_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (N,) how many of them stand in each image."""
        counts = np.zeros(len(image_ids))
        np.add.at(counts, np.searchsorted(image_ids, [one.image_id for one in self.objects]), 1)
        return counts


@dataclass(frozen=True)
class Confusion:
    """What a run takes for what.

    Attributes:
        min_score: detections below it were not looked at, 0-1.
        image_ids: (N,) ascending.
        class_names: (C,) by ascending category id.
        counts: (C, C) objects of the row's class that were called by the column's; on the diagonal those that were
            found under their own name. An object that was both stands in both.
        n_objects: (C, N) objects that count.
        pairs: the most frequent first.
    """

    min_score: float
    image_ids: NDArray[np.int64]
    class_names: tuple[str, ...]
    counts: NDArray[np.int64]
    n_objects: NDArray[np.int32]
    pairs: tuple[ConfusedPair, ...]

    def pair(self, true_class: str, called: str) -> ConfusedPair:
        """Return a pair by its names; one without objects where nothing was confused."""
        chosen = [pair for pair in self.pairs if (pair.true_class, pair.called) == (true_class, called)]
        n_labelled = int(self.n_objects[self.class_names.index(true_class)].sum())
        return chosen[0] if chosen else ConfusedPair(true_class, called, (), n_labelled)


def confusion(
    truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    findings: Findings,
    min_score: float = MIN_SCORE,
) -> Confusion:
    """Return which classes a run confuses.

    Args:
        truth: content of a COCO annotation file; boxes xywh in original pixels.
        detections: COCO results of the run.
        findings: of both (`find_errors`), which also sets the overlap from which on an object counts as overlapped.
        min_score: detections below it are not looked at, 0-1.
    """
    names = {category["id"]: str(category["name"]) for category in truth["categories"]}
    class_names = tuple(names.get(class_id, f"class {class_id}") for class_id in findings.class_ids.tolist())
    # Scores decide who finds what from the highest down, so the threshold takes nothing from those above it.
    is_seen = (findings.score >= min_score) & ~findings.is_ignored
    finds = np.flatnonzero(is_seen & (findings.error == ErrorType.NONE))
    wrong = np.flatnonzero(is_seen & (findings.error == ErrorType.CLASSIFICATION))
    # An image's rows stand by score, and an object is in one image: the first is the best.
    wrong = wrong[np.unique(findings.object[wrong], return_index=True)[1]]
    counts = np.zeros((len(class_names), len(class_names)), np.int64)
    for rows in (finds, wrong):
        np.add.at(counts, (findings.object_class[rows], findings.detected_class[rows]), 1)
    found_scores = dict(zip(findings.object[finds].tolist(), findings.score[finds].tolist(), strict=True))
    confused: dict[tuple[int, int], list[ConfusedObject]] = {}
    for row in wrong[np.argsort(-findings.score[wrong], kind="stable")].tolist():
        pair = int(findings.object_class[row]), int(findings.detected_class[row])
        confused.setdefault(pair, []).append(
            ConfusedObject(
                image_id=int(findings.image_ids[findings.image[row]]),
                object=int(findings.object[row]),
                object_box=_box(truth["annotations"][findings.object[row]]),
                detection_box=_box(detections[findings.detection[row]]),
                score=float(findings.score[row]),
                iou=float(findings.iou[row]),
                found_score=found_scores.get(int(findings.object[row])),
            )
        )
    n_objects = findings.n_objects
    pairs = [
        ConfusedPair(class_names[true], class_names[called], tuple(objects), int(n_objects[true].sum()))
        for (true, called), objects in confused.items()
    ]
    pairs.sort(key=lambda pair: (-len(pair.objects), pair.true_class, pair.called))
    return Confusion(min_score, findings.image_ids, class_names, counts, n_objects, tuple(pairs))


@dataclass(frozen=True)
class PairDifference:
    """How often two arms confuse one pair of classes.

    Attributes:
        true_class: name of the objects' class.
        called: name that they were given.
        treatment: number of objects in each of its runs.
        baseline: likewise.
        changed: objects that a larger part of the runs of one arm confuses than of the other, the largest difference
            first: what to draw.
        effect: of the means, treatment minus baseline, in objects; below 0 the treatment confuses fewer. None where no
            weights of the images were given.
    """

    true_class: str
    called: str
    treatment: tuple[int, ...]
    baseline: tuple[int, ...]
    changed: tuple[ConfusedObject, ...]
    effect: Effect | None = None

    @property
    def difference(self) -> float:
        """Mean of the treatment's runs minus mean of the baseline's, in objects."""
        return float(np.mean(self.treatment) - np.mean(self.baseline))

    def words(self, treatment: str, baseline: str) -> str:
        """Say the pair in a sentence, with the names of the arms."""
        means = np.mean(self.treatment), np.mean(self.baseline)
        return (
            f"{self.true_class} called {self.called}: {means[0]:.1f} times with {treatment}, "
            f"{means[1]:.1f} with {baseline}"
        )


def compare_confusions(
    treatment: Sequence[Confusion], baseline: Sequence[Confusion], weights: NDArray[np.float64] | None = None
) -> list[PairDifference]:
    """Return all pairs that a run of either arm confuses, the largest difference first.

    Args:
        treatment: of each of its runs, on the same images and at the same score.
        baseline: likewise.
        weights: (J, N) of the images (`judging.image_weights`), for an interval of each difference.
    """
    runs = [*treatment, *baseline]
    named = dict.fromkeys((pair.true_class, pair.called) for run in runs for pair in run.pairs)
    compared = []
    for true_class, called in named:
        arms = [[run.pair(true_class, called) for run in arm] for arm in (treatment, baseline)]
        numbers = [tuple(len(pair.objects) for pair in arm) for arm in arms]
        found = None
        if weights is not None:
            cells = [_cell(arm, runs[0].image_ids, weights) for arm in arms]
            n_images = int((runs[0].n_objects[runs[0].class_names.index(true_class)] > 0).sum())
            found = effect([cells[0]], [cells[1]], n_images)
        compared.append(PairDifference(true_class, called, numbers[0], numbers[1], _changed(*arms), found))
    return sorted(compared, key=lambda pair: (-abs(pair.difference), pair.true_class, pair.called))


def _changed(treatment: Sequence[ConfusedPair], baseline: Sequence[ConfusedPair]) -> tuple[ConfusedObject, ...]:
    differences: dict[int, float] = {}
    shown: dict[int, ConfusedObject] = {}
    for arm, part in ((treatment, 1 / len(treatment)), (baseline, -1 / len(baseline))):
        for one in (one for pair in arm for one in pair.objects):
            differences[one.object] = differences.get(one.object, 0.0) + part
            best = shown.setdefault(one.object, one)
            shown[one.object] = max(best, one, key=lambda each: each.score)
    # Thirds of runs do not add up to nothing to the last bit.
    kept = [one for number, one in shown.items() if abs(differences[number]) > 1e-9]
    return tuple(sorted(kept, key=lambda one: (-abs(differences[one.object]), -one.score, one.object)))


def _cell(arm: Sequence[ConfusedPair], image_ids: NDArray[np.int64], weights: NDArray[np.float64]) -> Cell:
    by_image = np.array([pair.by_image(image_ids) for pair in arm])
    return Cell(values=by_image.sum(axis=1), replicates=by_image @ weights.T)


def _box(entry: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(float(side) for side in entry["bbox"])


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
