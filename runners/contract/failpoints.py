"""Failpoints: places where a test ends a process at once, as a power cut would; nothing happens where none is set.

``DETSWEEP_FAILPOINT=journal.append.after`` ends the controller behind its first journal line, and
``journal.append.after:3`` behind its third. ``json.rename.before@1`` ends the first attempt of every job at that place
instead, and never a controller: jobs inherit its environment, and some places are passed by both.
"""

import os
from collections import Counter

VARIABLE = "DETSWEEP_FAILPOINT"
EXIT_STATUS = 77

# name -> what has just been done, or is about to be
FAILPOINTS = {
    "journal.append.before": "an event is about to be written to the journal",
    "journal.append.after": "an event is on the disk and nothing that follows from it has been done",
    "spawn.before": "an attempt's folder is made and its start journalled; no process has been asked for",
    "spawn.after": "an attempt's process has been asked for",
    "json.rename.before": "a whole file is written under its temporary name",
    "json.rename.after": "a whole file has its name",
    "line.append.before": "a metric record is about to be written",
    "line.append.after": "a metric record is written",
    "checkpoint.rename.before": "a checkpoint is written under its temporary name",
    "checkpoint.rename.after": "a checkpoint has its name; its digest is not written",
    "database.rename.before": "a new tracking database is made under another name",
    "outbox.send.before": "records are about to be sent to the tracking store",
    "outbox.send.after": "the tracking store has the records; that it has them is not written down",
}

_passed: Counter[str] = Counter()
# The attempt that this process executes; None in a controller.
_attempt: int | None = None


def enter_attempt_process(attempt: int) -> None:
    """Say that this process executes an attempt from now on, and begin to count anew."""
    global _attempt
    _attempt = attempt
    _passed.clear()


def failpoint(name: str) -> None:
    """End this process if the environment says so for this place.

    Args:
        name: a key of `FAILPOINTS`.

    Raises:
        ValueError: no such failpoint, or the environment's value names none.
    """
    if name not in FAILPOINTS:
        raise ValueError(f"no failpoint '{name}'; there are {', '.join(FAILPOINTS)}")
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, at, attempt = wanted.partition("@")
    wanted_name, _, count = place.partition(":")
    if wanted_name not in FAILPOINTS:
        raise ValueError(f"no failpoint in {VARIABLE}={wanted}; there are {', '.join(FAILPOINTS)}")
    if wanted_name != name or _attempt != (int(attempt) if at else None):
        return
    _passed[name] += 1
    if _passed[name] == int(count or 1):
        os._exit(EXIT_STATUS)
