"""A search with one dimension for each key: what pictures show on one axis although it has alternatives."""

from collections.abc import Sequence
from dataclasses import replace

from reports.search.wording import point_of
from runners.contract.dimensions import Dimension
from runners.contract.search import Search
from runners.contract.trials import TrialRecord


def by_key(search: Search, records: Sequence[TrialRecord]) -> tuple[Search, list[TrialRecord]]:
    """Return a search and its trials with one dimension for each key, which spans the key's alternatives."""
    merged: dict[str, Dimension] = {}
    for dimension in search.dimensions:
        known = merged.get(dimension.key)
        own = replace(dimension, name=dimension.key, when={}, step=None)
        merged[dimension.key] = own if known is None else _spanning(known, own)
    told = [replace(one, trial=replace(one.trial, params=point_of(search, one))) for one in records]
    return replace(search, dimensions=tuple(merged.values())), told


def _spanning(one: Dimension, other: Dimension) -> Dimension:
    if one.kind == other.kind != "categorical":
        lows, highs = [one.low or 0.0, other.low or 0.0], [one.high or 0.0, other.high or 0.0]
        return replace(one, low=min(lows), high=max(highs), log=one.log and other.log)
    return replace(one, choices=tuple(dict.fromkeys((*one.choices, *other.choices))))
