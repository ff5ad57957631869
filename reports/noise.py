"""Mutes numbers whose distance to the best is no more than equal runs differ, where a table holds equal runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy import stats

from reports.ranking import row_key
from reports.records import RunRecord
from reports.same_recipe import distinct
from reports.table import Cell, Row, Table, Tone

CONFIDENCE = 0.95
# From fewer degrees of freedom a deviation is a guess.
MIN_DF = 2


@dataclass(frozen=True)
class SeedNoise:
    """How much runs differ in nothing but their seed.

    Attributes:
        deviation: between runs of one recipe, pooled over recipes, in the unit of the values.
        df: its degrees of freedom.
    """

    deviation: float
    df: int

    @property
    def explains(self) -> float:
        """The difference of two single runs that the noise of seeds alone gives in 95 of 100 cases."""
        return float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2, self.df)) * math.sqrt(2) * self.deviation


def seed_noise(values: Mapping[str, Sequence[float]]) -> SeedNoise | None:
    """Return what equal runs tell of the noise; None if they are too few, or do not differ at all.

    Args:
        values: of the runs of each recipe.
    """
    several = [found for found in values.values() if len(found) > 1]
    df = sum(len(found) - 1 for found in several)
    squares = sum((value - sum(found) / len(found)) ** 2 for found in several for value in found)
    return SeedNoise(math.sqrt(squares / df), df) if df >= MIN_DF and squares > 0 else None


def mute_noise(table: Table, runs: Sequence[RunRecord]) -> Table:
    """Return a table of jobs in which numbers no further from the best than noise are muted, and a note says so."""
    recipes = {row_key(run): run.recipe for run in distinct(runs) if run.recipe}
    rows, told = list(table.rows), []
    for column, heading in enumerate(table.columns):
        best = max((value for row in rows if (value := _number(row, column, Tone.BEST)) is not None), default=None)
        noise = seed_noise(_by_recipe(rows, column, recipes)) if best is not None else None
        if best is None or noise is None:
            continue
        limit = best - noise.explains
        rows = [
            _muted(row, column) if (value := _number(row, column, Tone.PLAIN)) is not None and value >= limit else row
            for row in rows
        ]
        told.append(f"{heading.title} {noise.explains:.1f}")
    if not told:
        return table
    note = (
        "Muted: no further below the best than the seeds of single runs explain in 95 of 100 cases"
        f" ({', '.join(told)} points, from runs of this table that differ in nothing but their seed); noise of images"
        " comes on top."
    )
    return replace(table, rows=rows, notes=[*table.notes, note])


def _by_recipe(rows: Sequence[Row], column: int, recipes: Mapping[str, str]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for row in rows:
        value = row.cells[column].value
        if row.key in recipes and isinstance(value, float):
            values.setdefault(recipes[row.key], []).append(value)
    return values


def _number(row: Row, column: int, tone: Tone) -> float | None:
    cell = row.cells[column]
    return cell.value if cell.tone is tone and isinstance(cell.value, float) else None


def _muted(row: Row, column: int) -> Row:
    cells = list(row.cells)
    cell = cells[column]
    cells[column] = Cell(cell.text, cell.value, Tone.MUTED, cell.hint)
    return replace(row, cells=cells)
