"""Writes the figures of a report as SVG and PNG files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from reports.figures.drawing import Drawing, svg_file
from reports.figures.painting import paint
from runners.contract.jsonfile import write_text

FOLDER = "figures"


class FinishedPicture(Protocol):
    """A picture that was drawn by others, and is written as it is.

    Attributes:
        name: short and plain, for file names.
        file: it, as an SVG file.
        png: it, as a PNG file.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def png(self) -> bytes: ...  # noqa: D102


def write_figures(figures: Sequence[Drawing], folder: Path, pictures: Sequence[FinishedPicture] = ()) -> list[Path]:
    """Write each figure twice, and remove figures of an older report.

    Args:
        figures: with names of their own.
        pictures: likewise; drawn already.
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
    for finished in pictures:
        path = folder / f"{finished.name}.svg"
        write_text(path, finished.file)
        path.with_suffix(".png").write_bytes(finished.png)
        written += [path, path.with_suffix(".png")]
    for path in folder.iterdir():
        if path.suffix in (".svg", ".png") and path not in written:
            path.unlink()
    return written


def file_name(title: str) -> str:
    """Return a title as part of a file's name: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
