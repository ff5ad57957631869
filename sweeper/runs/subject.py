"""What is evaluated: a trained detector, where its evaluations go, and which run they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.plugin_sources import DIGEST
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome
from runners.contract.yamlfile import load_yaml
from sweeper.runs.addresses import FoundRun
from sweeper.runs.moved_data import with_data_here
from sweeper.stored.plugin_copies import check_plugins
from sweeper.tracking.run_log import LoggedRun

BEST_PREFIX = "best/"


@dataclass(frozen=True)
class Subject:
    """A trained detector.

    Attributes:
        job: the folder that its evaluations go into.
        title: its name.
        config: what it was trained with, or is to be built with.
        checkpoint: its weights.
        sha256: of that file, in hex.
        logged: the run that they are logged to.
        is_foreign: detsweep has not trained it: its weights are matched by name.
        has_own_run: there is no run of a training: what is evaluated makes one.
        n_threads: CPU threads of its training, where that was on a CPU; else 0.
        stored: what its training measured, under full names without ``best/``; empty where detsweep did not train it.
    """

    job: JobFolder
    title: str
    config: Mapping[str, Any]
    checkpoint: Path
    sha256: str
    logged: LoggedRun
    is_foreign: bool = False
    has_own_run: bool = False
    n_threads: int = 0
    stored: Mapping[str, float] = field(default_factory=dict)


def subject_of(run: FoundRun, consented: str = "") -> Subject:
    """Return what a run has trained.

    Args:
        run: the run.
        consented: digests of plug-ins of another's that may run (``trust_plugins=``).

    Raises:
        UserError: it has not finished, its checkpoint is not here, or it imports code that may not run.
    """
    result = find_result(run.job)
    if result is None or result.checkpoint is None or result.checkpoint_sha256 is None:
        raise UserError(f"run in {run.job.path}: it has not finished, so it has no best checkpoint; choose another run")
    checkpoint = run.job.path / result.checkpoint
    if not checkpoint.is_file():
        raise UserError(
            f"checkpoint of {run.title} in {checkpoint}: no such file; the store of a run that trained elsewhere "
            "has it only with tracking.log_checkpoints=true"
        )
    config = with_data_here(load_yaml(run.job.config.read_text(encoding="utf-8")), run.job)
    if config.get(DIGEST):
        check_plugins(SweepFolder(run.job.path.parent.parent), [config], consented)
    return Subject(
        run.job,
        run.title,
        config,
        checkpoint,
        result.checkpoint_sha256,
        run.logged,
        is_foreign=run.job.imported.is_file(),
        n_threads=_cpu_threads(AttemptFolder(run.job.attempts / str(result.attempt))),
        stored={name.removeprefix(BEST_PREFIX): value for name, value in result.metrics.items()},
    )


def find_result(job: JobFolder) -> AttemptResult | None:
    """Return how a job completed; None if it has not. What was fetched from a store has it at its top."""
    for attempt in (*reversed(job.all_attempts()), AttemptFolder(job.path)):
        result = AttemptResult.read(attempt)
        if result is not None and result.outcome is AttemptOutcome.COMPLETED:
            return result
    return None


def _cpu_threads(attempt: AttemptFolder) -> int:
    try:
        spec = AttemptSpec.read(attempt)
    except (OSError, ValueError, TypeError):  # fetched from a store, which does not keep it
        return 0
    return max(1, spec.n_threads // spec.n_devices) if spec.device == "cpu" else 0
