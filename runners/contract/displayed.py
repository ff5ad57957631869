"""Tables that somebody else made: shown beside what was measured here, and never taken for it.

They lie in ``<output_dir>/displayed/``, where the report of every sweep of that folder finds them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.jsonfile import read_json, write_json

DISPLAYED = "displayed"


@dataclass(frozen=True)
class DisplayedColumn:
    """A column of numbers.

    Attributes:
        heading: as the table has it.
        understood: what it was taken for, in words.
        is_ap: whether it holds average precisions, kept in 0-1; other numbers are kept as they were given.
    """

    heading: str
    understood: str
    is_ap: bool


@dataclass(frozen=True)
class DisplayedTable:
    """One table.

    Attributes:
        name: plain, for file names.
        source: name of the file that it was read from.
        sha256: of that file.
        imported_at: wall-clock seconds since the epoch.
        columns: of numbers, in the order of the file.
        rows: title, and a value for each column, None where the file has none; in the order of the file.
    """

    name: str
    source: str
    sha256: str
    imported_at: float
    columns: Sequence[DisplayedColumn]
    rows: Sequence[tuple[str, Sequence[float | None]]]

    def write(self, output_dir: Path) -> Path:
        """Write it where reports look, in the place of an older table of its name."""
        path = displayed_file(output_dir, self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, dataclasses.asdict(self))
        return path


def displayed_file(output_dir: Path, name: str) -> Path:
    """Return where a table of a name is kept."""
    return output_dir / DISPLAYED / f"{name}.json"


def read_displayed(output_dir: Path) -> list[DisplayedTable]:
    """Return the tables of an output folder, by name.

    Raises:
        UserError: one of them is damaged.
    """
    return [_read(path) for path in sorted((output_dir / DISPLAYED).glob("*.json"))]


def _read(path: Path) -> DisplayedTable:
    try:
        value: Mapping[str, object] = read_json(path)
        table = DisplayedTable(**value)  # type: ignore[arg-type]
        columns = [DisplayedColumn(**column) for column in table.columns]  # type: ignore[arg-type]
        rows = [(str(title), [None if n is None else float(n) for n in numbers]) for title, numbers in table.rows]
        if any(len(numbers) != len(columns) for _, numbers in rows):
            raise ValueError("a row has another number of columns than the table")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"displayed table in {path}: damaged ({error}); delete it, or import its file again") from None
    return dataclasses.replace(table, columns=columns, rows=rows)
