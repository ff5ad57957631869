"""Writes the figures of a report as SVG and PNG files."""

import re
from collections.abc import Sequence
from pathlib import Path

from reports.figures.drawing import Drawing, svg_file
from reports.figures.painting import paint
from runners.contract.jsonfile import write_text

FOLDER = "figures"


def write_figures(figures: Sequence[Drawing], folder: Path) -> list[Path]:
    """Write each figure twice, and remove figures of an older report.

    Args:
        figures: with names of their own.
        folder: made if missing; nothing but figures lies in it.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures:
        path = folder / f"{figure.name}.svg"
        write_text(path, svg_file(figure))
        picture = path.with_suffix(".png")
        paint(figure).save(picture)
        written += [path, picture]
    for path in folder.iterdir():
        if path.suffix in (".svg", ".png") and path not in written:
            path.unlink()
    return written


def file_name(title: str) -> str:
    """Return a title as part of a file's name: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
