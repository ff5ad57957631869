"""How jobs are named, ordered and told apart in every table and chart."""

from collections.abc import Sequence

from reports.records import RunRecord
from reports.zoo import detector_title
from runners.contract import metrics as names

VAL_AP_50 = names.metric("val", "bbox_mAP_50")


def row_key(run: RunRecord) -> str:
    """Return what tells a job from all others, in tables and charts alike."""
    return f"{run.sweep_id}/{run.job_id}"


def display_titles(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return a title per row key; the same job of two sweeps is told apart by the sweep's id."""
    seen: dict[str, set[str]] = {}
    for run in runs:
        seen.setdefault(run.title, set()).add(row_key(run))
    return {row_key(run): run.title if len(seen[run.title]) == 1 else f"{run.title} · {row_key(run)}" for run in runs}


def width_warning(runs: Sequence[RunRecord]) -> str:
    """Return what a heading says where necks and heads were narrower than the published ones; empty if none was."""
    n_narrow = sum(run.is_narrow for run in runs)
    if n_narrow == 0:
        return ""
    return "narrow width" if n_narrow == len(runs) else f"{n_narrow} of {len(runs)} narrow width"


def with_width(title: str, runs: Sequence[RunRecord]) -> str:
    """Return a heading with its `width_warning`."""
    warning = width_warning(runs)
    return f"{title} ({warning})" if warning else title


def ranked(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return jobs with a result first, the highest val mAP50 on top; the others behind, in the order of the plan."""

    def place(run: RunRecord) -> tuple[bool, float]:
        value = run.at_best(VAL_AP_50)
        return (not run.has_result, 0.0 if value is None or not run.has_result else -value)

    return sorted(runs, key=place)


def loss_title(terms: tuple[str, str]) -> str:
    """Return what a training loss belongs to, in words."""
    detector, box_loss = terms
    title = detector_title({"detector": detector})
    return title if box_loss in ("", "zoo") else f"{title} with {box_loss} box loss"
