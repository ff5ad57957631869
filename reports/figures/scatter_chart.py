"""Lays out points of precision against a cost, with the front of those that nobody beats at no more cost."""

from collections.abc import Sequence
from itertools import pairwise

from reports.chart import Span, nice_ticks, tick_digits
from reports.diagnosis.costs import Cost, CostPoint, pareto_front
from reports.figures.drawing import LETTER_WIDTH, Dot, Drawing, Part, Stroke, Word, shortened

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 12, 44
LABEL_WIDTH = 150


def pareto_chart(name: str, title: str, points: Sequence[CostPoint], cost: Cost, notes: Sequence[str] = ()) -> Drawing:
    """Return the figure.

    Args:
        name: for file names.
        title: with the unit of AP.
        points: at least one with this cost.
        cost: what stands below.
        notes: below the figure.
    """
    known = [point for point in points if cost in point.costs]
    front = pareto_front(known, cost)
    x_ticks = nice_ticks(_span([0.0, *(point.costs[cost] for point in known)]))
    y_ticks = nice_ticks(_span([100 * point.ap for point in known]))

    def x(value: float) -> float:
        return LEFT + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (WIDTH - LEFT - RIGHT)

    def y(ap: float) -> float:
        return HEIGHT - BOTTOM - (100 * ap - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (HEIGHT - TOP - BOTTOM)

    parts: list[Part] = []
    for tick in y_ticks:
        parts.append(Stroke([(LEFT, y(tick / 100)), (WIDTH - RIGHT, y(tick / 100))], "rule", 1))
        parts.append(Word(LEFT - 8, y(tick / 100) + 4, f"{tick:.{tick_digits(y_ticks)}f}", anchor="end"))
    parts += [
        Word(x(tick), HEIGHT - BOTTOM + 17, f"{tick:.{tick_digits(x_ticks)}f}", anchor="middle") for tick in x_ticks
    ]
    parts.append(Word((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, cost.value, anchor="middle"))
    steps = [(x(point.costs[cost]), y(point.ap)) for point in front]
    stairs = [place for (x1, y1), (x2, _) in pairwise(steps) for place in ((x1, y1), (x2, y1))]
    if len(front) > 1:
        parts.append(Stroke([*stairs, steps[-1]], "accent", 1.5))
    taken: list[tuple[float, float, float]] = []
    for point in sorted(known, key=lambda point: (point not in front, -point.ap)):
        at, is_best = (x(point.costs[cost]), y(point.ap)), point in front
        told = f"{point.name}: {100 * point.ap:.1f} for {point.costs[cost]:.3g} {cost.value}"
        parts.append(Dot(*at, 4.5, "accent" if is_best else "faint", is_hollow=not is_best, told=told))
        parts += _label(point.name, at, is_best, taken)
    return Drawing(name, title, WIDTH, HEIGHT, parts, notes)


def _label(name: str, at: tuple[float, float], is_best: bool, taken: list[tuple[float, float, float]]) -> list[Part]:
    """Return a name beside its dot, on the side where there is room; none where it would cover another."""
    text = shortened(name, LABEL_WIDTH)
    width = LETTER_WIDTH * len(text)
    is_left = at[0] + 9 + width > WIDTH
    start = at[0] - 9 - width if is_left else at[0] + 9
    for height in (at[1] + 4, at[1] - 10, at[1] + 18):
        is_free = all(start > end or start + width < begin or abs(height - other) > 13 for begin, end, other in taken)
        if is_free and 10 < height < HEIGHT - BOTTOM:
            taken.append((start, start + width, height))
            anchor = "end" if is_left else "start"
            return [Word(at[0] - 9 if is_left else start, height, text, "ink" if is_best else "soft", anchor)]
    return []


def _span(values: Sequence[float]) -> Span:
    low, high = min(values), max(values)
    return Span(low, high) if high - low > 1e-9 * max(1.0, abs(high)) else Span(low - 0.5, high + 0.5)
