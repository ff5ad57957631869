"""A data set's numbers and suspects as tables, for the terminal and the page."""

from collections.abc import Sequence

from reports.data_set.examination import Examination
from reports.data_set.numbers import SIZES, SplitNumbers
from reports.table import Cell, Column, Row, Table, Tone, missing_cell, number_cell, text_cell

SIZES_NOTE = (
    "Small: area below 32 x 32 pixels of the original image, large: from 96 x 96, as in COCO's metric "
    "(bbox_mAP_s, _m, _l)."
)


def data_tables(found: Examination) -> list[Table]:
    """Return the tables: splits, classes, and suspects if there are any."""
    tables = [_splits(found), _classes(found)] if found.numbers else []
    return [*tables, *([_suspects(found)] if found.suspects else [])]


def _splits(found: Examination) -> Table:
    columns = [Column("split", is_number=False)]
    columns += [Column(title) for title in ("images", "empty", "boxes", "per image")]
    columns += [Column("median size", is_number=False), Column("widths", is_number=False)]
    columns += [Column("heights", is_number=False)]
    rows = [Row("", [text_cell(split), *_split_cells(numbers)]) for split, numbers in found.numbers.items()]
    notes = ["Empty: without a box. Sizes in pixels of the original images, turned as their EXIF tags say."]
    left_out = [f"{numbers.n_left_out} in {split}" for split, numbers in found.numbers.items() if numbers.n_left_out]
    if left_out:
        notes.append(f"Crowds and boxes marked to be ignored are not counted: {', '.join(left_out)}.")
    return Table("splits", "Splits", columns, rows, notes)


def _split_cells(numbers: SplitNumbers) -> list[Cell]:
    width, height = numbers.median_size
    sizes = [f"{width} x {height}", _range(numbers.widths), _range(numbers.heights)]
    if not numbers.is_labelled:
        return [
            _count(numbers.n_images),
            *(missing_cell("not labelled"), missing_cell(), missing_cell()),
            *map(text_cell, sizes),
        ]
    per_image = number_cell(numbers.n_boxes / numbers.n_images, 1)
    return [
        *map(_count, (numbers.n_images, numbers.n_without_box, numbers.n_boxes)),
        per_image,
        *map(text_cell, sizes),
    ]


def _classes(found: Examination) -> Table:
    labelled = {split: numbers for split, numbers in found.numbers.items() if numbers.is_labelled}
    first = next(iter(labelled), "train")
    columns = [Column("class", is_number=False), *(Column(f"{split} boxes") for split in labelled)]
    columns += [Column(f"{first} images"), *(Column(f"{first} {size}") for size in SIZES)]
    rows = []
    for name in found.classes:
        cells = [text_cell(name), *(_boxes(numbers.boxes_of(name)) for numbers in labelled.values())]
        if first in labelled:
            cells.append(_count(labelled[first].images.get(name, 0)))
            cells += [_count(labelled[first].boxes.get((name, size), 0)) for size in SIZES]
        else:
            cells += [missing_cell()] * (1 + len(SIZES))
        rows.append(Row("", cells))
    return Table("classes", "Classes", columns, rows, [SIZES_NOTE])


def _suspects(found: Examination) -> Table:
    columns = [Column("suspect", is_number=False), Column("number"), Column("for example", is_number=False)]
    rows = [
        Row("", [text_cell(kind.title), _count(len(kind.suspects)), text_cell(kind.suspects[0].text)])
        for kind in found.suspects
    ]
    return Table("suspects", "Suspects", columns, rows, _meanings(found))


def _meanings(found: Examination) -> Sequence[str]:
    return [f"{kind.title}: {kind.meaning}" for kind in found.suspects]


def _count(number: int) -> Cell:
    return Cell(str(number), float(number))


def _boxes(number: int) -> Cell:
    return _count(number) if number else Cell("0", 0.0, Tone.BAD)


def _range(values: Sequence[int]) -> str:
    return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
