"""Planned looks of a running sweep: when one is due, and the process of its own that takes it.

The process reads the sweep's folder, judges, and asks for the seeds that are still needed as any other terminal asks
for jobs; what was decided travels in the same request, and so into the journal.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from runners.contract.folder import SweepFolder
from runners.contract.hypothesis import UNTIL
from runners.contract.looks import LOOK, LOOKS_TAG, looks_of
from sweeper.stored.journal import read_journal
from sweeper.stored.requests import read_requests
from sweeper.tracking.tracking_store import json_tags

MODULE = "sweeper.verbs.look"
LOG = "look.log"


def has_looks(settings: Mapping[str, Any]) -> bool:
    """Whether a sweep's hypothesis adds seeds until it is decided."""
    return (settings.get("hypothesis") or {}).get("until") == UNTIL


def is_look_due(sweep: SweepFolder) -> bool:
    """Whether a look is planned once all jobs that there are have ended."""
    looks = list(looks_of(read_journal(sweep.journal)))
    return not looks or not looks[-1]["is_final"]


def look_tags(sweep: SweepFolder) -> dict[str, str]:
    """Return what a sweep's own run in the tracking store carries of its looks; nothing before the first."""
    looks = list(looks_of(read_journal(sweep.journal)))
    return json_tags(LOOKS_TAG, looks) if looks else {}


class Looks:
    """Takes the looks of one sweep, one at a time.

    Args:
        sweep: its folder.
        say: takes one line.
    """

    def __init__(self, sweep: SweepFolder, say: Callable[[str], None]) -> None:
        self._sweep = sweep
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self.has_failed = False

    def begin(self) -> bool:
        """Begin the next look if one is due; return whether jobs may still come of one."""
        if self._process is not None:
            return True
        if any(LOOK in request.arguments for request in read_requests(self._sweep)):
            return True  # one was taken, and what it asks for is read next
        if self.has_failed or not is_look_due(self._sweep):
            return False
        with (self._sweep.path / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(self._sweep.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt is the controller's to answer
            )
        return True

    def end(self) -> bool:
        """Return whether a look has just ended; tell what it said."""
        if self._process is None or self._process.poll() is None:
            return False
        said = (self._sweep.path / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        self.has_failed = self._process.returncode != 0
        self._process = None
        if said:
            self._say(said[-1])
        if self.has_failed:
            self._say(f"the look at the hypothesis failed; log: {self._sweep.path / LOG}")
        return True

    def close(self) -> None:
        """End a look that is under way; it is taken again by whoever resumes the sweep."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
