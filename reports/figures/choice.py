"""Chooses the figures of a report beside its curves: effects, arms, axes, errors, sizes, and what a point costs."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from reports.diagnosed_runs import DiagnosedArm
from reports.diagnosis.findings import MAIN_TYPES
from reports.figures.bar_chart import Bar, BarGroup, bar_chart
from reports.figures.dot_chart import DotRow, dot_chart
from reports.figures.drawing import N_COLOURS, Drawing
from reports.figures.scatter_chart import pareto_chart
from reports.judging.decision import MIN_SEEDS
from reports.judging.judge import JudgedStep
from reports.judging.wording import effect_words, metric_words
from reports.price_table import COSTS
from reports.records import RunRecord
from reports.same_recipe import distinct, val_aps
from reports.section import Section
from reports.verdicts import SweepVerdicts
from runners.contract.naming import GROUPS

# More rows or bars are no figure any more; tables hold them all.
N_ARMS, N_BAR_ARMS = 20, 4
_CONFIDENCE = 0.95
_SINGLE = "Small dots are single runs."


def effect_figures(verdicts: Sequence[SweepVerdicts]) -> list[Drawing]:
    """Return the effects of all comparisons with their intervals, one figure for each unit."""
    steps = [
        step
        for found in verdicts
        if found.judged is not None
        for claim in found.judged.claims
        for step in claim.steps
        if step.verdict is not None and np.isfinite(step.verdict.interval).all()
    ]
    units: dict[str, list[JudgedStep]] = {}
    for step in steps:
        units.setdefault("" if step.question.scale > 1 else step.question.metric, []).append(step)
    return [_effects(number, metric, members) for number, (metric, members) in enumerate(units.items(), start=1)]


def _effects(number: int, metric: str, steps: Sequence[JudgedStep]) -> Drawing:
    rows = [_effect_row(step) for step in steps]
    margins = {step.question.margin * step.question.scale for step in steps}
    # Where several differences matter, one line would be wrong for some rows.
    marks = [sign * margin for margin in margins for sign in (-1, 1)] if len(margins) == 1 and margins != {0.0} else []
    what = f"Difference in {metric_words(metric)}" if metric else "Difference in points"
    notes = ["Interval: noise of seeds and of images."]
    notes += ["Dashed: the smallest difference that matters."] if marks else []
    return dot_chart(f"effects-{number}", what, rows, marks, has_zero=True, notes=notes)


def _effect_row(step: JudgedStep) -> DotRow:
    assert step.verdict is not None
    # The effect is kept so that higher is better; a loss is shown as it is measured.
    sign = step.question.scale * (1 if step.question.higher_is_better else -1)
    low, high = sorted(sign * end for end in step.verdict.interval)
    name = f"{step.comparison.treatment} over {step.comparison.baseline}"
    if step.question.scale > 1:
        name += f", {metric_words(step.question.metric)}"
    colour = "accent" if step.verdict.word.is_decided else "faint"
    return DotRow(name, sign * step.verdict.effect.difference, (low, high), told=effect_words(step), colour=colour)


def section_figures(section: Section) -> list[Drawing]:
    """Return the figures of one data set's jobs."""
    return [*_arms(section), *_axes(section), *_errors(section), *_sizes(section), *_pareto(section)]


def _arms(section: Section) -> Iterator[Drawing]:
    arms = [arm for arm in section.arms if arm.arm.mean_ap is not None]
    if len(arms) < 2:
        return
    rows = [_value_row(arm.arm.name, arm.arm.runs) for arm in arms[:N_ARMS]]
    notes = [f"{_SINGLE} Interval: of the mean over seeds, 95 %, where there are three or more."]
    notes += [f"The best {N_ARMS} of {len(arms)} arms."] if len(arms) > N_ARMS else []
    yield dot_chart("arms", "val mAP50 by arm (AP points)", rows, notes=notes)


