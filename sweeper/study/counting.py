"""How many trials a search can have: a space that has an end holds no more than its points."""

import math
from collections.abc import Mapping

from runners.contract.search import Search
from sweeper.planning.search_space import inside

# Larger spaces are not counted.
MOST_POINTS = 10_000


def count_trials(search: Search, default: Mapping[str, str]) -> int:
    """Return how many trials there may be: no more than a finite space has points, the default beside them.

    Args:
        search: the search.
        default: the default's point.
    """
    if not all(dimension.is_finite for dimension in search.dimensions):
        return search.n_trials
    sizes = [_n_values(search, key) for key in search.keys]
    if math.prod(sizes) > MOST_POINTS:
        return search.n_trials
    is_beside = bool(inside(search, default))
    return min(search.n_trials, len(search.grid()) + is_beside)


def _n_values(search: Search, key: str) -> int:
    """Return how many values a key has, in the alternative that has most."""
    numbers = [1]
    for dimension in search.dimensions:
        if dimension.key == key and dimension.choices:
            numbers.append(len(dimension.choices))
        elif dimension.key == key:
            low, high = dimension.span
            numbers.append(int((high - low) / (dimension.step or 1)) + 1)
    return max(numbers)
