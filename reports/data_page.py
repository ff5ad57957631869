"""Draws what was found about a data set as one HTML page that needs nothing else: its pictures stand in it."""

import base64
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.box_pictures import DrawnBox, draw_boxes
from reports.data_set.examination import Examination, choose_sample
from reports.data_set.numbers import SIZES
from reports.data_set.suspects import SeenImage, SuspectKind
from reports.data_set.tables import data_tables
from reports.fonts import ADVICE, without_font
from reports.safe_html import render
from runners.contract.errors import UserError
from runners.contract.findings import count

PICTURE_PX = 480
JPEG_QUALITY = 82
# What a person looks at; the lines name more.
N_PICTURED, N_LINES = 8, 500
BAR_WIDTH, BAR_HEIGHT, NAME_WIDTH, NUMBER_WIDTH = 720, 26, 190, 70


@dataclass(frozen=True)
class Picture:
    """One picture of the page.

    Attributes:
        source: a data address; empty if the file cannot be shown.
        caption: its file, and what it shows.
    """

    source: str
    caption: str


@dataclass(frozen=True)
class SuspectView:
    """One kind of suspects as the template needs it: pictures of some of them, and lines of all but very many."""

    kind: SuspectKind
    pictures: Sequence[Picture]
    lines: Sequence[str]
    n_more: int


@dataclass(frozen=True)
class Bar:
    """One class of the bar chart: where its sizes begin and how wide they are, in SVG units."""

    name: str
    n_boxes: int
    top: int
    parts: Sequence[tuple[str, float, float, int]]


def write_data_page(found: Examination, folder: Path) -> Path:
    """Write ``index.html`` into a folder, and return its path. Every name in it is escaped, and nothing is fetched.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / "index.html"
    content = _render(found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = page.with_name(f".{page.name}.{os.getpid()}.tmp")
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(page)
    except OSError as error:
        raise UserError(f"page in {folder}: {error.strerror}; name another folder with output_dir=") from None
    return page


def _render(found: Examination) -> str:
    bars = _bars(found)
    return render(
        "data.html.jinja",
        ["page.css", "data.css"],
        "page.js",
        has_pictures=True,
        found=found,
        facts=_facts(found),
        tables=[table for table in data_tables(found) if table.name != "suspects"],
        bars=bars,
        frame={"width": BAR_WIDTH, "height": BAR_HEIGHT * len(bars), "name": NAME_WIDTH, "bar": BAR_HEIGHT},
        sizes=SIZES,
        suspects=[_suspect_view(kind, found) for kind in found.suspects],
        samples=[
            (split, [_picture(image, found) for image in choose_sample(split, coco)])
            for split, (_, coco) in found.contents.items()
        ],
        notes=[*found.notes, *_font_notes(found)],
    )


def _facts(found: Examination) -> list[tuple[str, str, str]]:
    numbers = found.numbers
    n_suspects = sum(len(kind.suspects) for kind in found.suspects)
    images = ", ".join(f"{split} {entry.n_images}" for split, entry in numbers.items())
    boxes = ", ".join(f"{split} {entry.n_boxes}" for split, entry in numbers.items() if entry.is_labelled)
    sizes = [
        sum(entry.boxes[key] for entry in numbers.values() for key in entry.boxes if key[1] == size) for size in SIZES
    ]
    share = ", ".join(f"{100 * n / max(1, sum(sizes)):.0f} % {size}" for n, size in zip(sizes, SIZES, strict=True))
    return [
        (
            "can be trained on",
            "no" if found.problems else "yes",
            count(len(found.problems), "problem") if found.problems else "",
        ),
        ("images", str(sum(entry.n_images for entry in numbers.values())), images),
        ("boxes", str(sum(sizes)), f"{boxes}; {share}" if sum(sizes) else ""),
        ("classes", str(len(found.classes)), ""),
        ("suspects", str(n_suspects), f"of {count(len(found.suspects), 'kind')}, shown below" if n_suspects else ""),
    ]


def _bars(found: Examination) -> list[Bar]:
    """Return the boxes of each class over all splits, by size."""
    counts = {
        name: [sum(numbers.boxes.get((name, size), 0) for numbers in found.numbers.values()) for size in SIZES]
        for name in found.classes
    }
    most = max((sum(sizes) for sizes in counts.values()), default=0)
    if not most:
        return []
    scale = (BAR_WIDTH - NAME_WIDTH - NUMBER_WIDTH) / most
    bars = []
    for number, (name, sizes) in enumerate(counts.items()):
        left, parts = float(NAME_WIDTH), []
        for size, n in zip(SIZES, sizes, strict=True):
            parts.append((size, round(left, 1), round(n * scale, 1), n))
            left += n * scale
        bars.append(Bar(name, sum(sizes), number * BAR_HEIGHT, parts))
    return bars


def _suspect_view(kind: SuspectKind, found: Examination) -> SuspectView:
    seen = (image for suspect in kind.suspects for image in suspect.images)
    pictures = [_picture(image, found) for image, _ in zip(_distinct(seen), range(N_PICTURED), strict=False)]
    lines = [suspect.text for suspect in kind.suspects[:N_LINES]]
    return SuspectView(kind, pictures, lines, len(kind.suspects) - len(lines))


def _distinct(images: Iterable[SeenImage]) -> list[SeenImage]:
    """Return each image once, with all of its boxes that are meant."""
    gathered: dict[tuple[str, int], SeenImage] = {}
    for image in images:
        key = image.split, image.image["id"]
        before = gathered[key].boxes if key in gathered else ()
        gathered[key] = SeenImage(image.split, image.image, [*before, *image.boxes])
    return list(gathered.values())


def _picture(seen: SeenImage, found: Examination) -> Picture:
    """Draw an image: the boxes that are meant solid, the others dashed."""
    files, coco = found.contents[seen.split]
    names = {category["id"]: str(category["name"]) for category in coco.categories}
    meant = {box["id"] for box in seen.boxes}
    boxes = [
        DrawnBox(box["bbox"], names[box["category_id"]], is_truth=box["id"] not in meant)
        for box in coco.annotations
        if box["image_id"] == seen.image["id"]
    ]
    caption = f"{seen.split}: {seen.image['file_name']}"
    try:
        drawn = draw_boxes(files.image_path(seen.image), boxes, PICTURE_PX, found.classes)
    except UserError as error:
        return Picture("", f"{caption} ({'; '.join(error.problems)})")
    content = io.BytesIO()
    drawn.save(content, "JPEG", quality=JPEG_QUALITY)
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}", caption)


def _font_notes(found: Examination) -> list[str]:
    lacking = without_font(found.classes)
    if not lacking:
        return []
    numbers = ", ".join(f"#{found.classes.index(name) + 1} is {name}" for name in lacking)
    return [f"No font of this machine has the letters of some classes: in pictures {numbers}; {ADVICE}."]
