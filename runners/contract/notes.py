"""What people note of a job that nothing here has measured: a score on a leaderboard, a remark. Every note is kept."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runners.contract.folder import JobFolder
from runners.contract.jsonfile import append_line, read_lines

NoteValue = float | str


@dataclass(frozen=True)
class Note:
    """One note.

    Attributes:
        key: what it is about, ``leaderboard``.
        value: a number as the person gave it, in no unit that is known here, or a text.
        at: wall-clock seconds since the epoch.
        number: how many notes of this key there were with it, from 1.
    """

    key: str
    value: NoteValue
    at: float
    number: int


def add_notes(job: JobFolder, values: Mapping[str, NoteValue]) -> list[Note]:
    """Append notes to a job's ``notes.jsonl`` and return them.

    Raises:
        ValueError: the file is damaged.
    """
    now = time.time()
    before = newest_notes(read_notes(job))
    added = [Note(key, value, now, before[key].number + 1 if key in before else 1) for key, value in values.items()]
    for note in added:
        append_line(job.notes, {"at": note.at, "key": note.key, "value": note.value})
    return added


def read_notes(job: JobFolder) -> list[Note]:
    """Return all notes of a job, oldest first.

    Raises:
        ValueError: a line is damaged.
    """
    notes: list[Note] = []
    numbers: dict[str, int] = {}
    for line, _ in read_lines(job.notes):
        try:
            key, value, at = str(line["key"]), line["value"], float(line["at"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{job.notes}: no note in {line!r}") from error
        numbers[key] = numbers.get(key, 0) + 1
        notes.append(Note(key, value if isinstance(value, str) else float(value), at, numbers[key]))
    return notes


def newest_notes(notes: Iterable[Note]) -> dict[str, Note]:
    """Return the note that counts of each key: the last; keys in the order in which they were first noted."""
    return {note.key: note for note in notes}
