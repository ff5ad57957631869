"""What each type of error costs: by how much AP50 would rise if all errors of that type were repaired (dAP of TIDE).

Bolya et al. 2020 (arXiv:2008.08115), section 2.3: one type at a time, all others left as they are, so the costs do not
add up to what is missing from a perfect score. A wrong class or box is put right if its object was not found (of
several the highest score; the others go), all other wrong detections go, and missed objects leave the count. Values
are those of the ``tidecv`` package, divided by 100, and under whole-number weights of the images those of the set in
which each image is copied so often (as long as no scores tie between images).

TIDE's AP50 is not COCO's: a class with detections and no object counts as 0, at most 100 detections of an image count
over all classes, an object matched first is the first of equal overlaps, and precision is read at k/100.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.ap50 import ap50
from reports.diagnosis.findings import MAIN_TYPES, ErrorType, Findings
from reports.judging.effect import Cell, Donors, Effect, effect


@dataclass(frozen=True)
class ErrorCosts:
    """What the errors of one run cost, once for each weighting of the images; all values 0-1.

    Attributes:
        ap50: (J,) of the run as it is, higher is better.
        main: (J,) what each type costs, at least 0, lower is better.
        false_positives: (J,) what would be gained if every wrong detection stood below every right one.
        false_negatives: (J,) what would be gained if the objects that nothing found did not count.
    """

    ap50: NDArray[np.float64]
    main: Mapping[ErrorType, NDArray[np.float64]]
    false_positives: NDArray[np.float64]
    false_negatives: NDArray[np.float64]


@dataclass(frozen=True)
class Diagnosis:
    """The errors of one run, or the means of an arm's runs.

    Attributes:
        ap50: as TIDE takes it, 0-1, higher is better.
        counts: how many errors there are of each type; as TIDE counts, with those of detections on a crowd.
        costs: AP50 that each type costs, 0-1, lower is better.
        false_positives: AP50 that wrong detections cost, 0-1.
        false_negatives: AP50 that objects without a detection cost, 0-1.
        n_objects: that count.
        n_images: with at least one object that counts.
    """

    ap50: float
    counts: Mapping[ErrorType, float]
    costs: Mapping[ErrorType, float]
    false_positives: float
    false_negatives: float
    n_objects: int
    n_images: int

    @property
    def costliest(self) -> ErrorType | None:
        """The type that costs most; None where nothing costs anything."""
        most = max(self.costs, key=lambda error: self.costs[error])
        return most if self.costs[most] > 0 else None


class WeightedDiagnosis(NamedTuple):
    """The errors of one run, and what they cost under the weights that all runs on these images share."""

    diagnosis: Diagnosis
    replicates: ErrorCosts


class _Points(NamedTuple):
    """What average precision is taken of; the higher `rank`, the later among equal scores."""

    class_index: NDArray[np.int32]
    image: NDArray[np.int32]
    score: NDArray[np.float64]
    is_find: NDArray[np.bool_]
    rank: NDArray[np.int64]


def diagnose(findings: Findings) -> Diagnosis:
    """Return counts and costs of a run's errors."""
    return first_diagnosis(findings, error_costs(findings, np.ones((1, len(findings.image_ids)))))


def first_diagnosis(findings: Findings, costs: ErrorCosts) -> Diagnosis:
    """Return counts and costs of a run's errors.

    Args:
        findings: of the run.
        costs: of these, the first under weight one of every image.
    """
    return Diagnosis(
        ap50=float(costs.ap50[0]),
        counts={error: int((findings.error == error).sum()) for error in MAIN_TYPES},
        costs={error: float(values[0]) for error, values in costs.main.items()},
        false_positives=float(costs.false_positives[0]),
        false_negatives=float(costs.false_negatives[0]),
        n_objects=int(findings.n_objects.sum()),
        n_images=count_images(findings),
    )


def mean_diagnosis(runs: Sequence[Diagnosis]) -> Diagnosis:
    """Return the means of the runs of an arm on the same images.

    Args:
        runs: at least one.
    """

    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(runs)

    return Diagnosis(
        ap50=mean(run.ap50 for run in runs),
        counts={error: mean(run.counts[error] for run in runs) for error in MAIN_TYPES},
        costs={error: mean(run.costs[error] for run in runs) for error in MAIN_TYPES},
        false_positives=mean(run.false_positives for run in runs),
        false_negatives=mean(run.false_negatives for run in runs),
        n_objects=runs[0].n_objects,
        n_images=runs[0].n_images,
    )


def count_images(findings: Findings) -> int:
    """Return the number of images with at least one object that counts."""
    return int(findings.n_objects.any(axis=0).sum())


