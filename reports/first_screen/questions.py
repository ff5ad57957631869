"""A row per question: answer, gain with its interval, seeds, what else differs, and what it costs."""

from collections.abc import Iterator, Sequence

from reports.first_screen.decision import cost_words
from reports.judging.judge import JudgedHypothesis, JudgedStep
from reports.judging.wording import metric_words, unit_words, verdict_words
from reports.table import Cell, Column, Row, Table, Tone, missing_cell, text_cell
from reports.verdicts import TONES, SweepVerdicts, difference_cell

NAME = "questions"
# What fits on a page beside everything else.
N_ROWS = 7
_HEADINGS = ("question", "answer", "gain", "seeds", "what else differs", "cost")


def question_table(verdicts: Sequence[SweepVerdicts]) -> Table:
    """Return the answers to all questions, as far as one screen holds them; without rows where nothing was asked."""
    rows = [row for found in verdicts for row in _rows(found)]
    more = len(rows) - N_ROWS
    return Table(
        name=NAME,
        title="Questions",
        columns=tuple(Column(heading, is_number=False) for heading in _HEADINGS),
        rows=rows[:N_ROWS],
        notes=(f"{more} more in the table of verdicts below.",) if more > 0 else (),
    )


def _rows(found: SweepVerdicts) -> Iterator[Row]:
    if found.judged is None:
        if not found.floor:
            yield Row("", [text_cell(found.sweep_id), missing_cell(f"not judged: {found.problem}"), *_missing(4)])
        return
    for claim in found.judged.claims:
        for step in claim.steps:
            yield Row("", _cells(step, found.judged))


def _cells(step: JudgedStep, judged: JudgedHypothesis) -> list[Cell]:
    question = f"{step.comparison.treatment} over {step.comparison.baseline}, {metric_words(step.question.metric)}"
    cost = cost_words(step.comparison, judged.cells)
    paid = text_cell(cost) if cost else missing_cell()
    if step.verdict is None:
        gain = difference_cell(step, unit_words(step.question))
        return [text_cell(question), missing_cell(f"not judged: {step.problem}"), gain, *_missing(2), paid]
    treated, base = step.n_seeds
    return [
        text_cell(question),
        text_cell(verdict_words(step), TONES.get(step.verdict.word, Tone.PLAIN)),
        difference_cell(step, unit_words(step.question)),
        text_cell(f"{treated} + {base}"),
        text_cell(_differing(step)),
        paid,
    ]


def _differing(step: JudgedStep) -> str:
    """Return what else differs between the arms by name; the table of verdicts says how."""
    told = [f"{one.key} (accepted)" if one.accepted else one.key for one in step.differences]
    return ", ".join(told) or "nothing"


def _missing(number: int) -> list[Cell]:
    return [missing_cell()] * number
