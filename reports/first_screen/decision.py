"""The decision in one sentence: effect, interval and cost of a hypothesis; without one, the best run."""

from collections.abc import Sequence

from reports.diagnosis.costs import Cost, CostPoint
from reports.judging.arms import CellRuns
from reports.judging.decision import Word
from reports.judging.judge import JudgedClaim, JudgedHypothesis, JudgedStep
from reports.judging.noise_floor import N_SEEDS, NoiseFloor
from reports.judging.wording import (
    claim_words,
    effect_words,
    metric_words,
    outlook_words,
    signed,
    unit_words,
    verdict_words,
)
from reports.noise import SeedNoise, seed_noise
from reports.price_table import cost_points
from reports.same_recipe import Arm, val_aps
from reports.section import Section
from reports.table import ap_cell
from reports.tables import TEST_AP_50
from reports.verdicts import SweepVerdicts
from runners.contract.hypothesis import Comparison, is_average_precision

# What a ratio below or above means nothing.
_ABOUT_EQUAL = 0.03


def decision_sentences(verdicts: Sequence[SweepVerdicts], sections: Sequence[Section]) -> list[str]:
    """Return one sentence for each hypothesis; without one, a sentence about the best run of each data set."""
    if verdicts:
        return [_of_hypothesis(found) for found in verdicts]
    return [told for section in sections if (told := _of_best(section))]


def _of_hypothesis(found: SweepVerdicts) -> str:
    if found.floor:
        return _of_floor(found.floor)
    if found.judged is None:
        return f"Not judged: {found.problem}."
    claim = _leading(found.judged)
    told = _of_ordered(claim) if claim.is_ordered and len(claim.steps) > 1 else _of_step(claim.steps[0])
    return f"{told}{_paid(claim.steps, found.judged)}."


def _leading(judged: JudgedHypothesis) -> JudgedClaim:
    """Return the claim that decides: about precision, and of several against one baseline the best that holds."""
    claims = [claim for claim in judged.claims if is_average_precision(claim.question.metric)] or list(judged.claims)
    held = [claim for claim in claims if claim.word is Word.BETTER]
    return max(held, key=_difference) if held else claims[0]


def _difference(claim: JudgedClaim) -> float:
    return sum(step.verdict.effect.difference for step in claim.steps if step.verdict is not None)


def _of_ordered(claim: JudgedClaim) -> str:
    steps = "; ".join(
        f"{step.comparison.treatment} over {step.comparison.baseline} {effect_words(step)}"
        if step.verdict is not None
        else f"{step.comparison.treatment} over {step.comparison.baseline}: {step.problem}"
        for step in claim.steps
    )
    return f"{claim_words(claim)} in {metric_words(claim.question.metric)}: {steps}{unit_words(claim.question)}"


def _of_step(step: JudgedStep) -> str:
    treatment, baseline = step.comparison.treatment, step.comparison.baseline
    what = metric_words(step.question.metric)
    if step.verdict is None:
        return f"Not judged: {treatment} over {baseline} by {what}: {step.problem}"
    n_treated, n_base = step.n_seeds
    seeds = f"{n_treated}" if n_treated == n_base else f"{n_treated} and {n_base}"
    numbers = (
        f"{effect_words(step)}{unit_words(step.question)} of {what} ({100 * (1 - step.verdict.alpha):.3g} % interval,"
        f" {seeds} seed{'' if seeds == '1' else 's'} each)"
    )
    word = step.verdict.word
    if word is Word.BETTER:
        return f"Take {treatment}: better than {baseline}, {numbers}"
    if word is Word.WORSE:
        return f"Stay with {baseline}: {treatment} is worse, {numbers}"
    if word is Word.NO_RELEVANT_DIFFERENCE:
        return f"No relevant difference between {treatment} and {baseline}: {numbers}"
    if word is Word.NOT_BETTER:
        margin = signed(step.question.margin, step.question).lstrip("+")
        return f"Stay with {baseline}: {treatment} is not better by the {margin} that matter, {numbers}"
    why = outlook_words(step) or step.verdict.reason
    lean = verdict_words(step).removeprefix(Word.UNDECIDED.value)
    told = f"Not decided{lean}: {treatment} over {baseline}, {numbers}"
    return f"{told}; {why}" if why else told


