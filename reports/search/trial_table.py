"""The table of a search's trials: a row for each, with its point, what it reached and how it ended."""

from collections.abc import Iterator, Sequence

from reports.ranking import row_key
from reports.search.decision import OPTIMISTIC
from reports.search.outcome import candidates
from reports.search.trial_records import Searched
from reports.search.wording import objective_words, param_words, point_of, value_words
from reports.table import AP_NOTE, Cell, Column, Row, Table, Tone, missing_cell, text_cell
from runners.contract.dimensions import Value
from runners.contract.objectives import Objective, scale_of
from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import TrialRecord

# Where trials without a result stand, behind those that have one.
_ORDER = {JobState.PRUNED: 2, JobState.PAUSED: 3, JobState.RUNNING: 3, JobState.PLANNED: 4}


def trial_table(searched: Searched) -> Table:
    """Return a row for each trial, the best first, then those that were pruned, and those without a number."""
    search = searched.search
    titles = [objective_words(one.metric) for one in search.objectives]
    found = candidates(searched)
    best = found[0] if found and len(search.objectives) == 1 else None
    rows = [_trial_row(searched, record, is_best=record is best) for record in _in_order(searched)]
    return Table(
        name="trials",
        title=f"Trials of {search.name}",
        columns=(
            Column("trial"),
            Column("job", is_number=False),
            *(Column(heading, is_number=False) for heading in short_keys(search.keys)),
            *map(Column, titles),
            Column("epochs"),
            Column("state", is_number=False),
            Column("reason", is_number=False),
        ),
        rows=rows,
        notes=tuple(_trial_notes(searched)),
    )


def short_keys(keys: Sequence[str]) -> list[str]:
    """Return keys without what stands before their last dot, where that tells them apart."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def _in_order(searched: Searched) -> list[TrialRecord]:
    first = searched.search.objectives[0]
    places = {id(record): place for place, record in enumerate(candidates(searched))}

    def place(record: TrialRecord) -> tuple[int, float]:
        if id(record) in places:
            return 0, places[id(record)]
        if record.is_complete:
            return 1, record.trial.number
        last = record.curve[max(record.curve)] if record.curve else None
        if record.state in _ORDER and last is not None and searched.search.prune_by == first.metric:
            return _ORDER[record.state], -last if first.is_maximized else last
        return _ORDER.get(record.state, 5), record.trial.number

    return sorted(searched.records, key=place)


def _trial_row(searched: Searched, record: TrialRecord, is_best: bool) -> Row:
    search, run = searched.search, searched.run(record)
    point = point_of(search, record)
    told = [
        Cell(str(record.trial.number), float(record.trial.number)),
        text_cell("earlier" if record.trial.origin == "warm" else record.job_id),
        *(param_cell(point.get(key)) for key in search.keys),
        *(_value_cell(record, one, search, is_best) for one in search.objectives),
        _epochs_cell(record, max(run.times, default=0) if run is not None else 0),
        _state_cell(record),
        text_cell(_reason(record)) if _reason(record) else missing_cell(""),
    ]
    return Row("" if run is None else row_key(run), told)


def param_cell(value: Value | None) -> Cell:
    """Return a cell for a parameter's value; None where a trial has no such parameter."""
    if value is None:
        return missing_cell()
    return Cell(param_words(value), float(value) if isinstance(value, int | float) else value)


def _value_cell(record: TrialRecord, one: Objective, search: Search, is_best: bool) -> Cell:
    value = record.values.get(one.metric)
    if value is not None:
        tone = Tone.BEST if is_best else Tone.PLAIN if record.is_feasible else Tone.MUTED
        return Cell(value_words(one.metric, value), value * scale_of(one.metric), tone)
    # A number that later epochs could have raised is shown, but neither sorted by nor called the best.
    if one.metric == search.prune_by and record.curve:
        return missing_cell(f"{value_words(one.metric, record.curve[max(record.curve)])} so far")
    return missing_cell()


def _epochs_cell(record: TrialRecord, trained: int) -> Cell:
    n_epochs = max(trained, max(record.curve, default=0))
    return Cell(str(n_epochs), float(n_epochs)) if n_epochs else missing_cell()


def _state_cell(record: TrialRecord) -> Cell:
    return text_cell(record.state.value.lower(), Tone.BAD if record.state is JobState.FAILED else Tone.PLAIN)


def _reason(record: TrialRecord) -> str:
    if record.is_complete and not record.is_feasible:
        broken = [
            f"{objective_words(metric)} by {value_words(metric, by)}"
            for metric, by in record.constraints.items()
            if by > 0
        ]
        return f"breaks a limit: {', '.join(broken)}"
    return ", ".join(filter(None, ("the default" if record.trial.origin == "default" else "", record.reason)))


def _trial_notes(searched: Searched) -> Iterator[str]:
    metrics = {one.metric for one in searched.search.objectives}
    if any(scale_of(metric) > 1 for metric in metrics):
        yield f"{AP_NOTE} Read at the last epoch, as hypotheses are judged; what was so far of a trial is not ranked."
    yield f"Whatever stands first, {OPTIMISTIC}."
    if any(record.trial.origin == "warm" for record in searched.records):
        yield "Earlier: a finished run of the tracking store that the sampler was told of; nothing was trained for it."
    if any(metric.startswith("cost/") for metric in metrics) and any(run.remarks for run in searched.runs.values()):
        yield "Times of a trial that paused and went on are those of its last part; peaks are of the whole."
