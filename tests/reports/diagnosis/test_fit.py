"""Fit from curves and train precision: the four conclusions, what is not known, and seeds that disagree."""

import math
from collections.abc import Sequence

import pytest

from reports.diagnosis.fit import VAL_AP_50, Fit, FitLimits, FitReport, judge_arm, judge_fit
from reports.records import Point
from runners.contract.metrics import TRAIN_LOSS, VAL_LOSS


def curves(
    aps: Sequence[float] = (), losses: Sequence[float] = (), val_losses: Sequence[float] = ()
) -> dict[str, tuple[Point, ...]]:
    given = {VAL_AP_50: aps, TRAIN_LOSS: losses, VAL_LOSS: val_losses}
    return {
        name: tuple(Point(epoch, value) for epoch, value in enumerate(values, start=1))
        for name, values in given.items()
        if values
    }


RISING = (0.1, 0.3, 0.45, 0.55, 0.62, 0.67, 0.70, 0.72, 0.74, 0.76, 0.78, 0.80)
FLAT = (0.1, 0.5, 0.62, 0.68, 0.70, 0.701, 0.703, 0.702, 0.705, 0.704, 0.706, 0.705)
FALLING_LOSS = (2.0, 1.5, 1.2, 1.0, 0.9, 0.82, 0.75, 0.69, 0.64, 0.59, 0.55, 0.51)
FLAT_LOSS = (2.0, 1.5, 1.3, 1.25, 1.22, 1.21, 1.205, 1.203, 1.2, 1.2, 1.2, 1.2)


def test_a_rising_val_ap_asks_for_more_epochs_whatever_the_gap() -> None:
    report = judge_fit(curves(RISING, FALLING_LOSS), train_ap=0.99)
    assert report.fit is Fit.STILL_IMPROVING
    assert report.ap_gain == pytest.approx(0.06)
    assert report.gap == pytest.approx(0.19)
    assert "6.0 points" in report.reason


def test_high_on_train_and_low_on_val_is_overfitting() -> None:
    report = judge_fit(curves(FLAT, FALLING_LOSS), train_ap=0.95)
    assert report.fit is Fit.OVERFITTING
    assert report.reason == "train AP50 is 24.4 points above val AP50"
    assert not report.is_plateaued


def test_val_ap_that_falls_while_val_loss_rises_is_overfitting() -> None:
    aps = (0.2, 0.5, 0.68, 0.72, 0.71, 0.70, 0.69, 0.68)
    rising = judge_fit(curves(aps, FALLING_LOSS[:8], (1.5, 1.0, 0.8, 0.7, 0.72, 0.75, 0.8, 0.84)), train_ap=0.8)
    assert rising.fit is Fit.OVERFITTING
    assert rising.val_loss_rise == pytest.approx(0.2)
    assert rising.reason == "val loss ended 20% above its lowest, and val AP50 4.0 points below its best"
    steady = judge_fit(curves(aps, FALLING_LOSS[:8], (1.5, 1.0, 0.8, 0.7, 0.7, 0.7, 0.7, 0.71)), train_ap=0.8)
    assert steady.fit is Fit.CONVERGED


def test_low_on_train_is_underfitting_and_says_whether_the_loss_still_falls() -> None:
    report = judge_fit(curves(FLAT, FLAT_LOSS), train_ap=0.74)
    assert report.fit is Fit.UNDERFITTING
    assert report.is_plateaued
    assert report.reason == "train AP50 is 74.0; training loss fell by 0% into the last quarter"
    assert not judge_fit(curves(FLAT, FALLING_LOSS), train_ap=0.74).is_plateaued


def test_high_on_both_and_flat_has_converged() -> None:
    report = judge_fit(curves([0.2 + ap for ap in FLAT], FLAT_LOSS), train_ap=0.95)
    assert report.fit is Fit.CONVERGED
    assert report.gap == pytest.approx(0.044)


@pytest.mark.parametrize(
    ("aps", "train_ap", "fit"),
    [
        ((0.02, 0.30, 0.60, 0.71), 0.73, Fit.STILL_IMPROVING),
        ((0.02, 0.60, 0.70, 0.704), 0.73, Fit.UNDERFITTING),
        ((0.50, 0.85, 0.90, 0.903), 0.93, Fit.CONVERGED),
        ((0.30, 0.60, 0.62, 0.61), 0.90, Fit.OVERFITTING),
        ((0.30, 0.60), 0.65, Fit.STILL_IMPROVING),
        ((0.70,), 0.75, Fit.UNDERFITTING),
        ((0.85,), 0.90, Fit.NOT_KNOWN),
    ],
)
def test_runs_of_four_epochs_and_fewer_are_judged(aps: tuple[float, ...], train_ap: float, fit: Fit) -> None:
    losses = (1.5, 1.0, 0.8, 0.7)[: len(aps)]
    assert judge_fit(curves(aps, losses), train_ap).fit is fit


def test_what_was_not_measured_is_not_guessed() -> None:
    assert judge_fit({}, None).fit is Fit.NOT_KNOWN
    assert judge_fit(curves(losses=FLAT_LOSS), None).fit is Fit.NOT_KNOWN
    without_val = judge_fit(curves(losses=FALLING_LOSS), 0.9)
    assert (without_val.fit, without_val.gap, without_val.ap_gain) == (Fit.STILL_IMPROVING, None, None)
    without_train = judge_fit(curves(FLAT, FLAT_LOSS), None)
    assert without_train.fit is Fit.CONVERGED
    assert without_train.reason.endswith("train AP50 was not measured")
    # Imported: final numbers, no curves.
    assert judge_fit({}, 0.95, 0.6).fit is Fit.OVERFITTING
    assert judge_fit({}, 0.95, 0.9).fit is Fit.NOT_KNOWN


def test_a_run_that_diverged_is_not_judged() -> None:
    report = judge_fit(curves(FLAT, (*FLAT_LOSS[:-1], math.nan)), 0.9)
    assert (report.fit, report.reason) == (Fit.NOT_KNOWN, "the training loss was infinite or not a number")


def test_limits_move_the_conclusion() -> None:
    run = curves(FLAT, FLAT_LOSS)
    assert judge_fit(run, 0.85).fit is Fit.CONVERGED
    assert judge_fit(run, 0.85, limits=FitLimits(wide_gap=0.1)).fit is Fit.OVERFITTING
    assert judge_fit(run, 0.85, limits=FitLimits(low_train_ap=0.9)).fit is Fit.UNDERFITTING


def test_the_val_ap_of_the_chosen_weights_wins_over_the_curve() -> None:
    assert judge_fit(curves(FLAT), 0.9, 0.8).gap == pytest.approx(0.1)


def test_seeds_that_disagree_are_named() -> None:
    over, done, up = (FitReport(fit, "", 12) for fit in (Fit.OVERFITTING, Fit.CONVERGED, Fit.STILL_IMPROVING))
    assert judge_arm({"seed 0": over, "seed 1": over}).words == "overfitting in all 2 runs"
    assert judge_arm({"seed 0": over}).words == "overfitting"
    two = judge_arm({"seed 0": over, "seed 1": done, "seed 2": over})
    assert two.words == "overfitting in 2 of 3 runs; seed 1: converged"
    assert list(two.dissenting) == ["seed 1"]
    split = judge_arm({"seed 0": over, "seed 1": done, "seed 2": up})
    assert split.fit is Fit.NOT_KNOWN
    assert split.words == ("runs disagree; seed 0: overfitting, seed 1: converged, seed 2: still improving")
    assert judge_arm({"seed 0": over, "seed 1": done}).fit is Fit.NOT_KNOWN
