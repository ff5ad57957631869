"""The tables of a search: what it came to, its space, its trials, the Pareto front, what mattered, what was saved."""

from collections.abc import Iterator, Mapping, Sequence

from reports.ranking import row_key
from reports.search.decision import caveat, trial_words
from reports.search.outcome import Spent, candidates, count, default_of, spent
from reports.search.trial_records import Searched
from reports.search.trial_table import param_cell, trial_table
from reports.search.wording import (
    aim_words,
    condition_words,
    difference_words,
    limit_words,
    method_words,
    objective_words,
    reached_words,
    stop_words,
    value_words,
)
from reports.table import Cell, Column, Row, Table, missing_cell, text_cell
from runners.contract.objectives import scale_of
from runners.contract.trial_ranking import front
from runners.contract.trials import TrialRecord

# Below, importance says more about chance than about parameters.
FEW_TRIALS = 10


def search_tables(searched: Searched, importances: Mapping[str, Mapping[str, float]]) -> list[Table]:
    """Return the tables that have rows.

    Args:
        searched: the search.
        importances: by objective's metric, dimension's name to its share, 0-1; those that are not known are absent.
    """
    tables = [
        summary_table(searched),
        space_table(searched),
        front_table(searched),
        trial_table(searched),
        importance_table(searched, importances),
        saved_table(searched),
    ]
    return [table for table in tables if table.rows]


def summary_table(searched: Searched) -> Table:
    """Return what was searched, by what, and what it came to, line by line."""
    return Table(
        name="search",
        title=f"Search {searched.search.name}",
        columns=(Column("what", is_number=False), Column("in this search", is_number=False)),
        rows=[Row("", [text_cell(what), text_cell(told)]) for what, told in _summary(searched)],
    )


def _summary(searched: Searched) -> Iterator[tuple[str, str]]:
    search = searched.search
    yield "wanted", "; ".join(map(aim_words, search.objectives))
    if search.constraints:
        yield "within", "; ".join(map(limit_words, search.constraints))
    if search.exclude:
        pairs = (" with ".join(f"{key}={'|'.join(values)}" for key, values in one.items()) for one in search.exclude)
        yield "not tried", "; ".join(pairs)
    yield "sampler", f"{method_words(search.sampler)}, seed {search.seed}"
    pruned_by = f", by {objective_words(search.prune_by)}" if search.prunes else ""
    yield "pruner", f"{method_words(search.pruner)}{pruned_by}"
    yield "ends after", stop_words(search)
    yield "trials", count(searched).words
    yield from _found(searched)


def _found(searched: Searched) -> Iterator[tuple[str, str]]:
    found, default = candidates(searched), default_of(searched)
    metric = searched.search.objectives[0].metric
    if default is not None:
        yield "the default", _reached(searched, default)
    if not found:
        return
    best = found[0]
    several = len(searched.search.objectives) > 1
    best_of = f"best of {count(searched).compared}" + (f" by {objective_words(metric)}" if several else "")
    if best is default:
        yield best_of, "the default itself"
        return
    told = f"{trial_words(searched, best)}: {_reached(searched, best)}"
    if default is not None and metric in default.values:
        ahead = difference_words(metric, best.values[metric] - default.values[metric])
        told += f", {ahead} beside the default"
    yield best_of, f"{told}; {caveat(searched)}"


def _reached(searched: Searched, record: TrialRecord) -> str:
    told = [
        reached_words(one.metric, record.values[one.metric])
        for one in searched.search.objectives
        if one.metric in record.values
    ]
    if not told:
        return f"{record.state.value.lower()}{f' ({record.reason})' if record.reason else ''}"
    return ", ".join(told) + ("" if record.is_feasible else "; breaks a limit")


