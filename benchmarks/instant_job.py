"""A job that is done at once (``entry=benchmarks.instant_job``): what a sweep of such jobs takes, detsweep takes."""

import time

from runners.contract.folder import AttemptFolder
from runners.contract.metrics import ITERATION_S, PEAK_HOST_GB, VALIDATION_IMAGE_S
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome

# What the estimates of the jobs that still wait are corrected by, as after any training.
METRICS = {ITERATION_S: 0.001, VALIDATION_IMAGE_S: 0.001, PEAK_HOST_GB: 0.01}


def run_attempt(folder: AttemptFolder) -> int:
    """Write the result of an attempt that had nothing to do; returns the exit code."""
    AttemptResult(folder.number, AttemptOutcome.COMPLETED, metrics=METRICS, finished_at=time.time()).write(folder)
    return 0
