"""The table of faults names the tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


def defined(folder: Path) -> set[str]:
    return {
        name
        for path in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_every_row_of_the_matrix_stands_in_the_table_once() -> None:
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", TABLE, re.MULTILINE)] == list(range(1, 41))


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TABLE))
    assert named - defined(ROOT / "tests") == set()


def test_every_fault_test_is_named_beside_its_row() -> None:
    for name in sorted(name for name in defined(ROOT / "tests" / "faults") if name.startswith("test_row")):
        rows = [row for row in TABLE.splitlines() if f"`{name}`" in row]
        numbers = {int(number) for row in rows if (number := row.split("|")[1].strip()).isdigit()}
        wanted = {int(number) for number in re.findall(r"\d+", name.removeprefix("test_row"))}
        assert numbers & wanted, name