def error_costs(findings: Findings, weights: NDArray[np.float64]) -> ErrorCosts:
    """Return what errors cost under weights of the images; NaN where nothing of weight was found or labelled.

    Args:
        findings: of one run.
        weights: (J, N) weight of each image, at least 0, images by ascending id (`judging.image_weights`).
    """
    n_objects = findings.n_objects
    mean_ap50 = _MeanAp50(weights)
    before = mean_ap50.of(_as_it_is(findings), n_objects)
    main: dict[ErrorType, NDArray[np.float64]] = {}
    for error in MAIN_TYPES:
        left = n_objects - _n_missed(findings) if error is ErrorType.MISSED else n_objects
        after = mean_ap50.of(_repaired(findings, error), left)
        # A fall comes from where precision is read, and is no gain of the error: TIDE cuts it off.
        main[error] = np.maximum(after - before, 0.0)
    # The order among equal scores is that of a repaired run in both.
    as_repaired = _repaired(findings, ErrorType.NONE)
    sorted_out = as_repaired._replace(score=as_repaired.is_find.astype(np.float64))
    return ErrorCosts(
        ap50=before,
        main=main,
        false_positives=mean_ap50.of(sorted_out, n_objects) - before,
        false_negatives=mean_ap50.of(as_repaired, n_objects - findings.n_unfound) - before,
    )


def cost_effects(
    treatment: Sequence[WeightedDiagnosis],
    baseline: Sequence[WeightedDiagnosis],
    n_images: int,
    donors: Mapping[ErrorType, Donors] | None = None,
) -> dict[ErrorType, Effect]:
    """Return the difference of two arms in what each type of error costs: below 0 the treatment has less of it.

    Args:
        treatment: its runs.
        baseline: likewise, on the same images under the same weights.
        n_images: images (or groups) with at least one object.
        donors: what other arms lend of the seeds' noise, by type.
    """
    return {
        error: effect(
            [_cell(treatment, error)], [_cell(baseline, error)], n_images, donors.get(error) if donors else None
        )
        for error in MAIN_TYPES
    }


def _cell(runs: Sequence[WeightedDiagnosis], error: ErrorType) -> Cell:
    return Cell(
        values=np.array([run.diagnosis.costs[error] for run in runs]),
        replicates=np.array([run.replicates.main[error] for run in runs]),
    )


def _as_it_is(findings: Findings) -> _Points:
    kept = np.flatnonzero((findings.detection >= 0) & ~findings.is_ignored)
    return _Points(
        class_index=findings.detected_class[kept],
        image=findings.image[kept],
        score=findings.score[kept],
        is_find=findings.error[kept] == ErrorType.NONE,
        rank=kept,
    )


def _repaired(findings: Findings, error: ErrorType) -> _Points:
    """Return what is left once errors of one type are repaired; of `ErrorType.NONE`, all.

    A detection on a crowd counts for nothing, but one whose error is repaired does.
    """
    is_find = findings.error == ErrorType.NONE
    is_wrong = (findings.error == error) & ~is_find
    found_then = is_wrong & (findings.repaired_class >= 0)
    kept = np.flatnonzero((findings.detection >= 0) & ((~is_wrong & ~findings.is_ignored) | found_then))
    class_index = np.where(found_then, findings.repaired_class, findings.detected_class)
    return _Points(
        class_index=class_index[kept],
        image=findings.image[kept],
        score=findings.score[kept],
        is_find=(is_find | found_then)[kept],
        # TIDE lines up all that was wrong before all that was right.
        rank=kept + len(findings.error) * is_find[kept],
    )


def _n_missed(findings: Findings) -> NDArray[np.int32]:
    """Return (C, N) missed objects."""
    missed = np.flatnonzero(findings.error == ErrorType.MISSED)
    counts = np.zeros_like(findings.n_objects)
    np.add.at(counts, (findings.object_class[missed], findings.image[missed]), 1)
    return counts


class _MeanAp50:
    """The mean over classes of AP50 under weights; what a repair leaves as it was in a class is not reckoned again.

    Args:
        weights: (J, N) weight of each image.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self._weights = weights
        self._known: dict[tuple[bytes, bytes, bytes], NDArray[np.float64]] = {}

    def of(self, points: _Points, n_objects: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return (J,) the mean over classes that have a detection or an object."""
        order = np.lexsort((points.rank, -points.score, points.class_index))
        class_index, image, is_find = points.class_index[order], points.image[order], points.is_find[order]
        bounds = np.searchsorted(class_index, np.arange(len(n_objects) + 1))
        values = np.array(
            [
                self._of_class(image[start:end], is_find[start:end], objects)
                for start, end, objects in zip(bounds[:-1], bounds[1:], n_objects, strict=True)
            ]
        )
        is_known = ~np.isnan(values)
        sums, n_known = np.where(is_known, values, 0.0).sum(axis=0), is_known.sum(axis=0)
        means: NDArray[np.float64] = np.divide(
            sums, n_known, out=np.full(len(self._weights), np.nan), where=n_known > 0
        )
        return means

    def _of_class(
        self, image: NDArray[np.int32], is_find: NDArray[np.bool_], n_objects: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        # All that a class's precision depends on.
        key = image.tobytes(), is_find.tobytes(), n_objects.tobytes()
        if key not in self._known:
            self._known[key] = ap50(image, is_find, n_objects, self._weights)
        return self._known[key]
