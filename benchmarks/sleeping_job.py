"""A job that takes its time and nothing else (``entry=benchmarks.sleeping_job``): ``sleep_s`` of its config."""

import time

from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from runners.contract.yamlfile import load_yaml


def run_attempt(folder: AttemptFolder) -> int:
    """Sleep, and write the result; returns the exit code."""
    began_s = time.monotonic()
    config = load_yaml(folder.job.config.read_text(encoding="utf-8"))
    # What starting took is the job's own, so that the trace says when it ends.
    time.sleep(max(0.0, config["sleep_s"] - (time.monotonic() - began_s)))
    AttemptResult(folder.number, AttemptOutcome.COMPLETED, finished_at=time.time()).write(folder)
    return 0
