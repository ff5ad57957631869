"""What a trial has measured so far, read from its job's folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runners.contract.folder import JobFolder
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.search import Search
from runners.contract.states import AttemptOutcome


@dataclass(frozen=True)
class Measured:
    """Numbers of a trial.

    Attributes:
        values: of the objectives, of a completed one: of val and of the training loss at the last epoch, of all else
            from the end.
        curve: of the metric that is pruned by, by epoch from 1.
        constraints: by how much it breaks each limit; 0 or less keeps it.
        missing: objectives that a completed one has not measured.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    curve: Mapping[int, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def read_measured(job: JobFolder, search: Search, n_epochs: int) -> Measured:
    """Read what all attempts of a job have written.

    Args:
        job: its folder.
        search: says what is wanted of it.
        n_epochs: of the whole training.
    """
    by_epoch: dict[int, dict[str, float]] = {}
    final: dict[str, float] = {}
    for attempt in job.all_attempts():
        for record, _ in read_metrics(attempt):
            known = {name: value for name, value in record.values.items() if not name.startswith("iter/")}
            by_epoch.setdefault(record.step, {}).update(known)
        result = AttemptResult.read(attempt)
        if result is not None and result.outcome is AttemptOutcome.COMPLETED:
            final = dict(result.metrics)
    curve = {epoch: values[search.prune_by] for epoch, values in sorted(by_epoch.items()) if search.prune_by in values}
    if not final:
        return Measured(curve=curve)
    last = {**final, **by_epoch.get(n_epochs, {})}
    values = {objective.metric: last[objective.metric] for objective in search.objectives if objective.metric in last}
    missing = tuple(objective.metric for objective in search.objectives if objective.metric not in last)
    broken = {limit.metric: limit.violation(last[limit.metric]) for limit in search.constraints if limit.metric in last}
    return Measured(values, curve, broken, missing)
