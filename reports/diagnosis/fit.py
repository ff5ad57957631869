"""Whether a run learned too little, too much by heart, or could go on: from its curves and its precision on train.

The rules are rules of thumb, no theory; they are tried in this order, and the numbers that led to one are given:

1. **still improving**: val AP50 in the last quarter of the epochs is above all before it by `improving_ap`, and the
   last value is not below the best by as much. More epochs come first, whatever else is true.
2. **overfitting**: train AP50 is above val AP50 by `wide_gap`; or val AP50 ended below its best by `falling_ap` while
   val loss ended above its lowest by `rising_loss`.
3. **underfitting**: train AP50 is below `low_train_ap`: not even the images that it has seen are found.
4. **converged**: none of these.

Without val AP50 the training loss alone can say *still improving* (it falls by `falling_loss` from the quarter before
the last to the last). What the numbers at hand cannot tell is *not known*, as is a run that diverged. Where train AP50
was not measured, rules 2 (its first half) and 3 cannot speak, and the reason of 4 says so.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from runners.contract import metrics as names

VAL_AP_50 = names.metric("val", "bbox_mAP_50")
TRAIN_AP_50 = names.metric("train", "bbox_mAP_50")


class CurvePoint(Protocol):
    """One value of a curve: epoch from 1, value in the metric's unit."""

    @property
    def epoch(self) -> int:
        """From 1."""

    @property
    def value(self) -> float:
        """In the metric's unit."""


class Fit(str, Enum):
    """How well a run fits what it learned from."""

    UNDERFITTING = "underfitting"
    OVERFITTING = "overfitting"
    STILL_IMPROVING = "still improving"
    CONVERGED = "converged"
    NOT_KNOWN = "not known"


@dataclass(frozen=True)
class FitLimits:
    """From where on a number speaks.

    Attributes:
        improving_ap: gain of val AP50 in the last quarter, 0-1.
        falling_ap: fall of val AP50 from its best to its last value, 0-1.
        wide_gap: train AP50 minus val AP50, 0-1.
        low_train_ap: train AP50, 0-1.
        rising_loss: rise of val loss from its lowest to its last value, as part of the lowest.
        falling_loss: fall of the training loss from one quarter to the next, as part of the former.
    """

    improving_ap: float = 0.01
    falling_ap: float = 0.01
    wide_gap: float = 0.15
    low_train_ap: float = 0.80
    rising_loss: float = 0.05
    falling_loss: float = 0.05


@dataclass(frozen=True)
class FitReport:
    """How one run fits, and the numbers that say so; None where one could not be taken.

    Attributes:
        fit: the conclusion.
        reason: which numbers led to it, in one line.
        n_epochs: trained.
        train_ap: AP50 on training images at the end, 0-1, higher is better.
        val_ap: AP50 on val that it is held against, 0-1, higher is better.
        ap_gain: what the last quarter added to the best val AP50 before it, 0-1; below 0 nothing.
        ap_fall: best val AP50 minus the last, 0-1, at least 0.
        loss_fall: fall of the training loss into the last quarter, as part of what it was; below 0 it rose.
        val_loss_rise: rise of val loss from its lowest to its last value, as part of the lowest, at least 0.
    """

    fit: Fit
    reason: str
    n_epochs: int
    train_ap: float | None = None
    val_ap: float | None = None
    ap_gain: float | None = None
    ap_fall: float | None = None
    loss_fall: float | None = None
    val_loss_rise: float | None = None

    @property
    def gap(self) -> float | None:
        """Train AP50 minus val AP50, 0-1."""
        return None if self.train_ap is None or self.val_ap is None else self.train_ap - self.val_ap

    @property
    def is_plateaued(self) -> bool:
        """Whether the training loss had stopped falling (by less than a fiftieth into the last quarter)."""
        return self.loss_fall is not None and self.loss_fall < 0.02


def judge_fit(
    curves: Mapping[str, Sequence[CurvePoint]],
    train_ap: float | None,
    val_ap: float | None = None,
    limits: FitLimits | None = None,
) -> FitReport:
    """Return how a run fits.

    Args:
        curves: by full metric name, one value per epoch: training loss, val loss, val AP50; any may be missing.
        train_ap: AP50 on the training images at the end, 0-1; None if it was not measured.
        val_ap: AP50 on val of the same weights, 0-1; None for the highest of the curve.
        limits: from where on a number speaks; None for the usual ones.
    """
    losses, val_losses, aps = (_finite(curves.get(name, ())) for name in (names.TRAIN_LOSS, names.VAL_LOSS, VAL_AP_50))
    n_epochs = max((point.epoch for name in curves for point in curves[name]), default=0)
    if val_ap is None and aps:
        val_ap = max(aps)
    measured = FitReport(
        fit=Fit.NOT_KNOWN,
        reason="",
        n_epochs=n_epochs,
        train_ap=train_ap,
        val_ap=val_ap,
        ap_gain=_gain(aps),
        ap_fall=max(aps) - aps[-1] if aps else None,
        loss_fall=_fall(losses),
        val_loss_rise=(val_losses[-1] - min(val_losses)) / min(val_losses)
        if val_losses and min(val_losses) > 0
        else None,
    )
    has_diverged = len(losses) < len(curves.get(names.TRAIN_LOSS, ()))
    fit, reason = _conclude(measured, limits or FitLimits(), has_diverged)
    return FitReport(**{**vars(measured), "fit": fit, "reason": reason})


