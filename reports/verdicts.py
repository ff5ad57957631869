"""The verdicts of a report: what its sweeps' hypotheses came to, as tables and as lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.gathering import Gathered
from reports.judging.arms import find_cells, lenders_of
from reports.judging.decision import Word
from reports.judging.judge import JudgedClaim, JudgedHypothesis, JudgedStep, judge
from reports.judging.looks import Look, judge_in_looks, replay_looks
from reports.judging.noise_floor import N_SEEDS, NoiseFloor, noise_floor
from reports.judging.wording import (
    bound_words,
    claim_words,
    difference_words,
    level_words,
    look_words,
    metric_words,
    more_seeds,
    noise_words,
    objects_words,
    outlook_words,
    signed,
    unit_words,
    verdict_words,
)
from reports.records import RunRecord, RunSet, SweepRecord
from reports.table import Cell, Column, Row, Table, Tone, missing_cell, text_cell
from runners.contract.errors import UserError
from runners.contract.hypothesis import read_hypothesis

NAME = "verdicts"
TONES = {Word.BETTER: Tone.BEST, Word.WORSE: Tone.BAD}
# What no interval of these covers; said with every verdict.
NOT_COVERED = (
    "Not covered by the intervals: another training set, labelling errors, other hyper-parameters, "
    "images of another kind."
)


@dataclass(frozen=True)
class SweepVerdicts:
    """What one sweep's hypothesis came to.

    Attributes:
        sweep_id: the sweep that put it to the test, or the hypothesis' name if runs of any sweeps do.
        judged: None where nothing could be judged.
        floor: of a hypothesis that compares nothing: how much its runs differ.
        missing: runs that are to be there and are not, in words.
        problem: why; empty otherwise.
        next_command: trains only the seeds that would decide; empty if none would, or none is needed.
        remarks: lines worth reading beside the verdicts.
    """

    sweep_id: str
    judged: JudgedHypothesis | None
    problem: str = ""
    next_command: str = ""
    floor: tuple[NoiseFloor, ...] = ()
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def judge_sweeps(runs: RunSet, elsewhere: Gathered | None = None) -> list[SweepVerdicts]:
    """Judge the hypothesis of every sweep that has one.

    Args:
        runs: what the report is about.
        elsewhere: runs of other sweeps; replicates of an arm count, and others may lend what they know of the noise.
    """
    beside = elsewhere or Gathered((), {})
    versions = {**beside.versions, **{sweep.sweep_id: sweep.versions for sweep in runs.sweeps}}
    return [
        _judge_sweep(sweep, runs.runs, beside.runs, versions) for sweep in runs.sweeps if sweep.hypothesis is not None
    ]


def _judge_sweep(
    sweep: SweepRecord,
    runs: Sequence[RunRecord],
    elsewhere: Sequence[RunRecord],
    versions: Mapping[str, Mapping[str, str]],
) -> SweepVerdicts:
    try:
        hypothesis = read_hypothesis(sweep.hypothesis or {}, f"sweep {sweep.sweep_id}")
        own = [run for run in runs if run.sweep_id == sweep.sweep_id]
        others = [run for run in (*runs, *elsewhere) if run.sweep_id != sweep.sweep_id]
        cells = find_cells(hypothesis, own, others)
        if hypothesis.is_floor:
            return SweepVerdicts(sweep.sweep_id, None, floor=tuple(noise_floor(hypothesis, cells)))
        if hypothesis.until_decided:
            cells = find_cells(hypothesis, own, ())
            looks = [Look.read(look) for look in sweep.looks] or replay_looks(hypothesis, cells, versions)
            return SweepVerdicts(sweep.sweep_id, judge_in_looks(hypothesis, cells, versions, looks))
        judged = judge(hypothesis, cells, lenders_of(cells, others), versions, [*runs, *others])
    except UserError as error:
        # A report must not fail because of one hypothesis.
        return SweepVerdicts(sweep.sweep_id, None, error.problems[0])
    return SweepVerdicts(sweep.sweep_id, judged, "", more_seeds(judged, sweep.command))


def verdict_tables(found: Sequence[SweepVerdicts]) -> list[Table]:
    """Return the tables that are to be seen first; those without a row are left out."""
    return [table for table in (_verdict_table(found), _floor_table(found)) if table.rows]


def _verdict_table(found: Sequence[SweepVerdicts]) -> Table:
    """Return a row for each comparison: answer, gain with its interval, seeds, what else differs."""
    rows = [row for verdicts in found if not verdicts.floor for row in _rows(verdicts)]
    return Table(
        name=NAME,
        title="Verdicts",
        columns=tuple(
            Column(title, is_number=False)
            for title in ("question", "by", "answer", "difference", "seeds", "what else differs")
        ),
        rows=rows,
        notes=list(_notes(found)) if rows else (),
    )


def _rows(verdicts: SweepVerdicts) -> Iterator[Row]:
    if verdicts.judged is None:
        yield Row(verdicts.sweep_id, [missing_cell(f"not judged: {verdicts.problem}"), *[missing_cell()] * 5])
        return
    for claim in verdicts.judged.claims:
        for step in claim.steps:
            yield Row(verdicts.sweep_id, _cells(step))


def _cells(step: JudgedStep) -> list[Cell]:
    question = f"{step.comparison.treatment} over {step.comparison.baseline}"
    by = metric_words(step.question.metric)
    n_treated, n_base = step.n_seeds
    seeds = text_cell(f"{n_treated} + {n_base}")
    if step.verdict is None:
        answer = missing_cell(f"not judged: {step.problem}")
        return [text_cell(question), text_cell(by), answer, difference_cell(step), seeds, missing_cell()]
    tone = TONES.get(step.verdict.word, Tone.PLAIN)
    differs = "; ".join(map(str, step.differences)) or "nothing"
    return [
        text_cell(question),
        text_cell(by),
        text_cell(verdict_words(step), tone, step.verdict.reason),
        difference_cell(step),
        seeds,
        text_cell(differs),
    ]


def difference_cell(step: JudgedStep, unit: str = "") -> Cell:
    """Return effect and interval; the difference of what cannot be judged is shown, and muted."""
    told = difference_words(step)
    if not told:
        return missing_cell()
    return text_cell(f"{told}{unit}", Tone.PLAIN if step.verdict is not None else Tone.MUTED)


def _notes(found: Sequence[SweepVerdicts]) -> Iterator[str]:
    yield (
        "Difference of the arms' means and, in brackets, its interval, which holds the noise of seeds and of images; "
        "AP in points. better: all of the interval lies above the smallest difference that matters."
    )
    for verdicts in found:
        if verdicts.judged is not None:
            yield from _claim_notes(verdicts.judged)
        yield from verdicts.remarks
        yield from (f"not finished: {line}" for line in verdicts.missing)
        if verdicts.next_command:
            yield f"next: {verdicts.next_command}"
    yield NOT_COVERED


def _claim_notes(judged: JudgedHypothesis) -> Iterator[str]:
    hypothesis = judged.hypothesis
    margins = ", ".join(
        f"{signed(question.margin, question).lstrip('+')}{unit_words(question)} of {metric_words(question.metric)}"
        for question in hypothesis.questions
    )
    level = f"Intervals at {100 * hypothesis.confidence:.3g} %, but where a line says otherwise."
    yield f"{hypothesis.name}: {hypothesis.claim} What matters: {margins}. {level}"
    for claim in judged.claims:
        yield from _lines_of(claim, hypothesis.confidence)


def _lines_of(claim: JudgedClaim, confidence: float) -> Iterator[str]:
    if claim.is_ordered and len(claim.steps) > 1:
        yield f"{metric_words(claim.question.metric)}: {claim_words(claim)}"
    for step in claim.steps:
        arms = f"{step.comparison.treatment} over {step.comparison.baseline}, {metric_words(step.question.metric)}"
        looked = look_words(claim, step)
        reason = "" if step.verdict is None else step.verdict.reason
        level = looked or level_words(step, confidence)
        told = (objects_words(step), level, noise_words(step), bound_words(step), reason, outlook_words(step))
        if any(told):
            yield f"{arms}: {'; '.join(filter(None, told))}"
        if step.verdict is not None and len(step.verdict.effect.block_differences) > 1:
            shown = ", ".join(signed(value, step.question) for value in step.verdict.effect.block_differences)
            disagree = len({value > 0 for value in step.verdict.effect.block_differences}) > 1
            yield f"{arms}, block by block: {shown}{'; the blocks disagree' if disagree else ''}"
        yield from (f"left out: {line}" for line in step.left_out)


def _floor_table(found: Sequence[SweepVerdicts]) -> Table:
    """Return a row for each metric: how much equal runs differ, and which differences that lets be seen."""
    titles = ("mean", "deviation", "it may be", *(f"seen with {number} seeds" for number in N_SEEDS))
    rows = [Row(verdicts.sweep_id, _floor_cells(floor)) for verdicts in found for floor in verdicts.floor]
    return Table(
        name="noise-floor",
        title="How much equal runs differ",
        columns=(Column("metric", is_number=False), Column("runs"), *map(Column, titles)),
        rows=rows,
        notes=(
            "Runs that differ in nothing but their seed; AP in points. A deviation from few runs is itself uncertain.",
            "Seen: the true difference of two arms, with so many seeds in each, that shows in four cases of five, "
            "as far as seeds decide; the noise of images comes on top.",
        ),
    )


def _floor_cells(floor: NoiseFloor) -> list[Cell]:
    question = floor.question
    named = [text_cell(metric_words(question.metric)), Cell(str(floor.n_seeds), float(floor.n_seeds))]
    if floor.problem:
        return [
            *named,
            missing_cell(),
            missing_cell(floor.problem),
            *[missing_cell()] * (1 + len(N_SEEDS)),
        ]
    low, high = (signed(end, question).lstrip("+") for end in floor.deviation_range)
    numbers = [Cell(signed(value, question).lstrip("+"), value) for value in (floor.mean, floor.deviation)]
    seen = [Cell(signed(value, question).lstrip("+"), value) for value in floor.detectable]
    return [*named, *numbers, text_cell(f"{low} to {high}"), *seen]
