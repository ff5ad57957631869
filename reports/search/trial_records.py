"""The trials of a search, read back from its runs: what the sampler was told, and what stands in the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.judging.cell_values import recorded
from reports.records import RunRecord, RunSet, SweepRecord
from reports.search.search_node import search_of
from runners.contract.errors import UserError
from runners.contract.search import Search
from runners.contract.trials import TrialRecord


@dataclass(frozen=True)
class Searched:
    """A search and what came of it.

    Attributes:
        sweep: the sweep that it is.
        search: what was searched, and how.
        records: its trials by number, the warm ones first; without confirming runs.
        runs: of the trials that were trained for it, by job id.
        confirming: the runs that train the best candidates and the default again.
    """

    sweep: SweepRecord
    search: Search
    records: tuple[TrialRecord, ...]
    runs: Mapping[str, RunRecord]
    confirming: tuple[RunRecord, ...] = ()

    @property
    def own(self) -> tuple[TrialRecord, ...]:
        """The trials that were trained for it, or that an earlier run answers; without the warm ones."""
        return tuple(record for record in self.records if record.trial.origin != "warm")

    def run(self, record: TrialRecord) -> RunRecord | None:
        """Return the run of a trial; a warm one's is another sweep's."""
        return self.runs.get(record.job_id)


def find_searches(runs: RunSet) -> tuple[list[Searched], list[str]]:
    """Return the searches among the sweeps of a report, and a line for each that cannot be read.

    A report must not fail because of one search.
    """
    found, problems = [], []
    for sweep in runs.sweeps:
        try:
            search = search_of(sweep)
        except UserError as error:
            problems.append(f"search of {sweep.sweep_id} not read: {error.problems[0]}")
            continue
        if search is not None:
            found.append(read_searched(sweep, search, runs.runs))
    return found, problems


def read_searched(sweep: SweepRecord, search: Search, runs: Sequence[RunRecord]) -> Searched:
    """Return the trials of one search.

    Args:
        sweep: which it is.
        search: what it searches.
        runs: those of other sweeps may be among them.
    """
    own = [run for run in runs if run.sweep_id == sweep.sweep_id and run.trial is not None]
    trials = [run for run in own if run.trial is not None and run.trial.origin != "confirm"]
    records = sorted((trial_record(run, search) for run in trials), key=lambda record: record.trial.number)
    return Searched(
        sweep=sweep,
        search=search,
        records=(*sweep.warm, *records),
        runs={run.job_id: run for run in trials},
        confirming=tuple(run for run in own if run not in trials),
    )


def trial_record(run: RunRecord, search: Search) -> TrialRecord:
    """Return what became of a trial.

    Args:
        run: its run, which has a trial.
        search: says what is wanted of it.
    """
    assert run.trial is not None
    done = run.has_result
    values = {
        objective.metric: value
        for objective in search.objectives
        if done and (value := value_of(objective.metric, run)) is not None
    }
    broken = {
        limit.metric: limit.violation(value)
        for limit in search.constraints
        if done and (value := value_of(limit.metric, run)) is not None
    }
    missing = [objective.metric for objective in search.objectives if done and objective.metric not in values]
    return TrialRecord(
        trial=run.trial,
        job_id=run.job_id,
        state=run.state,
        values=values,
        curve={point.epoch: point.value for point in run.curves.get(search.prune_by, ())},
        constraints=broken,
        reason=f"not measured: {', '.join(missing)}" if missing else run.failure,
        started_at=run.started_at,
        ended_at=run.ended_at,
    )


def value_of(metric: str, run: RunRecord) -> float | None:
    """Return a metric of a run as its search was told of it: at the last epoch, as hypotheses read it.

    A cost of a run that was resumed, which no hypothesis takes, is all that a promoted trial has: it counts here.
    """
    value = recorded(metric, run)
    return run.metrics.get(metric) if value is None else value
