"""Changes what Optuna drew: our colours and words, plain numbers, a legend that covers nothing, no heading."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reports.figures.drawing import COLOURS

# Of a logarithmic scale: ticks at most, and below which ratio there are more to a decade than one.
_MOST_TICKS, _FEW_DECADES = 5, 300
# Which digits those are: the first that give two ticks.
_ROUND = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), range(1, 10))


def recolour(shapes: Sequence[Any], colours: Mapping[str, str]) -> None:
    """Give shapes our colours in place of those that Optuna chose by name.

    Args:
        shapes: matplotlib's, each of one colour.
        colours: Optuna's as hexadecimal digits, and the name of ours.
    """
    from matplotlib.colors import to_hex

    for shape in shapes:
        found = shape.get_facecolor()
        (before, *_) = found if getattr(found, "ndim", 1) == 2 and len(found) else [found]
        if len(before) and (ours := colours.get(to_hex(before))) is not None:
            shape.set_color(COLOURS[ours])


def relabel(axes: Any, words: Mapping[str, str], more: str = "") -> None:
    """Put the legend where nothing is drawn, in our words.

    Args:
        axes: with a legend.
        words: Optuna's words and ours; others stay.
        more: an entry that is left out, for it says no more than the axis does.
    """
    handles, labels = axes.get_legend_handles_labels()
    kept = [(handle, words.get(label, label)) for handle, label in zip(handles, labels, strict=True) if label != more]
    if axes.get_legend() is not None:
        axes.get_legend().remove()
    if kept:
        axes.legend(*zip(*kept, strict=True), loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)


def legend_above(axes: Any, told: Mapping[str, str], lines: bool) -> None:
    """Put a legend of colours above a picture."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=COLOURS[colour], label=word) if lines else Patch(color=COLOURS[colour], label=word)
        for word, colour in told.items()
    ]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(handles))


def without_titles(figure: Any) -> None:
    """Take Optuna's headings away: a page has its own."""
    if figure._suptitle is not None:
        figure.suptitle("")
    for axes in figure.axes:
        for place in ("left", "center", "right"):
            axes.set_title("", loc=place)


def with_plain_ticks(figure: Any) -> None:
    """Write numbers on a logarithmic scale as they are typed, and choices without the quotes of a program."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                low, high = axis.get_view_interval()
                within = _round_numbers(low, high)
                # Left to itself the locator takes every number where it finds too few round ones.
                axis.set_major_locator(FixedLocator(within) if within else LogLocator(numticks=_MOST_TICKS))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_locator(NullLocator())
                continue
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if any(label.startswith("'") for label in labels):
                ticks = axis.get_majorticklocs()
                axis.set_major_locator(FixedLocator(ticks))
                axis.set_ticklabels([label.strip("'") for label in labels])


def _round_numbers(low: float, high: float) -> list[float]:
    """Return the roundest few numbers of a range, the fewest kinds of them; none of one over many decades."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    for digits in _ROUND if high / low < _FEW_DECADES else ():
        found = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        if len(within := [number for number in found if low <= number <= high]) > 1:
            return within
    return []
