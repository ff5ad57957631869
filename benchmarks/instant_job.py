"""A job that is done at once (``entry=benchmarks.instant_job``): what a sweep of such jobs takes, detsweep takes."""

import time

from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome


def run_attempt(folder: AttemptFolder) -> int:
    """Write the result of an attempt that had nothing to do; returns the exit code."""
    AttemptResult(folder.number, AttemptOutcome.COMPLETED, finished_at=time.time()).write(folder)
    return 0
