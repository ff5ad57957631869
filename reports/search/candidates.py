"""The candidates of a search that are trained again: which they are, their fresh runs, and what they are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reports.judging.arms import CellKey, CellRuns, seed_of
from reports.records import RunRecord
from reports.search.outcome import default_of
from reports.search.trial_records import Searched
from reports.search.wording import param_words, point_of
from runners.contract.dimensions import Value
from runners.contract.trial_ranking import loss
from runners.contract.trials import TrialRecord

DEFAULT = "the default"
# So many values of a point tell it from others; the table of trials has them all.
_N_SHOWN = 4


@dataclass(frozen=True)
class Candidate:
    """A trial and the runs that train it again; the run that the search made of it is not among them.

    Attributes:
        name: of its arm.
        record: the trial, as the search knows it.
        fresh: its runs with seeds that chose nothing.
    """

    name: str
    record: TrialRecord
    fresh: CellRuns

    @property
    def missing(self) -> str:
        """The seeds that have not finished, in words; empty if all have."""
        open_seeds = sorted(seed_of(run) for run in self.fresh.open)
        if not open_seeds:
            return ""
        shown = ", ".join(map(str, open_seeds))
        return f"{self.name}: seed{'s' if len(open_seeds) > 1 else ''} {shown}"


@dataclass(frozen=True)
class Candidates:
    """The arms of a confirmation.

    Attributes:
        default: what they are compared with.
        best: the candidates, the best of the search first.
    """

    default: Candidate
    best: tuple[Candidate, ...]

    @property
    def arms(self) -> tuple[Candidate, ...]:
        """All of them, the default first."""
        return (self.default, *self.best)


def find_candidates(searched: Searched) -> Candidates | None:
    """Return what a search trains again; None where it does not (yet)."""
    fresh: dict[str, list[RunRecord]] = {}
    for run in searched.confirming:
        assert run.trial is not None
        fresh.setdefault(run.trial.of, []).append(run)
    records = {record.job_id: record for record in searched.own}
    default = default_of(searched)
    if default is None or default.job_id not in fresh:
        return None
    first = searched.search.objectives[0]
    known = [
        record
        for job_id in fresh
        if job_id != default.job_id and (record := records.get(job_id)) is not None and first.metric in record.values
    ]
    best = sorted(known, key=lambda record: (loss(record, first), record.trial.number))
    return Candidates(
        _candidate(DEFAULT, default, fresh[default.job_id]),
        tuple(_candidate(arm_name(searched, record), record, fresh[record.job_id]) for record in best),
    )


def _candidate(name: str, record: TrialRecord, runs: Iterable[RunRecord]) -> Candidate:
    by_seed = sorted(runs, key=seed_of)
    finished = tuple(run for run in by_seed if run.has_result)
    still_open = tuple(run for run in by_seed if not run.has_result)
    return Candidate(name, record, CellRuns(CellKey(name, ()), finished, still_open))


def arm_name(searched: Searched, record: TrialRecord) -> str:
    """Return a trial with what it differs in from the default: ``trial 17 (adamw, lr 0.000312)``."""
    default = default_of(searched)
    usual: Mapping[str, Value] = {} if default is None else point_of(searched.search, default)
    other = {key: value for key, value in point_of(searched.search, record).items() if usual.get(key) != value}
    told = [
        param_words(value) if _is_choice(value) else f"{key.rpartition('.')[2].replace('_', ' ')} {param_words(value)}"
        for key, value in other.items()
    ]
    shown = ", ".join([*told[:_N_SHOWN], *(["..."] if len(told) > _N_SHOWN else [])])
    return f"trial {record.trial.number} ({shown})" if shown else f"trial {record.trial.number}"


def _is_choice(value: Value) -> bool:
    """Whether a value tells by itself what it is of: the name of an option, and no number."""
    return isinstance(value, str) and value.isidentifier()
