"""Finds jobs that an earlier run answers already, of the same training on the same data: they need not be trained."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome, JobState
from sweeper.stored.journal import read_journal
from sweeper.stored.redaction import without_password
from sweeper.tracking.mlflow_store import describe_error, prepare_mlflow, silence_mlflow
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.store_probe import StoreAwayError, database_file, probe_store

# A store that has not told what it holds by then is not waited for. A large one takes longer the more is asked.
LIMIT_S = 10.0
LIMIT_S_PER_JOB = 0.02


@dataclass(frozen=True)
class ReusedRun:
    """The run that answers a job.

    Attributes:
        run_id: the store's id of it; empty where the sweep is not tracked.
        folder: of the job that trained it; it may lie on another machine, or be gone.
        sweep_id: of the sweep that trained it.
        job_id: its number in that sweep.
        title: its name there.
    """

    run_id: str
    folder: str
    sweep_id: str
    job_id: str
    title: str


def find_reusable(
    identities: Mapping[str, str], settings: TrackingSettings, output_dir: Path, say: Callable[[str], None]
) -> dict[str, ReusedRun]:
    """Return the newest finished run for each job that one answers, by job id.

    The tracking store is asked, in all of its experiments. Without one (``tracking=off``) the sweeps in the output
    folder are: their journals are read, newest first, until every job is answered.

    Args:
        identities: job id to identity (`runners.contract.identity`).
        settings: the store.
        output_dir: where sweeps are.
        say: takes one line if the store does not answer in time; nothing is reused then.
    """
    if not identities:
        return {}
    if settings.uri is None:
        found = _find_in_folders(set(identities.values()), output_dir)
    else:
        found = _find_in_store(set(identities.values()), settings.uri, say)
    return {job_id: found[identity] for job_id, identity in identities.items() if identity in found}


def _find_in_store(identities: set[str], uri: str, say: Callable[[str], None]) -> dict[str, ReusedRun]:
    database = database_file(uri)
    if database is not None and not database.exists():
        return {}  # nothing has been tracked here yet, and MLflow is not imported to find that out
    found: dict[str, ReusedRun] = {}
    problems: list[str] = []
    try:
        probe_store(uri)
    except StoreAwayError as error:
        say(f"note: tracking store {describe_error(error, uri)}; nothing is reused")
        return {}
    prepare_mlflow()
    from reports.mlflow_runs import find_finished, import_mlflow

    import_mlflow()  # takes as long as it takes, and cannot hang
    silence_mlflow()

    def ask() -> None:
        try:
            for identity, run in find_finished(uri, identities).items():
                found[identity] = ReusedRun(run.run_id, run.folder, run.sweep_id, run.job_id, run.title)
        # Whatever a store or a driver raises must not keep a sweep from training everything itself.
        except Exception as error:
            problems.append(describe_error(error, uri))

    # In a thread of its own, for MLflow waits much longer for a locked database than anybody would for this.
    asking = threading.Thread(target=ask, name="reuse", daemon=True)
    asking.start()
    limit_s = LIMIT_S + LIMIT_S_PER_JOB * len(identities)
    asking.join(limit_s)
    if asking.is_alive():
        problems.append(without_password(f"{uri}: no answer within {limit_s:.0f} s"))
    if problems:
        say(f"note: tracking store {problems[0]}; nothing is reused")
        return {}
    return found


def _find_in_folders(identities: set[str], output_dir: Path) -> dict[str, ReusedRun]:
    found: dict[str, ReusedRun] = {}
    # Sweep ids begin with the time of their start.
    for path in sorted(output_dir.glob("*/journal.jsonl"), reverse=True):
        found |= _completed_in(SweepFolder(path.parent), identities - found.keys())
        if len(found) == len(identities):
            break
    return found


def _completed_in(sweep: SweepFolder, wanted: set[str]) -> dict[str, ReusedRun]:
    """Return which of these identities a sweep has finished; none if its journal cannot be read."""
    planned: dict[str, tuple[str, str]] = {}
    states: dict[str, str] = {}
    try:
        for event in read_journal(sweep.journal):
            if event.get("identity") in wanted:
                planned[event["job"]] = (event["identity"], event.get("title", ""))
            if "job" in event and "state" in event:
                states[event["job"]] = event["state"]
    except (OSError, ValueError, UserError):
        return {}  # damaged, or somebody else's: what it holds is trained again
    found = {}
    for job_id, (identity, title) in planned.items():
        job = sweep.job(job_id)
        if states.get(job_id) == JobState.COMPLETED.value and _has_numbers(job):
            found[identity] = ReusedRun("", str(job.path), sweep.sweep_id, job_id, title)
    return found


def _has_numbers(job: JobFolder) -> bool:
    results = (AttemptResult.read(attempt) for attempt in job.all_attempts())
    return any(result and result.outcome is AttemptOutcome.COMPLETED and result.metrics for result in results)
