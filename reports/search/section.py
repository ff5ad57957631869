"""The part of a report that is about a search: its tables and, below them, Optuna's pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.records import RunSet
from reports.search.confirmation import Confirmation, gain_table
from reports.search.decision import open_lines, search_commands, search_sentence
from reports.search.tables import search_tables
from reports.search.trial_records import Searched, find_searches
from reports.table import Table

if TYPE_CHECKING:
    from reports.search.pictures import StudyPicture


@dataclass(frozen=True)
class SearchSection:
    """What a report says of one search.

    Attributes:
        searched: the search.
        sentence: what it found.
        open: what is not true yet of that.
        commands: what is worth running next: what, why, command line.
        tables: those that have rows, what it came to first.
        pictures: Optuna's; none where nothing is known.
        left_out: a line for each picture that could not be drawn.
    """

    searched: Searched
    sentence: str
    open: tuple[str, ...]
    commands: tuple[tuple[str, str, str], ...]
    tables: tuple[Table, ...]
    pictures: tuple["StudyPicture", ...]
    left_out: tuple[str, ...]


def search_sections(runs: RunSet, confirmations: Sequence[Confirmation] = ()) -> tuple[list[SearchSection], list[str]]:
    """Return what there is to say of the searches of a report, and a line for each that cannot be read.

    Args:
        runs: what the report is about.
        confirmations: what the candidates of its searches came to.
    """
    found, problems = find_searches(runs)
    gains = {one.searched.sweep.sweep_id: gain_table(one) for one in confirmations}
    sections = [
        _section(searched, f"search{number}-" if len(found) > 1 else "", gains.get(searched.sweep.sweep_id))
        for number, searched in enumerate(found, start=1)
    ]
    return sections, problems


def _section(searched: Searched, prefix: str, gains: Table | None) -> SearchSection:
    # Optuna and matplotlib take seconds to import: only a report of a search waits for them.
    from reports.search.optuna_trials import build_study, importances
    from reports.search.pictures import study_pictures

    shares = importances(build_study(searched.search, searched.records), searched.search)
    pictures, left_out = study_pictures(searched, shares, prefix or "search-")
    summary, *others = search_tables(searched, shares)
    tables = [summary, *([gains] if gains is not None and gains.rows else []), *others]
    return SearchSection(
        searched=searched,
        sentence=search_sentence(searched),
        open=tuple(open_lines(searched)),
        commands=tuple(search_commands(searched)),
        tables=tuple(replace(table, name=f"{prefix}{table.name}") for table in tables),
        pictures=tuple(pictures),
        left_out=tuple(left_out),
    )
