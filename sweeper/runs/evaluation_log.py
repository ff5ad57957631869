"""What of an evaluation the tracking store has: its numbers and files, in the run that it belongs to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from runners.contract.evaluations import EvaluationResult, run_metrics
from runners.contract.folder import EvaluationFolder, SweepFolder
from runners.contract.jsonfile import read_json, write_json
from runners.contract.naming import run_params
from runners.contract.remarks import Remark, RemarkKind, remark_lines
from sweeper.runs.evaluation import Evaluated
from sweeper.runs.subject import Subject
from sweeper.stored.redaction import without_password
from sweeper.tracking.run_log import Addition, LoggedRun, LogOutcome, log_new_run, log_to_run
from sweeper.tracking.shipper import TrackingSettings

Kind = Literal["evaluations", "predictions"]


def log_evaluation(subject: Subject, evaluated: Evaluated, files: Sequence[Path], kind: Kind = "evaluations") -> str:
    """Add an evaluation to the run that it belongs to, unless that has it.

    What does not arrive is noted in the evaluation's folder, for ``detsweep sync`` and the next call.

    Args:
        subject: what was evaluated.
        evaluated: the evaluation.
        files: what goes into the run's artifacts, under ``<kind>/<name>``.
        kind: what it was done for.

    Returns:
        A line on what did not arrive, and why; empty where there is nothing to say.
    """
    folder, tracking = evaluated.folder, subject.logged.tracking
    if tracking.uri is None:
        return ""
    told = {"uri": without_password(tracking.uri), "at": evaluated.result.finished_at}
    known = _read_logged(folder)
    entry = known.get(kind, {})
    if entry.get("run_id") and entry.items() >= told.items():
        return ""
    addition = _addition(folder, evaluated.result, [path for path in files if path.exists()], kind)
    outcome = _log(subject, addition)
    kept = [_relative(path, folder) for path, _ in addition.files]
    write_json(folder.logged, {**known, kind: {**told, "run_id": outcome.run_id, "files": kept}})
    if not outcome.problem:
        return ""
    return f"tracking store {outcome.problem}; everything is kept in {folder.path}, and detsweep sync ships it"


def ship_waiting(sweep: SweepFolder, tracking: TrackingSettings, say: Callable[[str], None]) -> int:
    """Ship the evaluations of a sweep's jobs that were to be logged, and that this store does not have.

    Args:
        sweep: the sweep's folder.
        tracking: its store.
        say: takes a line on each that does not arrive now either.

    Returns:
        How many are still waiting.
    """
    n_waiting = 0
    for job in sweep.all_jobs():
        for folder in job.all_evaluations():
            known, result = _read_logged(folder), EvaluationResult.read(folder)
            for kind, entry in known.items():
                # A sweep that was handed over has been logged, to another store.
                is_there = entry.get("run_id") and entry.get("uri") == without_password(tracking.uri or "")
                if is_there or result is None:
                    continue
                files = [path for name in entry.get("files", []) if (path := folder.path / name).exists()]
                run = LoggedRun(tracking, f"{sweep.sweep_id}/{job.job_id}")
                outcome = log_to_run(run, _addition(folder, result, files, kind))
                if outcome.run_id is None:
                    n_waiting += 1
                    say(f"{folder.path}: {outcome.problem}")
                    continue
                known[kind] = {**entry, "uri": without_password(tracking.uri or ""), "run_id": outcome.run_id}
                write_json(folder.logged, known)
    return n_waiting


def _addition(folder: EvaluationFolder, result: EvaluationResult, files: Sequence[Path], kind: str) -> Addition:
    metrics = run_metrics(folder.name, result.metrics)
    return Addition(metrics, [(path, f"{kind}/{folder.name}") for path in files], {}, result.finished_at)


def _log(subject: Subject, addition: Addition) -> LogOutcome:
    if not subject.has_own_run:
        return log_to_run(subject.logged, addition)
    tags = {
        "detsweep.kind": "evaluation",
        "detsweep.folder": str(subject.job.path),
        "detsweep.checkpoint": str(subject.checkpoint),
        "detsweep.remarks": remark_lines([Remark(RemarkKind.IMPORTED, f"{subject.checkpoint.name}, not trained here")]),
    }
    made = Addition(addition.metrics, addition.files, tags, addition.at)
    return log_new_run(subject.logged.tracking, subject.logged.key, subject.title, run_params(subject.config), made)


def _read_logged(folder: EvaluationFolder) -> dict[str, dict[str, Any]]:
    """Return what the store has received, and what it has not, by kind."""
    try:
        return {kind: entry for kind, entry in read_json(folder.logged).items() if isinstance(entry, dict)}
    except (FileNotFoundError, ValueError):
        return {}


def _relative(path: Path, folder: EvaluationFolder) -> str:
    """Return a path that holds wherever the folder is moved to, if the file is in it."""
    return str(path.relative_to(folder.path)) if path.is_relative_to(folder.path) else str(path)
