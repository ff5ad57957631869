"""Reads somebody else's table of results from a CSV file, to be shown and never to be compared by a program."""

import csv
import hashlib
import io
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.contract.displayed import DisplayedColumn, DisplayedTable
from runners.contract.errors import UserError
from sweeper.runs.headings import Meaning, meaning_of, title_rank

SUFFIXES = (".csv", ".tsv")
# What stands where there is no number; -1 is COCO's word for it.
_NONE = frozenset(["", "-", "–", "—", "n/a", "na", "nan", "none", "null", "-1", "-1.0"])
_DELIMITERS = ",;\t"
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


@dataclass(frozen=True)
class ReadTable:
    """What a file gave.

    Attributes:
        table: as it is shown.
        understood: lines that say what was taken for what.
    """

    table: DisplayedTable
    understood: Sequence[str]


@dataclass(frozen=True)
class _Column:
    place: int
    heading: str
    meaning: Meaning


@dataclass(frozen=True)
class _Line:
    number: int
    cells: Sequence[str]


def read_table(path: Path) -> ReadTable:
    """Read a CSV file.

    Raises:
        UserError: it is none, or not all of it can be understood in one way only; all problems with their lines.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"text in {path}: it is not UTF-8; save it as CSV UTF-8") from None
    heading, lines, delimiter = _lines(path, text)
    title, columns, unknown = _columns(path, heading)
    problems: list[str] = []
    named = [line for line in lines if line.cells[title].strip()]
    problems += [
        f"row without a name in {path} line {line.number}: column '{heading.cells[title]}' is empty; name the row"
        for line in lines
        if not line.cells[title].strip()
    ]
    if not lines:
        problems.append(f"no rows in {path}: it has a heading and nothing below it")
    values = [_values(path, column, named, delimiter, problems) for column in columns]
    if problems:
        raise UserError(*problems)
    rows = [(line.cells[title].strip(), [column[number] for column, _ in values]) for number, line in enumerate(named)]
    shown = [DisplayedColumn(c.heading, c.meaning.words, c.meaning.is_ap) for c in columns]
    told = [f"'{c.heading}': {c.meaning.words}, {unit}" for c, (_, unit) in zip(columns, values, strict=True)]
    if unknown:
        told.append(f"not shown, for they name no metric: {', '.join(unknown)}")
    name = re.sub(r"[^\w\-]+", "-", path.stem).strip("-") or "table"
    digest = hashlib.sha256(content).hexdigest()
    return ReadTable(DisplayedTable(name, path.name, digest, time.time(), shown, rows), told)


def _lines(path: Path, text: str) -> tuple[_Line, list[_Line], str]:
    """Return heading, rows and what parts the columns; empty lines are left out."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    lines = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append(_Line(reader.line_num, cells))
    except csv.Error as error:
        raise UserError(f"CSV in {path} line {reader.line_num}: {error}; save the file anew") from None
    if not lines:
        raise UserError(f"no table in {path}: the file is empty; export it with its heading")
    heading, *rest = lines
    n_columns = len(heading.cells)
    long = [line for line in rest if len(line.cells) > n_columns]
    if long:
        raise UserError(
            *(
                f"too many columns in {path} line {line.number}: {len(line.cells)}, the heading has {n_columns}; quote "
                f"cells that hold '{delimiter}'"
                for line in long
            )
        )
    return (
        heading,
        [_Line(line.number, [*line.cells, *[""] * (n_columns - len(line.cells))]) for line in rest],
        delimiter,
    )