def _value_row(name: str, runs: Sequence[RunRecord]) -> DotRow:
    values = 100 * np.array(val_aps(runs))
    interval, mean = None, float(values.mean())
    if len(values) >= MIN_SEEDS:
        half = stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        interval = mean - float(half), mean + float(half)
    return DotRow(name, mean, interval, values.tolist(), f"{mean:.1f}")


def _axes(section: Section) -> Iterator[Drawing]:
    """Yield the runs by value of each axis, where there are several axes."""
    runs = [run for run in distinct(section.runs) if val_aps([run])]
    axes = {group: {run.params[group] for run in runs if group in run.params} for group in GROUPS}
    varied = [group for group, values in axes.items() if len(values) > 1]
    rows = [
        _spread_row(f"{group} {value}", [run for run in runs if run.params.get(group) == value], number)
        for number, group in enumerate(varied)
        for value in sorted(axes[group])
    ]
    if len(varied) > 1 and len(rows) <= N_ARMS:
        note = f"{_SINGLE} Large: their mean. Runs of one value differ in the other axes as well."
        yield dot_chart("axes", "val mAP50 by value of each axis (AP points)", rows, notes=[note])


def _spread_row(name: str, runs: Sequence[RunRecord], number: int) -> DotRow:
    values = [100 * ap for ap in val_aps(runs)]
    mean = sum(values) / len(values)
    return DotRow(name, mean, None, values, f"{mean:.1f}", f"c{number % N_COLOURS + 1}")


def _shown(section: Section) -> list[DiagnosedArm]:
    """Return the arms that bars are drawn of: those that a hypothesis compares, or else the best."""
    compared = [arm for one in section.compared for arm in (one.treatment, one.baseline)]
    candidates = compared or [arm for arm in section.arms if arm.found]
    distinct = list({arm.arm.keys: arm for arm in candidates}.values())
    same = [arm for arm in distinct if arm.found[0].on.fingerprint == distinct[0].found[0].on.fingerprint]
    return same[:N_BAR_ARMS]


def _errors(section: Section) -> Iterator[Drawing]:
    arms = _shown(section)
    if not arms:
        return
    means = [arm.mean for arm in arms]
    groups = [
        BarGroup(error.word, [Bar(None if mean is None else 100 * mean.costs[error]) for mean in means])
        for error in MAIN_TYPES
    ]
    names = [arm.arm.name for arm in arms]
    yield bar_chart("errors", "What errors cost (points of AP50, val)", names, groups, _first_of(section, arms))


def _sizes(section: Section) -> Iterator[Drawing]:
    arms = _shown(section)
    if not arms:
        return
    rows = [[(*one.sizes, *one.own_sizes) for one in arm.found] for arm in arms]
    groups = []
    for number, size in enumerate(rows[0][0]):
        if not size.n_objects:
            continue
        name = f"{size.size.name}: {size.size.sides} px ({size.n_objects})"
        bars = []
        for runs in rows:
            known = [ap for run in runs if (ap := run[number].ap50) is not None]
            bars.append(Bar(100 * sum(known) / len(known) if known else None, size.is_too_few))
        groups.append(BarGroup(name, bars))
    notes = ["In brackets the number of objects; pale where they are too few to judge.", *_first_of(section, arms)]
    if groups:
        names = [arm.arm.name for arm in arms]
        yield bar_chart("sizes", "AP50 by object size (points, val)", names, groups, notes)


def _first_of(section: Section, arms: Sequence[DiagnosedArm]) -> list[str]:
    n_arms = sum(bool(arm.found) for arm in section.arms)
    return [f"{len(arms)} of {n_arms} arms; the table holds all."] if len(arms) < n_arms else []


def _pareto(section: Section) -> Iterator[Drawing]:
    for cost in COSTS:
        known = [point for point in section.points if cost in point.costs]
        if len({point.costs[cost] for point in known}) > 1:
            note = "Full dots: nobody is at least as good at no more cost. Noise is not looked at."
            yield pareto_chart("pareto", "What a point costs: val mAP50 (AP points)", known, cost, [note])
            return
