"""Where a sweep's journal holds what its planned looks came to: beside the request for the seeds that each asked.

The sweep's own run in the tracking store carries the same as JSON in a tag.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

LOOK = "look"
LOOKS_TAG = "detsweep.looks"


def looks_of(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the looks in order: ``n_seeds``, ``words`` by claim, ``is_final``.

    A request that a killed controller had written down and not carried out is written down again; it counts once.
    """
    seen: set[int] = set()
    for event in events:
        look = event.get(LOOK) if event.get("event") == "requested" else None
        if look is not None and look["n_seeds"] not in seen:
            seen.add(look["n_seeds"])
            yield look
