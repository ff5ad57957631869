"""Which trials of a search may be the best, in which order, and which of them no other beats."""

import math
from collections.abc import Iterable

from runners.contract.objectives import Objective
from runners.contract.search import Search
from runners.contract.trials import TrialRecord


def loss(record: TrialRecord, objective: Objective) -> float:
    """Return an objective's value such that less is better."""
    value = record.values[objective.metric]
    return -value if objective.is_maximized else value


def objective_values(search: Search, record: TrialRecord) -> list[float] | None:
    """Return a trial's objectives in order; None where one is missing or is no number."""
    values = [record.values.get(objective.metric, math.nan) for objective in search.objectives]
    return values if all(map(math.isfinite, values)) else None


def ranked(search: Search, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that may be the best: completed, all objectives measured, no limit broken.

    Args:
        search: what is wanted.
        records: the trials.

    Returns:
        By the first objective, the best first; of equals the one that came first.
    """
    first = search.objectives[0]
    sound = [record for record in records if record.is_complete and record.is_feasible]
    return sorted(
        (record for record in sound if objective_values(search, record) is not None),
        key=lambda record: loss(record, first),
    )


def front(search: Search, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that may be the best and that no other dominates, ordered as `ranked`; of equals the first.

    A trial dominates another if it is no worse by any objective, and better by one.
    """
    kept: list[TrialRecord] = []
    losses = [(record, tuple(loss(record, one) for one in search.objectives)) for record in ranked(search, records)]
    seen: set[tuple[float, ...]] = set()
    for record, own in losses:
        is_beaten = any(
            other != own and all(theirs <= mine for theirs, mine in zip(other, own, strict=True)) for _, other in losses
        )
        if not is_beaten and own not in seen:
            kept.append(record)
        seen.add(own)
    return kept