def space_table(searched: Searched) -> Table:
    """Return a row for each dimension: its range, when it is there, the default's value and the best's."""
    best, default = next(iter(candidates(searched)), None), default_of(searched)
    rows = []
    for dimension in searched.search.dimensions:
        of_trials = [
            missing_cell() if record is None else param_cell(record.trial.params.get(dimension.name))
            for record in (default, best)
        ]
        told = [
            text_cell(dimension.key),
            text_cell(dimension.ends()),
            text_cell(condition_words(dimension) or "always"),
        ]
        rows.append(Row("", [*told, *of_trials]))
    headings = ("searched", "from", "there for", "default", "best trial")
    return Table(
        name="search-space",
        title=f"What {searched.search.name} searched",
        columns=tuple(Column(heading, is_number=False) for heading in headings),
        rows=rows,
    )


def front_table(searched: Searched) -> Table:
    """Return a row for each trial on the Pareto front of several objectives, the best by the first one on top."""
    search = searched.search
    several = len(search.objectives) > 1
    rows = []
    for record in front(searched.search, searched.records) if several else []:
        run = searched.run(record)
        values = [
            Cell(value_words(one.metric, record.values[one.metric]), record.values[one.metric] * scale_of(one.metric))
            for one in search.objectives
        ]
        told = text_cell(trial_words(searched, record))
        rows.append(Row("" if run is None else row_key(run), [told, *values]))
    return Table(
        name="search-front",
        title=f"Pareto front of {search.name}",
        columns=(
            Column("trial", is_number=False),
            *(Column(objective_words(one.metric)) for one in search.objectives),
        ),
        rows=rows,
        notes=(
            "Of every other trial one of these is at least as good in all of it, and better in something; single runs,"
            " chosen on these images: the front knows nothing of noise.",
        ),
    )


def importance_table(searched: Searched, importances: Mapping[str, Mapping[str, float]]) -> Table:
    """Return a row for each dimension: its share in what the objectives differ by."""
    names = list(dict.fromkeys(name for found in importances.values() for name in found))
    rows = [
        Row("", [text_cell(name), *(_share_cell(found.get(name)) for found in importances.values())]) for name in names
    ]
    n_told = len(candidates(searched))
    few = f" From {n_told} trials, which is few: chance decides much of it." if n_told < FEW_TRIALS else ""
    return Table(
        name="importance",
        title=f"What mattered in {searched.search.name}",
        columns=(
            Column("parameter", is_number=False),
            *(Column(f"{objective_words(metric)} (%)") for metric in importances),
        ),
        rows=rows,
        notes=(
            "Shares of what tells good trials from the rest (PED-ANOVA, Watanabe et al. 2023), among completed trials"
            f" and within the ranges that were searched; a conditional parameter counts where it is there.{few}",
        ),
    )


def _share_cell(share: float | None) -> Cell:
    return missing_cell() if share is None else Cell(f"{100 * share:.0f}", 100 * share)


def saved_table(searched: Searched) -> Table:
    """Return what the trials cost beside what they would have cost without pruning."""
    told = spent(searched)
    rows = list(_saved_rows(told)) if told.epochs else []
    return Table(
        name="search-saved",
        title=f"What pruning saved in {searched.search.name}",
        columns=(Column("trained", is_number=False), Column("epochs"), Column(f"{told.device}-hours")),
        rows=rows,
        notes=(
            "Hours by each trial's own pace: the median time from the end of one epoch to that of the next, times its"
            " epochs, on the devices that it had. Failed trials count as far as they came; start-up is left out.",
        ),
    )


def _saved_rows(told: Spent) -> Iterator[Row]:
    saved_h = None if told.hours is None or told.all_hours is None else told.all_hours - told.hours
    lines: Sequence[tuple[str, int, float | None]] = (
        ("as it was", told.epochs, told.hours),
        ("had no trial been pruned", told.all_epochs, told.all_hours),
        (f"saved ({100 * told.share_saved:.0f} %)", told.all_epochs - told.epochs, saved_h),
    )
    for what, epochs, hours in lines:
        spent_h = missing_cell() if hours is None else Cell(f"{hours:.3g}", hours)
        yield Row("", [text_cell(what), Cell(str(epochs), float(epochs)), spent_h])
