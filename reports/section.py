"""Parts a report by data set: numbers measured on different data are never put into one table."""

from dataclasses import dataclass

from reports.noted import noted_table
from reports.records import RunRecord, RunSet
from reports.side_tables import cost_table, fit_table, notes_table, open_table
from reports.table import Table
from reports.tables import size_table, study_table
from reports.zoo_table import zoo_table

N_FINGERPRINT_DIGITS = 12


@dataclass(frozen=True)
class Section:
    """The jobs of one data set and their tables.

    Attributes:
        dataset: its name.
        fingerprint: of the whole data set; empty where it is not known.
        runs: its jobs, by sweep and number.
        tables: those that have rows, the study's comparison first.
    """

    dataset: str
    fingerprint: str
    runs: tuple[RunRecord, ...]
    tables: tuple[Table, ...]

    @property
    def title(self) -> str:
        """One line that names the data set."""
        shown = f" (fingerprint {self.fingerprint[:N_FINGERPRINT_DIGITS]})" if self.fingerprint else ""
        return f"Data set {self.dataset or 'not named'}{shown}"


def split_sections(runs: RunSet) -> tuple[Section, ...]:
    """Return one section per data set, in the order of their first job."""
    by_data: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs.runs:
        by_data.setdefault((run.dataset, run.fingerprint), []).append(run)
    return tuple(
        Section(dataset, fingerprint, tuple(members), _tables(members))
        for (dataset, fingerprint), members in by_data.items()
    )


def _tables(runs: list[RunRecord]) -> tuple[Table, ...]:
    makers = (study_table, open_table, noted_table, size_table, fit_table, zoo_table, cost_table, notes_table)
    tables = (make(runs) for make in makers)
    return tuple(table for table in tables if table.rows)
