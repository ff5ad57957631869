"""A figure as a list of strokes, blocks, dots and words, and how it is written as SVG.

What is laid out once is shown in the page, written as an SVG file and painted as a PNG file
(`reports.figures.painting`): the three cannot tell different things. matplotlib would have to be taught the page's
style, cannot follow its dark mode, and takes seconds to import.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from reports.neutral import plain_text

# As in the page's style sheet, on paper.
COLOURS = {
    "ink": "#1c2024",
    "soft": "#5d656d",
    "faint": "#8b939b",
    "rule": "#e2e0da",
    "accent": "#0d6b63",
    "c1": "#1f6fb2",
    "c2": "#d1660a",
    "c3": "#17875f",
    "c4": "#a83e8c",
    "c5": "#8a6d00",
    "c6": "#5b57b8",
    "c7": "#c0392b",
    "c8": "#2b8fa3",
}
PAPER = "#ffffff"
N_COLOURS = 8
LETTER_PX = 12
# What a letter takes on average, for room in a layout; fonts differ, so it is a little too much.
LETTER_WIDTH = 7.0
MARGIN, HEADING_PX = 12, 26


@dataclass(frozen=True)
class Stroke:
    """A line through points, in SVG units; ``colour`` is a key of `COLOURS`."""

    points: Sequence[tuple[float, float]]
    colour: str = "ink"
    width: float = 1.5
    is_dashed: bool = False


@dataclass(frozen=True)
class Block:
    """A filled rectangle, with words that a pointer on it shows."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    told: str = ""


@dataclass(frozen=True)
class Dot:
    """A circle, with words that a pointer on it shows."""

    x: float
    y: float
    radius: float
    colour: str
    is_hollow: bool = False
    told: str = ""


@dataclass(frozen=True)
class Word:
    """One line of text; ``anchor`` is start, middle or end, ``y`` its base line."""

    x: float
    y: float
    text: str
    colour: str = "soft"
    anchor: str = "start"
    is_bold: bool = False


Part = Stroke | Block | Dot | Word


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: short and plain, for file names.
        title: its heading, with the unit.
        width: in SVG units.
        height: likewise.
        parts: the first lies undermost.
        notes: what a reader must know.
    """

    name: str
    title: str
    width: float
    height: float
    parts: Sequence[Part]
    notes: Sequence[str] = ()

    @property
    def svg(self) -> Markup:
        """The figure within a page, which gives colours and letters."""
        head = Markup('<svg class="figure-{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(
            self.name, self.width, self.height, plain_text(self.title)
        )
        return head + Markup("").join(map(_element, self.parts)) + Markup("</svg>")


def svg_file(drawing: Drawing) -> str:
    """Return a figure as a file of its own: on paper, its title above."""
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN + HEADING_PX
    rules = [f".{name} {{ --line: {colour}; }}" for name, colour in COLOURS.items()]
    style = " ".join([*rules, STYLE, "text { font-family: 'Inter', 'Segoe UI', sans-serif; }"])
    title = Word(MARGIN, MARGIN + LETTER_PX + 2, drawing.title, "ink", is_bold=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}"><style>{style}</style><rect width="100%" height="100%" fill="{PAPER}"/>'
        f'{_element(title)}<g transform="translate({MARGIN} {MARGIN + HEADING_PX})">'
        f"{Markup('').join(map(_element, drawing.parts))}</g></svg>\n"
    )


# The same rules as in the page's style sheet.
STYLE = (
    ".stroke { fill: none; stroke: var(--line); } .block, .word { fill: var(--line); }"
    " .dot { fill: var(--line); stroke: var(--line); stroke-width: 1.5; }"
    f" .dot.hollow {{ fill: {PAPER}; }}"
    f" .word {{ font-size: {LETTER_PX}px; }} .word.bold {{ font-weight: 700; }}"
)


def _element(part: Part) -> Markup:
    if isinstance(part, Stroke):
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in part.points)
        dashes = Markup(' stroke-dasharray="4 3"') if part.is_dashed else ""
        return Markup('<polyline class="stroke {}" points="{}" stroke-width="{:g}"{}/>').format(
            part.colour, points, part.width, dashes
        )
    if isinstance(part, Block):
        return Markup('<rect class="block {}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}">{}</rect>').format(
            part.colour, part.x, part.y, part.width, part.height, _told(part.told)
        )
    if isinstance(part, Dot):
        hollow = " hollow" if part.is_hollow else ""
        return Markup('<circle class="dot {}{}" cx="{:.2f}" cy="{:.2f}" r="{:g}">{}</circle>').format(
            part.colour, hollow, part.x, part.y, part.radius, _told(part.told)
        )
    bold = " bold" if part.is_bold else ""
    return Markup('<text class="word {}{}" x="{:.2f}" y="{:.2f}" text-anchor="{}">{}</text>').format(
        part.colour, bold, part.x, part.y, part.anchor, plain_text(part.text)
    )


def _told(text: str) -> Markup:
    return Markup("<title>{}</title>").format(escape(plain_text(text))) if text else Markup("")


def shortened(text: str, width: float) -> str:
    """Return text that fits into a width in SVG units, its middle left out where it must be."""
    n_letters = max(5, int(width / LETTER_WIDTH + 0.5))
    if len(text) <= n_letters:
        return text
    n_first = (n_letters - 1) // 2
    return f"{text[:n_first]}…{text[len(text) - (n_letters - 1 - n_first) :]}"
