"""Curves over the epochs as figures for files; in the page they stand as charts that answer a pointer."""

from collections.abc import Mapping, Sequence

from reports.chart import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Chart
from reports.figures.drawing import Dot, Drawing, Part, Stroke, Word, shortened

LEGEND_LINE = 17


def curve_figure(name: str, chart: Chart, titles: Mapping[str, str]) -> Drawing:
    """Return a chart as a figure, with a legend below it.

    Args:
        name: for file names.
        chart: as it stands in the page.
        titles: of the jobs in colour, by the mark at the end of their line.
    """
    parts: list[Part] = []
    for tick in chart.y_ticks:
        parts.append(Stroke([(LEFT, tick.at), (WIDTH - RIGHT, tick.at)], "rule", 1))
        parts.append(Word(LEFT - 8, tick.at + 4, tick.text, anchor="end"))
    parts += [Word(tick.at, HEIGHT - BOTTOM + 17, tick.text, anchor="middle") for tick in chart.x_ticks]
    parts.append(Word((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 2, "epoch", anchor="middle"))
    for drawn in chart.lines:
        colour = f"c{drawn.line.label}" if drawn.line.label else "faint"
        points = [_point(pair) for pair in drawn.path.split()]
        parts.append(Stroke(points, colour, 2 if drawn.line.label else 1.2))
        if drawn.chosen is not None and drawn.line.label:
            parts.append(Dot(drawn.chosen.x, drawn.chosen.y, 3.5, colour, is_hollow=True))
        if len(points) == 1:
            parts.append(Dot(drawn.end.x, drawn.end.y, 2.5, colour))
        if drawn.line.label:
            parts.append(Word(drawn.label_at.x, drawn.label_at.y + 4, drawn.line.label, colour, is_bold=True))
    shown = [label for label in titles if any(drawn.line.label == label for drawn in chart.lines)]
    return Drawing(name, chart.title, WIDTH, HEIGHT + 8 + LEGEND_LINE * len(shown), [*parts, *_legend(shown, titles)])


def _legend(labels: Sequence[str], titles: Mapping[str, str]) -> list[Part]:
    parts: list[Part] = []
    for number, label in enumerate(labels, start=1):
        y = HEIGHT + LEGEND_LINE * number
        parts += [Word(LEFT, y, label, f"c{label}", is_bold=True)]
        parts += [Word(LEFT + 18, y, shortened(titles[label], WIDTH - LEFT - 30), "ink")]
    return parts


def _point(pair: str) -> tuple[float, float]:
    x, _, y = pair.partition(",")
    return float(x), float(y)
