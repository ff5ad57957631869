"""Lays out a line chart: data in, positions in an SVG out. Knows nothing of jobs or HTML."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.records import Point

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 30, 12, 34
LABEL_GAP = 13
N_TICKS = 5


@dataclass(frozen=True)
class Line:
    """One curve to be drawn.

    Attributes:
        key: what it belongs to; the same in all charts of a page.
        title: its name.
        label: a short mark drawn at its end; empty for a line in the background.
        points: by epoch, in the chart's unit.
        ended_badly: the last point is where it failed.
        chosen_epoch: the epoch to mark, if any.
    """

    key: str
    title: str
    label: str
    points: Sequence[Point]
    ended_badly: bool = False
    chosen_epoch: int | None = None


@dataclass(frozen=True)
class Span:
    """The range of an axis."""

    low: float
    high: float


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis, in SVG units."""

    at: float
    text: str


@dataclass(frozen=True)
class Spot:
    """A position in the SVG."""

    x: float
    y: float


@dataclass(frozen=True)
class DrawnLine:
    """A line in SVG units.

    Attributes:
        line: what is drawn.
        path: of an SVG ``polyline``.
        epochs: as text, for the pointer.
        values: likewise, rounded as in the tables.
        chosen: where the chosen epoch is, if it is to be marked and in view.
        end: the last point in view.
        label_at: where the label stands, moved apart from others.
    """

    line: Line
    path: str
    epochs: str
    values: str
    chosen: Spot | None
    end: Spot
    label_at: Spot


@dataclass(frozen=True)
class Chart:
    """A chart ready to be written as SVG."""

    title: str
    lines: Sequence[DrawnLine]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    n_leaving: int


def draw_chart(title: str, lines: Sequence[Line], span: Span, digits: int) -> Chart:
    """Place the lines of a chart.

    Args:
        title: with the unit.
        lines: background first; each has at least one point.
        span: of the values; what lies outside is cut off at the frame and counted.
        digits: of the values, as in the tables.
    """
    last_epoch = max(point.epoch for line in lines for point in line.points)
    ticks = nice_ticks(span)
    shown = Span(min(span.low, ticks[0]), max(span.high, ticks[-1]))
    n_digits = tick_digits(ticks)

    def x(epoch: float) -> float:
        # A single epoch stands in the middle.
        share = 0.5 if last_epoch == 1 else (epoch - 1) / (last_epoch - 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)

    def y(value: float) -> float:
        share = (min(max(value, shown.low), shown.high) - shown.low) / (shown.high - shown.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 2)

    ends = [Spot(x(line.points[-1].epoch), y(line.points[-1].value)) for line in lines]
    label_heights = _spread([end.y for line, end in zip(lines, ends, strict=True) if line.label])
    heights = iter(label_heights)
    drawn = []
    for line, end in zip(lines, ends, strict=True):
        chosen = [point for point in line.points if point.epoch == line.chosen_epoch]
        drawn.append(
            DrawnLine(
                line=line,
                path=" ".join(f"{x(point.epoch)},{y(point.value)}" for point in line.points),
                epochs=",".join(str(point.epoch) for point in line.points),
                values=",".join(f"{point.value:.{digits}f}" for point in line.points),
                chosen=Spot(x(chosen[0].epoch), y(chosen[0].value)) if chosen else None,
                end=end,
                label_at=Spot(end.x + 7, next(heights)) if line.label else end,
            )
        )
    return Chart(
        title=title,
        lines=drawn,
        x_ticks=[Tick(x(epoch), str(epoch)) for epoch in epoch_ticks(last_epoch)],
        y_ticks=[Tick(y(value), f"{value:.{n_digits}f}") for value in ticks],
        n_leaving=sum(any(not shown.low <= point.value <= shown.high for point in line.points) for line in lines),
    )


def span_of(lines: Iterable[Line], from_zero: bool) -> Span:
    """Return a range that holds all values, never of no height.

    Args:
        lines: at least one.
        from_zero: begin at 0, for quantities whose zero means something.
    """
    values = [point.value for line in lines for point in line.points]
    low = min(0.0, *values) if from_zero else min(values)
    high = max(values)
    if high - low > 1e-9 * max(abs(high), abs(low)):
        return Span(low, high)
    return Span(low, low + (abs(low) or 1.0))


def nice_ticks(span: Span) -> list[float]:
    """Return 4 to 8 round values, evenly spaced, that enclose a range."""
    raw = (span.high - span.low) / N_TICKS
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * (1 - 1e-9))
    first, last = math.floor(span.low / step + 1e-9), math.ceil(span.high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def tick_digits(ticks: Sequence[float]) -> int:
    """Return how many digits behind the point tell evenly spaced values exactly: one of 2.5, none of 10."""
    step = ticks[1] - ticks[0]
    first = max(0, -math.floor(math.log10(step) + 1e-9))
    return first if abs(round(step, first) - step) < 1e-6 * step else first + 1


def epoch_ticks(last_epoch: int) -> list[int]:
    """Return whole epochs to label: the first, round ones, and the last."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, last_epoch) if last_epoch / step <= 8)
    round_ones = [
        epoch for epoch in range(step, last_epoch, step) if epoch - 1 > step / 2 and last_epoch - epoch >= step / 2
    ]
    return sorted({1, *round_ones, last_epoch})


def _spread(heights: Sequence[float]) -> list[float]:
    """Return the heights of labels moved apart until none covers another, in the order given."""
    # Lines come with the best last; of two that end together the better is labelled above.
    order = sorted(range(len(heights)), key=lambda index: (heights[index], -index))
    placed = [0.0] * len(heights)
    above = -math.inf
    for index in order:
        placed[index] = above = max(heights[index], above + LABEL_GAP)
    # What was pushed below the frame moves all back up.
    below = HEIGHT - BOTTOM + LABEL_GAP / 2
    for index in reversed(order):
        placed[index] = below = min(placed[index], below)
        below -= LABEL_GAP
    return placed
