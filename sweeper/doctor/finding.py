"""What an examination found: good, worth knowing, or in the way, and what to do about it."""

from dataclasses import dataclass
from enum import Enum


class Grade(str, Enum):
    """How bad it is; a problem keeps sweeps from running, or from keeping what they promise."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        subject: what was looked at, in a word or two.
        grade: how bad it is.
        text: what was found.
        advice: what to do; empty if nothing is to be done.
    """

    subject: str
    grade: Grade
    text: str
    advice: str = ""


def ok(subject: str, text: str) -> Finding:
    """Return a line about something that is as it should be."""
    return Finding(subject, Grade.OK, text)


def warning(subject: str, text: str, advice: str) -> Finding:
    """Return a line about something that is worth knowing."""
    return Finding(subject, Grade.WARNING, text, advice)


def problem(subject: str, text: str, advice: str) -> Finding:
    """Return a line about something that is in the way."""
    return Finding(subject, Grade.PROBLEM, text, advice)