def _of_floor(floor: Sequence[NoiseFloor]) -> str:
    known = next((one for one in floor if not one.problem), None)
    if known is None:
        return f"How much equal runs differ is not known: {floor[0].problem}."
    deviation, seen = (signed(value, known.question).lstrip("+") for value in (known.deviation, known.detectable[0]))
    unit = unit_words(known.question)
    return (
        f"Equal runs differ by a deviation of {deviation}{unit} of {metric_words(known.question.metric)}"
        f" ({known.n_seeds} runs): with {N_SEEDS[0]} seeds in each arm a true difference of {seen}{unit} can be seen."
    )


def _paid(steps: Sequence[JudgedStep], judged: JudgedHypothesis) -> str:
    told = cost_words(Comparison(steps[-1].comparison.treatment, steps[0].comparison.baseline), judged.cells)
    return f"; {told}" if told else ""


def cost_words(comparison: Comparison, cells: Sequence[CellRuns]) -> str:
    """Return what the treatment costs beside the baseline: ``1.3 times the device-hours (0.12 against 0.09)``.

    Args:
        comparison: two arms.
        cells: the runs of all arms.
    """
    sides = []
    for arm in (comparison.treatment, comparison.baseline):
        runs = tuple(run for cell in cells if cell.key.arm == arm for run in cell.runs)
        sides += cost_points([Arm(arm, runs)]) if runs else []
    if len(sides) < 2:
        return ""
    told = [_ratio(cost, *sides) for cost in (Cost.DEVICE_HOURS, Cost.PEAK_MEMORY_GB)]
    return ", ".join(one for one in told if one)


def _ratio(cost: Cost, treatment: CostPoint, baseline: CostPoint) -> str:
    if cost not in treatment.costs or not baseline.costs.get(cost):
        return ""
    first, second = treatment.costs[cost], baseline.costs[cost]
    name = "memory" if cost is Cost.PEAK_MEMORY_GB else cost.value
    if abs(first / second - 1) < _ABOUT_EQUAL:
        return f"as much {name}" if name == "memory" else f"as many {name} ({second:.2g})"
    return f"{first / second:.2g} times the {name} ({first:.2g} against {second:.2g})"


def _of_best(section: Section) -> str:
    """Return the best arm of a data set, how far it is ahead, and whether that means anything."""
    scored = [arm.arm for arm in section.arms if arm.arm.mean_ap is not None]
    if not scored:
        return ""
    best = scored[0]
    told = f"Best on val so far: {_named(best)} with {ap_cell(best.mean_ap).text} mAP50"
    tested = [value for run in best.runs if (value := run.metrics.get(TEST_AP_50)) is not None]
    if tested:
        told += f" (test {ap_cell(sum(tested) / len(tested)).text})"
    hours = next((point.costs.get(Cost.DEVICE_HOURS) for point in section.points if point.name == best.name), None)
    if hours is not None:
        told += f", for {hours:.2g} device-hours{' a run' if len(best.runs) > 1 else ''}"
    return f"{told}{_ahead(scored, arm_noise(section))}."


def _named(arm: Arm) -> str:
    return (arm.name or arm.runs[0].title) + (f" (mean of {len(arm.runs)} seeds)" if len(arm.runs) > 1 else "")


def arm_noise(section: Section) -> SeedNoise | None:
    """Return how much val mAP50 differs between seeds of this data set, in 0-1; None if that is not known."""
    values = {arm.arm.name: val_aps(arm.arm.runs) for arm in section.arms}
    return seed_noise(values)


def _ahead(scored: Sequence[Arm], noise: SeedNoise | None) -> str:
    if len(scored) < 2:
        return ""
    best, second = scored[0], scored[1]
    assert best.mean_ap is not None
    assert second.mean_ap is not None
    gap = best.mean_ap - second.mean_ap
    told = f"; {100 * gap:.1f} points ahead of {second.name or second.runs[0].title}"
    if noise is None:
        return f"{told}, which may be noise: without seeds of one recipe nobody knows how much equal runs differ"
    explained = noise.explains / 2**0.5 * (1 / len(best.runs) + 1 / len(second.runs)) ** 0.5
    word = "no more than" if gap <= explained else "more than"
    return f"{told}, {word} the seeds' noise explains ({100 * explained:.1f} points)"
