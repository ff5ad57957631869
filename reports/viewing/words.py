"""Findings in words: what was found or is wrong, with score and overlap."""

from reports.diagnosis.findings import ErrorType
from reports.viewing.selection import Item
from reports.viewing.view import LETTERS, View


def item_words(view: View, item: Item, min_score: float) -> str:
    """Return a finding in words.

    Args:
        view: which holds it.
        item: the finding.
        min_score: a detection below it is taken for not there, 0-1.
    """
    findings = view.runs[item.run].findings
    true = view.class_names[int(view.labels.class_index[item.object])] if item.object >= 0 else ""
    if item.error is ErrorType.MISSED:
        if len(view.runs) == 1:
            return f"{true} missed"
        return f"{true} missed by {LETTERS[item.run]}{_other_find(view, item, min_score)}"
    called = view.class_names[int(findings.detected_class[item.row])]
    score, iou = f"{findings.score[item.row]:.2f}", f"{findings.iou[item.row]:.2f}"
    if item.error is ErrorType.NONE:
        return f"{true} found by {LETTERS[item.run]} ({score}){_other_find(view, item, min_score)}"
    said = {
        ErrorType.CLASSIFICATION: f"{true} called {called} ({score})",
        ErrorType.LOCALISATION: f"{called} badly placed ({score}, overlap {iou})",
        ErrorType.BOTH: f"{called} with wrong name and place ({score}, overlap {iou} with {true})",
        ErrorType.DUPLICATE: f"{called} found once more ({score})",
        ErrorType.BACKGROUND: f"{called} where nothing is labelled ({score})",
    }
    return said[item.error]


def _other_find(view: View, item: Item, min_score: float) -> str:
    """Say what the other run makes of the object."""
    if len(view.runs) == 1:
        return ""
    letter, other = LETTERS[1 - item.run], view.runs[1 - item.run]
    score, cover = float(other.found_score[item.object]), float(other.cover_score[item.object])
    if score >= min_score:
        return f", found by {letter} ({score:.2f})"
    if cover >= min_score:
        return f", by {letter} with a wrong name or box ({cover:.2f})"
    faint = f", which has it at {score:.2f}" if score >= 0 else ""
    also = " as well" if item.error is ErrorType.MISSED else ""
    return f", missed by {letter}{also}{faint}"
