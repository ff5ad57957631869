"""A sweep's search as its config holds it, read for reports, which must not fail because of one."""

from collections.abc import Mapping
from typing import Any

from reports.records import CURVES, SweepRecord
from runners.contract.errors import UserError
from runners.contract.objectives import is_by_epoch
from runners.contract.search import Search, read_search


def search_of(sweep: SweepRecord) -> Search | None:
    """Return what a sweep searches; None where it searches nothing.

    Raises:
        UserError: what stands in its file is no search.
    """
    return None if sweep.search is None else read_search(sweep.search, f"sweep {sweep.sweep_id}")


def curves_wanted(node: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the metrics whose curves a search is read by beside those that every report draws.

    Args:
        node: of the config; None, or what is no search, wants none.
    """
    if node is None:
        return ()
    try:
        search = read_search(node, "sweep")
    except UserError:
        return ()
    metrics = dict.fromkeys((search.prune_by, *(objective.metric for objective in search.objectives)))
    return tuple(metric for metric in metrics if is_by_epoch(metric) and metric not in CURVES)
