"""Out-of-fold precision: an arm's runs over all folds are one run on all images.

Each image is seen by a net that was not trained on it. It is the least noisy number that a small data set can give.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from reports.judging.arms import CellKey, CellRuns
from reports.judging.cell_values import MeasuredCell, evaluation_set_of
from reports.judging.effect import Cell
from reports.judging.evaluation_set import EvaluationSet
from reports.judging.matches import Matches, class_slices
from reports.judging.run_values import RunValues, kept_or_computed, matches_of, predictions_of
from reports.records import RunRecord
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.hypothesis import Hypothesis, Question, is_average_precision

FOLD = "fold"
_KEPT = "out_of_fold_values.npz"


def is_pooled(hypothesis: Hypothesis, question: Question) -> bool:
    """Whether a metric is taken over the images of all folds together; all others are means over folds."""
    return (
        len(hypothesis.blocks.get(FOLD, ())) > 1 and question.split == "val" and is_average_precision(question.metric)
    )


def without_fold(hypothesis: Hypothesis, key: CellKey) -> CellKey:
    """Return a place with its folds taken together."""
    kept = [value for name, value in zip(hypothesis.blocks, key.block, strict=True) if name != FOLD]
    return CellKey(key.arm, tuple(kept))


def measure_out_of_fold(question: Question, key: CellKey, folds: Sequence[CellRuns]) -> MeasuredCell:
    """Return the precision of an arm's pooled runs, one for each seed that all folds have.

    Args:
        question: the metric.
        key: the place.
        folds: its runs in each fold; the lowest seed of each belong together, then the next.

    Raises:
        UserError: folds share images, or differ in their classes.
    """
    n_seeds = min(len(cell.runs) for cell in folds)
    values: list[RunValues] = []
    left_out: list[str] = []
    on: EvaluationSet | None = None
    for number in range(n_seeds):
        try:
            found, on = _pooled_run([cell.runs[number] for cell in folds])
            values.append(found)
        except UserError as error:
            left_out.append(f"{folds[0].runs[number].title} and its folds: {error.problems[0]}")
    if not values or on is None:
        return MeasuredCell(Cell(np.zeros(0)), 0, 0, 0, "", tuple(left_out))
    table = np.stack([found.values[question.metric] for found in values])
    return MeasuredCell(
        Cell(table[:, 0], table[:, 1:]),
        values[0].n_objects[question.metric],
        values[0].n_groups[question.metric],
        len(on.images),
        on.fingerprint,
        tuple(left_out),
    )


def _pooled_run(runs: Sequence[RunRecord]) -> tuple[RunValues, EvaluationSet]:
    jobs = [JobFolder(run.folder) for run in runs if run.folder is not None and run.folder.is_dir()]
    if len(jobs) < len(runs):
        raise UserError("folders of the folds: not all of them are on this machine; their predictions are needed")
    sets = [evaluation_set_of(job, "val") for job in jobs]
    on = pool_sets(sets)
    predictions = [predictions_of(job, "val") for job in jobs]
    key = " ".join([on.fingerprint, str(on.group_by), *map(sha256_of, predictions)])

    def matches() -> Matches:
        parts = [matches_of(path, own) for path, own in zip(predictions, sets, strict=True)]
        return pool_matches(parts)

    # Beside the run of the first fold.
    return kept_or_computed(jobs[0], _KEPT, key, matches, "val", on), on


def pool_sets(sets: Sequence[EvaluationSet]) -> EvaluationSet:
    """Return the images of all folds as one set.

    Raises:
        UserError: folds share images, or differ in their classes.
    """
    images = [image for own in sets for image in own.images]
    categories = [sorted((entry["id"], entry["name"]) for entry in own.truth["categories"]) for own in sets]
    if len({image["id"] for image in images}) < len(images):
        raise UserError(
            f"folds in {sets[0].path.parent}: they share images; out-of-fold precision needs each image once"
        )
    if any(own != categories[0] for own in categories):
        raise UserError(f"folds in {sets[0].path.parent}: their classes differ; they are no folds of one data set")
    truth = {
        "images": images,
        "categories": sets[0].truth["categories"],
        "annotations": [entry for own in sets for entry in own.truth.get("annotations", [])],
    }
    digest = hashlib.sha256("".join(sorted(own.fingerprint for own in sets)).encode()).hexdigest()
    return EvaluationSet(sets[0].path, truth, digest, sets[0].group_by)


def pool_matches(parts: Sequence[Matches]) -> Matches:
    """Return the matches of several runs on images of their own as those of one run on all."""
    image_ids = np.sort(np.concatenate([part.image_ids for part in parts]))
    places = [np.searchsorted(image_ids, part.image_ids) for part in parts]
    n_objects = np.zeros((*parts[0].n_objects.shape[:2], len(image_ids)), parts[0].n_objects.dtype)
    for part, place in zip(parts, places, strict=True):
        n_objects[:, :, place] = part.n_objects
    of_class: list[tuple[np.ndarray, ...]] = []
    for slices in zip(*map(class_slices, parts), strict=True):
        image = np.concatenate(
            [place[part.image[here]] for part, place, here in zip(parts, places, slices, strict=True)]
        ).astype(np.int32)
        score = np.concatenate([part.score[here] for part, here in zip(parts, slices, strict=True)])
        matched, ignored = (
            np.concatenate([getattr(part, name)[:, here] for part, here in zip(parts, slices, strict=True)], axis=1)
            for name in ("matched", "ignored")
        )
        # Equal scores stand by image, and within one image as they stood: pycocotools' order.
        order = np.lexsort((np.arange(len(score)), image, -score))
        of_class.append((image[order], score[order], matched[:, order], ignored[:, order]))
    image, score, matched, ignored = (np.concatenate([own[n] for own in of_class], axis=-1) for n in range(4))
    return Matches(
        image_ids=image_ids,
        class_ids=parts[0].class_ids,
        area_ranges=parts[0].area_ranges,
        class_start=np.cumsum([0, *(len(own[0]) for own in of_class)]),
        image=image,
        score=score,
        matched=matched,
        ignored=ignored,
        n_objects=n_objects,
    )
