"""Paints a figure as a picture, for slides and for what shows no SVG."""

from itertools import pairwise

from PIL import Image, ImageDraw

from reports.figures.drawing import COLOURS, HEADING_PX, LETTER_PX, MARGIN, PAPER, Block, Dot, Drawing, Stroke, Word
from reports.fonts import font_for
from reports.neutral import plain_text

# Pixels for one SVG unit; painted larger and made smaller, so that edges are smooth.
SCALE, FINER = 2, 2
_DASH, _GAP = 4, 3


def paint(drawing: Drawing) -> Image.Image:
    """Return a figure as an RGB picture, its title above."""
    factor = SCALE * FINER
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN + HEADING_PX
    picture = Image.new("RGB", (round(width * factor), round(height * factor)), PAPER)
    brush = _Brush(ImageDraw.Draw(picture), factor)
    brush.word(Word(MARGIN, MARGIN + LETTER_PX + 2, drawing.title, "ink", is_bold=True))
    brush.left, brush.top = MARGIN, MARGIN + HEADING_PX
    for part in drawing.parts:
        if isinstance(part, Stroke):
            brush.stroke(part)
        elif isinstance(part, Block):
            brush.block(part)
        elif isinstance(part, Dot):
            brush.dot(part)
        else:
            brush.word(part)
    return picture.resize((round(width * SCALE), round(height * SCALE)), Image.Resampling.LANCZOS)


class _Brush:
    """Paints parts at a place."""

    def __init__(self, draw: ImageDraw.ImageDraw, factor: float) -> None:
        self._draw = draw
        self._factor = factor
        self.left = self.top = 0.0

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x + self.left) * self._factor, (y + self.top) * self._factor

    def stroke(self, part: Stroke) -> None:
        width = max(1, round(part.width * self._factor))
        points = [self._at(x, y) for x, y in part.points]
        if not part.is_dashed:
            self._draw.line(points, fill=COLOURS[part.colour], width=width, joint="curve")
            return
        for (x1, y1), (x2, y2) in pairwise(points):
            length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
            step = (_DASH + _GAP) * self._factor
            for number in range(int(length / step) + 1):
                ends = [min(1.0, at / length) for at in (number * step, number * step + _DASH * self._factor)]
                line = [(x1 + end * (x2 - x1), y1 + end * (y2 - y1)) for end in ends]
                self._draw.line(line, fill=COLOURS[part.colour], width=width)

    def block(self, part: Block) -> None:
        self._draw.rectangle(
            (*self._at(part.x, part.y), *self._at(part.x + part.width, part.y + part.height)), COLOURS[part.colour]
        )

    def dot(self, part: Dot) -> None:
        (x, y), radius = self._at(part.x, part.y), part.radius * self._factor
        fill = PAPER if part.is_hollow else COLOURS[part.colour]
        self._draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill, COLOURS[part.colour], round(1.5 * self._factor)
        )

    def word(self, part: Word) -> None:
        text, size = plain_text(part.text), round(LETTER_PX * self._factor)
        font = font_for(text, size) or font_for("?", size)
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[part.anchor]
        boldness = round(self._factor / 4) if part.is_bold else 0
        self._draw.text(self._at(part.x, part.y), text, COLOURS[part.colour], font, anchor, stroke_width=boldness)
