"""The jobs that wait to be started, in order, kept apart by what they need: a look at a few finds the next of many."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from heapq import merge

from sweeper.control.packing import Need

# Rank (smaller goes first), negated expected seconds, number in the plan, job id.
Place = tuple[int, float, int, str]


class WaitingLine:
    """Jobs in the order in which they are to be started."""

    def __init__(self) -> None:
        self._lines: dict[Need, list[Place]] = {}

    def add(self, need: Need, place: Place) -> None:
        """Let a job wait at its place."""
        insort(self._lines.setdefault(need, []), place)

    def remove(self, need: Need, place: Place) -> None:
        """Let a job wait no longer; one that did not wait is none the worse for it."""
        line = self._lines.get(need, [])
        at = bisect_left(line, place)
        if at < len(line) and line[at] == place:
            del line[at]
            if not line:
                del self._lines[need]

    def first(self, hopeless: AbstractSet[Need]) -> tuple[Need, Place] | None:
        """Return the first job whose need is none of the hopeless ones."""
        heads = [(line[0], need) for need, line in self._lines.items() if need not in hopeless]
        if not heads:
            return None
        place, need = min(heads, key=lambda head: head[0])
        return need, place

    def needs(self) -> Iterable[Need]:
        """Return what the waiting jobs need, each need once."""
        return self._lines.keys()

    def jobs(self) -> list[str]:
        """Return the waiting jobs, first one first."""
        return [job_id for *_, job_id in merge(*self._lines.values())]
