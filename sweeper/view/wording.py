"""How durations, sizes, times of day and words of other people are written in one line of a terminal."""

import re
from datetime import datetime

# A whole colour or cursor sequence; what is left of a broken one loses its control characters below.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# C0 and C1 controls, line separators, the marks that turn the direction of text, and halves of characters.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def one_line(text: str) -> str:
    """Return a text as it may be shown: nothing in it moves the cursor, colours, or starts another line."""
    return _CONTROLS.sub(" ", _ESCAPES.sub("", text)).rstrip()


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: ``2 d 3 h``, ``1 h 20 min``, ``3 min``, ``40 s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def time_of_day(at: float, now: float) -> str:
    """Return a moment in local time: ``14:05`` today, ``Tue 14:05`` within a week, else with its date.

    Args:
        at: seconds since the epoch.
        now: the same, of today.
    """
    moment = datetime.fromtimestamp(at)
    n_days = abs((moment.date() - datetime.fromtimestamp(now).date()).days)
    return f"{moment:%H:%M}" if n_days == 0 else f"{moment:%a %H:%M}" if n_days < 7 else f"{moment:%Y-%m-%d %H:%M}"


def size(n_bytes: float) -> str:
    """Return a size in the decimal unit that suits it: ``2.9 GB``, ``140 MB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            value = n_bytes / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{n_bytes:.0f} B"


def count(n: int, noun: str) -> str:
    """Return ``1 job``, ``2 jobs``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
