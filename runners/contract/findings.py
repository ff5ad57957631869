"""What a check of a data set found: problems, which stop a sweep, and warnings, which do not."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

N_EXAMPLES = 5


class Findings(NamedTuple):
    """Lines for the person at the terminal."""

    problems: list[str]
    warnings: list[str]

    def add(self, other: "Findings") -> None:
        """Take over another check's lines."""
        self.problems.extend(other.problems)
        self.warnings.extend(other.warnings)


def no_findings() -> Findings:
    """Return an empty list of each kind."""
    return Findings([], [])


def count(n: int, noun: str) -> str:
    """Return ``1 image`` or ``3 images``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def examples(values: Iterable[Any]) -> str:
    """Return the first five of several values, and that there are more."""
    listed: Sequence[Any] = list(values)
    more = ", ..." if len(listed) > N_EXAMPLES else ""
    return ", ".join(str(value) for value in listed[:N_EXAMPLES]) + more
