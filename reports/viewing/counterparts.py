"""Whether the other run makes the same error: of the same type on the same object, or on the same spot."""

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.error_types import FOUND_IOU
from reports.diagnosis.findings import ErrorType
from reports.judging.matching import Objects, box_iou
from reports.viewing.view import View, ViewedRun


def counterpart_scores(view: View, number: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (I,) the score with which the other run makes the same error; -1 where it does not.

    An error on an object is the same if type, object and the class that was named are; one on the background if class
    and spot are (an overlap of `FOUND_IOU`).

    Args:
        view: two runs.
        number: the run that the rows are of, 0 or 1.
        rows: of wrong detections.
    """
    run, other = view.runs[number], view.runs[1 - number]
    findings, theirs = run.findings, other.findings
    known: dict[tuple[int, int, int], float] = {}
    wrong = np.flatnonzero((theirs.detection >= 0) & (theirs.error != ErrorType.NONE) & (theirs.object >= 0))
    keys = zip(
        theirs.error[wrong].tolist(), theirs.object[wrong].tolist(), theirs.detected_class[wrong].tolist(), strict=True
    )
    for key, score in zip(keys, theirs.score[wrong].tolist(), strict=True):
        known[key] = max(score, known.get(key, -1.0))
    scores = np.full(len(rows), -1.0)
    is_background = findings.error[rows] == ErrorType.BACKGROUND
    for at in np.flatnonzero(~is_background).tolist():
        row = rows[at]
        key = int(findings.error[row]), int(findings.object[row]), int(findings.detected_class[row])
        scores[at] = known.get(key, -1.0)
    backgrounds = np.flatnonzero(is_background)
    images = findings.image[rows[backgrounds]]
    for image in np.unique(images).tolist():
        here = backgrounds[images == image]
        scores[here] = _on_background(run, other, rows[here], image)
    return scores


def _on_background(run: ViewedRun, other: ViewedRun, rows: NDArray[np.int64], image: int) -> NDArray[np.float64]:
    theirs = other.rows(image)
    theirs = theirs[other.findings.error[theirs] == ErrorType.BACKGROUND]
    if not len(theirs):
        return np.full(len(rows), -1.0)
    spots = Objects(other.boxes[theirs], np.zeros(len(theirs)), np.zeros(len(theirs), bool))
    same = run.findings.detected_class[rows][:, None] == other.findings.detected_class[theirs][None, :]
    same &= box_iou(run.boxes[rows], spots) >= FOUND_IOU
    scores: NDArray[np.float64] = np.where(same, other.findings.score[theirs][None, :], -1.0).max(axis=1)
    return scores
