"""A quick job that imports plug-ins as real ones do: ``detsweep train ... entry=tests.plugin_job``."""

import time

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, Failure
from runners.contract.states import AttemptOutcome, FailureKind
from runners.contract.yamlfile import load_yaml
from runners.plugins import import_plugins
from tests import quick_job


def run_attempt(folder: AttemptFolder) -> int:
    """Execute an attempt; returns the exit code as `runners.job.run_attempt` does."""
    try:
        import_plugins(load_yaml(folder.job.config.read_text(encoding="utf-8")), folder.job.path)
    except UserError as error:
        failure = Failure(FailureKind.USER, "; ".join(error.problems))
        AttemptResult(folder.number, AttemptOutcome.FAILED, failure=failure, finished_at=time.time()).write(folder)
        return 1
    return quick_job.run_attempt(folder)
