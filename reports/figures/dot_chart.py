"""Lays out values as dots with intervals, one row each: effects of arms, and values of arms with their runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.chart import Span, nice_ticks, tick_digits
from reports.figures.drawing import LETTER_WIDTH, Dot, Drawing, Part, Stroke, Word, shortened

WIDTH = 560
ROW, FOOT = 26, 34
MOST_NAME, NUMBER_WIDTH = 270, 62


@dataclass(frozen=True)
class DotRow:
    """One row.

    Attributes:
        name: what it is about.
        value: in the chart's unit.
        interval: around it; None where none is known.
        runs: single values that it stands for, drawn faint.
        told: the value in words, to the right.
        colour: of dot and interval.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    runs: Sequence[float] = ()
    told: str = ""
    colour: str = "c1"


def dot_chart(
    name: str,
    title: str,
    rows: Sequence[DotRow],
    marks: Sequence[float] = (),
    has_zero: bool = False,
    notes: Sequence[str] = (),
) -> Drawing:
    """Return the figure.

    Args:
        name: for file names.
        title: with the unit.
        rows: at least one, the first on top.
        marks: values to draw a dashed line at (the smallest difference that matters, both ways).
        has_zero: whether zero is in view, with a line of its own.
        notes: below the figure.
    """
    told = max(LETTER_WIDTH * max(len(row.told) for row in rows) + 12, NUMBER_WIDTH)
    left = min(MOST_NAME, LETTER_WIDTH * max(len(row.name) for row in rows) + 14)
    right = WIDTH - told
    seen = [value for row in rows for value in (row.value, *row.runs, *(row.interval or ()))]
    seen += [*marks, *([0.0] if has_zero else [])]
    ticks = nice_ticks(_wide(min(seen), max(seen)))
    low, high = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    bottom = ROW * len(rows) + 6
    digits = tick_digits(ticks)
    parts: list[Part] = []
    for tick in ticks:
        parts.append(Stroke([(x(tick), 0), (x(tick), bottom)], "rule", 1))
        parts.append(Word(x(tick), bottom + 16, f"{tick:.{digits}f}", anchor="middle"))
    parts += [Stroke([(x(mark), 0), (x(mark), bottom)], "faint", 1, is_dashed=True) for mark in marks]
    if has_zero:
        parts.append(Stroke([(x(0), 0), (x(0), bottom)], "ink", 1))
    for number, row in enumerate(rows):
        y = ROW * (number + 0.5) + 3
        parts.append(Word(left - 10, y + 4, shortened(row.name, left - 14), "ink", "end"))
        if row.interval is not None:
            ends = [x(end) for end in row.interval]
            parts.append(Stroke([(ends[0], y), (ends[1], y)], row.colour, 2))
            parts += [Stroke([(end, y - 4), (end, y + 4)], row.colour, 2) for end in ends]
        parts += [Dot(x(value), y, 2.5, "faint", told=f"{value:.3g}") for value in row.runs if len(row.runs) > 1]
        parts.append(Dot(x(row.value), y, 4.5, row.colour, told=f"{row.name}: {row.told}"))
        parts.append(Word(right + 12, y + 4, row.told, "ink"))
    return Drawing(name, title, WIDTH, bottom + FOOT - 8, parts, notes)


def _wide(low: float, high: float) -> Span:
    return Span(low, high) if high - low > 1e-9 * max(1.0, abs(high)) else Span(low - 0.5, high + 0.5)