def _columns(path: Path, heading: _Line) -> tuple[int, list[_Column], list[str]]:
    """Return which column names the rows, those that hold metrics, and the headings of the rest.

    Raises:
        UserError: there is none of either kind, or two of the same.
    """
    where = f"{path} line {heading.number}"
    listed = ", ".join(cell.strip() or "(none)" for cell in heading.cells)
    ranks = [(rank, place) for place, cell in enumerate(heading.cells) if (rank := title_rank(cell)) is not None]
    if not ranks:
        raise UserError(f"no column of names in {where}: found {listed}; call one of them title, name or run")
    best, title = min(ranks)
    columns: list[_Column] = []
    unknown: list[str] = []
    problems: list[str] = []
    if sum(rank == best for rank, _ in ranks) > 1:
        problems.append(f"two columns of names in {where}: {listed}; leave one of them out")
    for place, cell in enumerate(heading.cells):
        meaning = meaning_of(cell)
        if place == title:
            continue
        if meaning is None:
            unknown.append(cell.strip() or "(no heading)")
            continue
        twin = next((column for column in columns if column.meaning.words == meaning.words), None)
        if twin is not None:
            problems.append(
                f"ambiguous columns in {where}: '{twin.heading}' and '{cell.strip()}' both mean {meaning.words}; "
                "leave one out"
            )
        columns.append(_Column(place, cell.strip(), meaning))
    if not columns and not problems:
        problems.append(
            f"no metrics in {where}: found {listed}; headings like 'train loss', 'val mAP50' are understood"
        )
    if problems:
        raise UserError(*problems)
    return title, columns, unknown


def _values(
    path: Path, column: _Column, lines: Sequence[_Line], delimiter: str, problems: list[str]
) -> tuple[list[float | None], str]:
    """Return a column's numbers, AP in 0-1, and in which unit they were given; problems are appended."""
    found: list[tuple[_Line, float | None, bool]] = []
    for line in lines:
        cell = line.cells[column.place].strip()
        try:
            found.append((line, *_number(cell, delimiter)))
        except ValueError as error:
            problems.append(f"{error} in {path} line {line.number}, column '{column.heading}'")
    if not column.meaning.is_ap:
        return [value for _, value, _ in found], "as given"
    unit_problems = list(_unit_problems(path, column, found))
    problems += unit_problems
    numbers = [value for _, value, _ in found if value is not None]
    has_signs = any(is_percent for _, _, is_percent in found)
    is_percent = column.meaning.is_percent or has_signs or any(value > 1 for value in numbers)
    values = [None if value is None else value / 100 if is_percent else value for _, value, _ in found]
    return values, "given in percent" if is_percent else "given in 0-1"


def _unit_problems(path: Path, column: _Column, found: Sequence[tuple[_Line, float | None, bool]]) -> Iterator[str]:
    """Yield what keeps a column of AP from being read in one way only."""
    numbers = [(line, value, is_percent) for line, value, is_percent in found if value is not None]
    where = f"column '{column.heading}'"
    for line, value, _ in numbers:
        if not 0 <= value <= 100:
            yield f"no average precision in {path} line {line.number}, {where}: {value:g}; wanted 0 to 1, or percent"
    if column.meaning.is_percent:
        return
    signed = [line for line, _, is_percent in numbers if is_percent]
    if signed:
        for line, value, is_percent in numbers:
            if not is_percent:
                yield f"ambiguous unit in {path} line {line.number}, {where}: {value:g} without % where others have it"
        return
    small = [(line, value) for line, value, _ in numbers if 0 < value < 1]
    large = [(line, value) for line, value, _ in numbers if value > 1]
    if small and large:
        for line, value in min(small, large, key=len):
            other = "percent" if value < 1 else "0-1"
            yield f"ambiguous unit in {path} line {line.number}, {where}: {value:g} where others are in {other}"


def _number(cell: str, delimiter: str) -> tuple[float | None, bool]:
    """Return a cell's number, and whether it is followed by a per cent sign.

    Raises:
        ValueError: it is none, or could be two.
    """
    text = cell.removesuffix("%").strip()
    if text.casefold() in _NONE:
        return None, False
    if _DECIMAL_COMMA.fullmatch(text):
        if delimiter == ",":
            raise ValueError(f"ambiguous number '{cell}' (a decimal comma, or thousands?)")
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"no number '{cell}'") from None
    if not math.isfinite(value):
        raise ValueError(f"no finite number '{cell}'")
    return value, cell.endswith("%")
