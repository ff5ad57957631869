"""How matplotlib draws for our pages: in their colours and letters, on no screen, silent at the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler

from reports.figures.drawing import COLOURS, PAPER

# In SVG units, one of which is a pixel where the page has room: half of a card's width, and all of it.
HALF, WHOLE = (560, 350), (1120, 340)
UNITS_PER_INCH = 72
_LETTERS = 11.5
# From little to much, seen on paper.
_SCALE = ("#d9dedb", "#8fbfb6", "#0d6b63", "#07302d")


@contextmanager
def our_look() -> Iterator[None]:
    """Let matplotlib draw in our look, on no screen; Optuna asks for a style by name, which is ours meanwhile."""
    mpl.use("Agg")
    from matplotlib import style

    theirs = style.library["ggplot"]
    rules: Any = _rules()
    with mpl.rc_context(rules):
        style.library["ggplot"] = mpl.RcParams(rules)
        try:
            yield
        finally:
            style.library["ggplot"] = theirs


def colour_scale(is_dark_high: bool = True) -> Any:
    """Return the colours of a number: what is dark is much, or else little."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("detsweep", _SCALE if is_dark_high else _SCALE[::-1])


def _rules() -> dict[str, Any]:
    ink, soft, rule = COLOURS["ink"], COLOURS["soft"], COLOURS["rule"]
    return {
        "figure.figsize": [side / UNITS_PER_INCH for side in HALF],
        "figure.facecolor": PAPER,
        "figure.constrained_layout.use": True,
        "savefig.facecolor": PAPER,
        "font.size": _LETTERS,
        "font.family": ["sans-serif"],
        "axes.titlesize": _LETTERS,
        "axes.labelsize": _LETTERS,
        "legend.fontsize": _LETTERS - 1,
        "xtick.labelsize": _LETTERS - 0.5,
        "ytick.labelsize": _LETTERS - 0.5,
        "axes.facecolor": PAPER,
        "axes.edgecolor": rule,
        "axes.labelcolor": soft,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=[COLOURS[f"c{number}"] for number in range(1, 9)]),
        "grid.color": rule,
        "grid.linewidth": 1,
        "xtick.color": soft,
        "ytick.color": soft,
        "text.color": ink,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        # A name with a dollar sign is a name, and letters stay letters.
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "detsweep",
    }
