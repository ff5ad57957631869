"""Why the numbers are as they are, in a few lines: errors, confused classes, fit, sizes."""

from collections.abc import Iterator, Sequence

from reports.diagnosed_runs import DiagnosedArm, mean_sizes
from reports.diagnosis.findings import MAIN_TYPES
from reports.diagnosis.sizes import SizeRow
from reports.difference_tables import ComparedArms, error_effects, pair_differences
from reports.error_tables import mean_pairs
from reports.section import Section

N_LINES = 6
# A difference in confusions below one object is nothing to look at, nor is one in costs below half a point.
_WORTH_SAYING, _WORTH_POINTS = 1.0, 0.005


def reason_lines(sections: Sequence[Section]) -> list[str]:
    """Return what a diagnosis says of the arms that a hypothesis compares, or of the best arm of each data set."""
    lines: list[str] = []
    for section in sections:
        if section.compared:
            for compared in section.compared:
                lines += _of_comparison(compared)
        elif section.arms:
            lines += _of_arm(section.arms[0])
    return lines[:N_LINES]


def _of_comparison(compared: ComparedArms) -> Iterator[str]:
    yield _errors_between(compared)
    yield from _confusions_between(compared)
    for arm in (compared.treatment, compared.baseline):
        yield f"{arm.arm.name}: {_fit(arm)}"
    sizes = _weakest_size(compared.treatment)
    if sizes:
        yield f"{compared.treatment.arm.name}: {sizes}"


def _errors_between(compared: ComparedArms) -> str:
    treatment, baseline = compared.treatment.mean, compared.baseline.mean
    assert treatment is not None
    assert baseline is not None
    effects = error_effects(compared)
    differing = []
    for error in sorted(MAIN_TYPES, key=lambda error: -abs(effects[error].difference)):
        low, high = effects[error].interval(compared.alpha)
        is_large = abs(effects[error].difference) >= _WORTH_POINTS
        if is_large and not effects[error].seeds_unknown and (low > 0 or high < 0):
            differing.append(
                f"{error.word} {_points(treatment.costs[error])} against {_points(baseline.costs[error])}"
                f" ({_signed(effects[error].difference)} [{_signed(low)}, {_signed(high)}])"
            )
    if differing:
        return f"Errors, in points of AP50 that they cost, {compared.name}: {', '.join(differing[:3])}"
    told = f"{compared.name}: no type of error differs by more than noise or half a point"
    most = treatment.costliest
    if most is None:
        return told
    cost = _points(treatment.costs[most])
    return f"{told}; of {compared.treatment.arm.name} {most.word} costs most, {cost} points of AP50"


def _confusions_between(compared: ComparedArms) -> Iterator[str]:
    pairs = [pair for pair in pair_differences(compared) if abs(pair.difference) >= _WORTH_SAYING]
    if pairs:
        first = pairs[0]
        words = first.words(compared.treatment.arm.name, compared.baseline.arm.name)
        assert first.effect is not None
        low, high = first.effect.interval(compared.alpha)
        is_known = not first.effect.seeds_unknown and (low > 0 or high < 0)
        yield f"{words}{'' if is_known else ', which noise may explain'}"


def _of_arm(arm: DiagnosedArm) -> Iterator[str]:
    if arm.mean is not None:
        costs = sorted(arm.mean.costs.items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{error.word} {_points(cost)}" for error, cost in costs[:3] if cost > 0)
        if told:
            yield f"Costliest errors, in points of AP50: {told}"
    for true_class, called, times, n_labelled in mean_pairs(arm)[:2]:
        yield f"{true_class} called {called}, {times:.3g} times of {n_labelled}"
    reason = next((one.reason for one in arm.fit.runs.values() if one.fit is arm.fit.fit), "")
    yield f"Fit: {_fit(arm)}{f' ({reason})' if reason and len(arm.arm.runs) == 1 else ''}"
    sizes = _weakest_size(arm)
    if sizes:
        yield f"Sizes: {sizes}"


def _fit(arm: DiagnosedArm) -> str:
    return arm.fit.words


def _weakest_size(arm: DiagnosedArm) -> str:
    """Return where an arm is weakest by size and where best, among parts with objects enough."""
    judged = [(row, row.ap50) for row in mean_sizes(arm) if not row.is_too_few and row.ap50 is not None]
    if len(judged) < 2:
        return ""
    weakest, best = min(judged, key=lambda one: one[1]), max(judged, key=lambda one: one[1])
    return f"AP50 {_sized(*weakest)}, {_sized(*best)}"


def _sized(row: SizeRow, ap: float) -> str:
    return f"{_points(ap)} on objects {row.size.sides} px ({row.n_objects})"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"
