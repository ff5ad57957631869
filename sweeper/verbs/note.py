"""``detsweep note``: what nothing here has measured, a score on a leaderboard or a remark, is kept with its run."""

import contextlib
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.notes import NoteValue, add_notes, newest_notes, read_notes
from sweeper.project.places import asked_output_dir
from sweeper.runs.addresses import FoundRun, RunPlace, find_run
from sweeper.tracking.run_log import Addition, log_to_run
from sweeper.tracking.shipped import ShippedJob
from sweeper.tracking.shipper import note_points, note_tags
from sweeper.verbs.report import open_console

SETTINGS = ("output_dir", "tracking.uri", "tracking.experiment")
# A column's heading, a metric's name, a tag's.
_KEY = re.compile(r"\w[\w \-.]{0,39}")
N_TEXT_CHARS = 2000


def run_note(words: Sequence[str]) -> int:
    """Carry ``detsweep note RUN KEY=VALUE ...`` out.

    Returns:
        0; also if the tracking store was away, for the note is kept and shipped later.

    Raises:
        UserError: no such run, or a note that cannot be kept; nothing is noted then.
    """
    typed = shlex.join(["detsweep", "note", *words])
    if not words or words[0].partition("=")[0] in SETTINGS:
        raise UserError(f"no run in {typed}: say which, and what to note, as in detsweep note 3 leaderboard=0.43")
    settings, values = _read_words(words[1:], typed)
    place = RunPlace(
        asked_output_dir(words), settings.get("tracking.uri") or None, settings.get("tracking.experiment", "")
    )
    found = find_run(words[0], place)
    try:
        before = newest_notes(read_notes(found.job))
        add_notes(found.job, values)
    except (ValueError, OSError) as error:
        raise UserError(f"notes in {found.job.notes}: {error}; mend the file, or give yourself write access") from None
    console = open_console()
    for key, value in values.items():
        told = f"{found.title}: {key} = {_shown(value)}"
        told += f" (before: {_shown(before[key].value)})" if key in before else ""
        console.print(Text(told), soft_wrap=True)
    problem = _log(found)
    if problem:
        kept = f"it is kept in {found.job.notes}, and detsweep sync ships it"
        console.print(Text(f"note: tracking store {problem}; {kept}"), soft_wrap=True)
    return 0


def _log(found: FoundRun) -> str:
    """Tell the run's store of all of its notes; return why it could not be told."""
    notes = read_notes(found.job)
    outcome = log_to_run(found.logged, Addition(points=note_points(notes), tags=note_tags(notes)))
    shipped = ShippedJob.read(found.job)
    # Of a job that is not over its controller tells, and keeps these books.
    if outcome.run_id is not None and shipped.ended is not None and shipped.run_id in (None, outcome.run_id):
        with contextlib.suppress(OSError):
            replace(shipped, n_notes=len(notes)).write(found.job)
    return outcome.problem


def _read_words(words: Sequence[str], typed: str) -> tuple[dict[str, str], dict[str, NoteValue]]:
    """Return settings and notes of a command line."""
    settings: dict[str, str] = {}
    values: dict[str, NoteValue] = {}
    problems = []
    for word in words:
        key, separator, text = word.partition("=")
        if key in SETTINGS:
            settings[key] = text
        elif not separator:
            problems.append(f'no note in {word}: wanted KEY=VALUE; a value with spaces is quoted, comment="two words"')
        elif not _KEY.fullmatch(key):
            problems.append(f"key in {word}: {key!r}; take letters, digits, - . _ and spaces, 40 at most")
        elif key in values:
            problems.append(f"key in {typed}: {key} is given twice; once is enough")
        else:
            try:
                values[key] = _value(text)
            except ValueError as error:
                problems.append(f"value in {word}: {error}")
    if not values and not problems:
        problems.append(f'nothing to note in {typed}: say what, as in leaderboard=0.43 or comment="looks good"')
    if problems:
        raise UserError(*problems)
    return settings, values


def _value(text: str) -> NoteValue:
    """Return a number where the text is one, else the text.

    Raises:
        ValueError: it is empty, infinite, or too long.
    """
    stripped = text.strip()
    if not stripped:
        raise ValueError("it is empty; say a number or a text")
    if len(stripped) > N_TEXT_CHARS:
        raise ValueError(f"{len(stripped)} letters; {N_TEXT_CHARS} at most")
    try:
        number = float(stripped)
    except ValueError:
        return stripped
    if not math.isfinite(number):
        raise ValueError(f"{stripped} is no number that can be compared; say it in words")
    return number


def _shown(value: NoteValue) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
