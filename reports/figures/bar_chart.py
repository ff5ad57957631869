"""Lays out bars in groups: what each error costs each arm, what each arm reaches on objects of each size."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.chart import Span, nice_ticks, tick_digits
from reports.figures.drawing import LETTER_WIDTH, Block, Drawing, Part, Stroke, Word, shortened

WIDTH = 560
BAR, GAP, FOOT, LEGEND = 13, 10, 26, 20
MOST_NAME, NUMBER_WIDTH = 200, 44


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        value: in the chart's unit, at least 0; None where there is none.
        is_faint: whether nothing may be concluded from it.
    """

    value: float | None
    is_faint: bool = False


@dataclass(frozen=True)
class BarGroup:
    """The bars of one thing, one for each arm, in the order of the arms."""

    name: str
    bars: Sequence[Bar]


def bar_chart(
    name: str, title: str, arms: Sequence[str], groups: Sequence[BarGroup], notes: Sequence[str] = ()
) -> Drawing:
    """Return the figure.

    Args:
        name: for file names.
        title: with the unit.
        arms: at most eight, each of a colour.
        groups: at least one, the first on top.
        notes: below the figure.
    """
    left = min(MOST_NAME, LETTER_WIDTH * max(len(group.name) for group in groups) + 14)
    right = WIDTH - NUMBER_WIDTH
    highest = max((bar.value or 0.0 for group in groups for bar in group.bars), default=0.0)
    ticks = nice_ticks(Span(0.0, highest or 1.0))

    def x(value: float) -> float:
        return left + value / ticks[-1] * (right - left)

    parts: list[Part] = []
    top = _legend(arms, parts) if len(arms) > 1 else 0.0
    height = BAR * len(arms) + GAP
    bottom = top + height * len(groups)
    digits = tick_digits(ticks)
    for tick in ticks:
        parts.append(Stroke([(x(tick), top), (x(tick), bottom)], "rule", 1))
        parts.append(Word(x(tick), bottom + 16, f"{tick:.{digits}f}", anchor="middle"))
    for number, group in enumerate(groups):
        y = top + height * number + GAP / 2
        parts.append(Word(left - 10, y + BAR * len(arms) / 2 + 4, shortened(group.name, left - 14), "ink", "end"))
        for place, bar in enumerate(group.bars):
            at = y + BAR * place
            if bar.value is None:
                parts.append(Word(left + 4, at + BAR - 3, "–", "faint"))
                continue
            colour = "rule" if bar.is_faint else f"c{place + 1}"
            told = f"{group.name}, {arms[place]}: {bar.value:.1f}"
            parts.append(Block(left, at + 1, max(0.5, x(bar.value) - left), BAR - 2, colour, told))
            number_colour = "faint" if bar.is_faint else "ink"
            parts.append(Word(x(bar.value) + 5, at + BAR - 2, f"{bar.value:.1f}", number_colour))
    return Drawing(name, title, WIDTH, bottom + FOOT, parts, notes)


def _legend(arms: Sequence[str], parts: list[Part]) -> float:
    """Add a line or more that say which colour is whose, and return where they end."""
    x, y = 0.0, 0.0
    for number, arm in enumerate(arms, start=1):
        text = shortened(arm, WIDTH - 30)
        width = LETTER_WIDTH * len(text) + 34
        if x + width > WIDTH and x > 0:
            x, y = 0.0, y + LEGEND
        parts += [Block(x, y + 2, 11, 11, f"c{number}"), Word(x + 17, y + 12, text, "ink")]
        x += width
    return y + LEGEND + 6