def _conclude(run: FitReport, limits: FitLimits, has_diverged: bool) -> tuple[Fit, str]:
    if has_diverged:
        return Fit.NOT_KNOWN, "the training loss was infinite or not a number"
    if run.ap_gain is not None and run.ap_gain >= limits.improving_ap and (run.ap_fall or 0) < limits.falling_ap:
        return Fit.STILL_IMPROVING, f"val AP50 rose by {_points(run.ap_gain)} points in the last quarter of the epochs"
    if run.gap is not None and run.gap >= limits.wide_gap:
        return Fit.OVERFITTING, f"train AP50 is {_points(run.gap)} points above val AP50"
    is_rising = run.val_loss_rise is not None and run.val_loss_rise >= limits.rising_loss
    if is_rising and run.ap_fall is not None and run.ap_fall >= limits.falling_ap:
        return Fit.OVERFITTING, (
            f"val loss ended {run.val_loss_rise:.0%} above its lowest, "
            f"and val AP50 {_points(run.ap_fall)} points below its best"
        )
    if run.train_ap is not None and run.train_ap < limits.low_train_ap:
        loss = "" if run.loss_fall is None else f"; training loss {_moved(run.loss_fall)} into the last quarter"
        return Fit.UNDERFITTING, f"train AP50 is {_points(run.train_ap)}{loss}"
    if run.val_ap is None:
        if run.loss_fall is not None and run.loss_fall >= limits.falling_loss:
            return Fit.STILL_IMPROVING, f"the training loss fell by {run.loss_fall:.0%} into the last quarter"
        return Fit.NOT_KNOWN, "val AP50 was not measured"
    if run.ap_gain is None:
        return Fit.NOT_KNOWN, "there is no curve of val AP50 to tell whether it still rises"
    gap = (
        "train AP50 was not measured" if run.gap is None else f"train AP50 is {_points(run.gap)} points above val AP50"
    )
    return Fit.CONVERGED, f"val AP50 gained {_points(max(run.ap_gain, 0.0))} points in the last quarter; {gap}"


@dataclass(frozen=True)
class ArmFit:
    """How the runs of an arm fit, seed by seed.

    Attributes:
        fit: of most of them; `Fit.NOT_KNOWN` where no conclusion has most.
        runs: of each run, by what it is called (``seed 0``).
    """

    fit: Fit
    runs: Mapping[str, FitReport]

    @property
    def dissenting(self) -> dict[str, FitReport]:
        """The runs that say something else."""
        return {name: run for name, run in self.runs.items() if run.fit is not self.fit}

    @property
    def words(self) -> str:
        """The fit, and who disagrees: overfitting in 2 of 3 runs; seed 1: converged."""
        n_runs, others = len(self.runs), self.dissenting
        if not others:
            return self.fit.value if n_runs == 1 else f"{self.fit.value} in all {n_runs} runs"
        said = ", ".join(f"{name}: {run.fit.value}" for name, run in others.items())
        if len(others) == n_runs:
            return f"runs disagree; {said}"
        return f"{self.fit.value} in {n_runs - len(others)} of {n_runs} runs; {said}"


def judge_arm(runs: Mapping[str, FitReport]) -> ArmFit:
    """Return how an arm fits: what more than half of its runs say.

    Args:
        runs: at least one, by what they are called.
    """
    fit, n_runs = Counter(run.fit for run in runs.values()).most_common(1)[0]
    return ArmFit(fit if 2 * n_runs > len(runs) else Fit.NOT_KNOWN, runs)


def _finite(points: Sequence[CurvePoint]) -> list[float]:
    return [point.value for point in points if math.isfinite(point.value)]


def _n_last(values: Sequence[float]) -> int:
    """Return how many values are the last quarter: one of two to five, three of twelve."""
    return max(1, len(values) // 4)


def _gain(aps: Sequence[float]) -> float | None:
    if len(aps) < 2:
        return None
    n_last = _n_last(aps)
    return max(aps[-n_last:]) - max(aps[:-n_last])


def _fall(losses: Sequence[float]) -> float | None:
    """Return by what part the mean of the last quarter is below that of the quarter before."""
    if len(losses) < 2:
        return None
    n_last = _n_last(losses)
    last, before = losses[-n_last:], losses[-2 * n_last : -n_last]
    mean_before = sum(before) / len(before)
    return (mean_before - sum(last) / n_last) / mean_before if mean_before > 0 else None


def _moved(fall: float) -> str:
    return f"{'fell' if fall >= 0 else 'rose'} by {abs(fall):.0%}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
