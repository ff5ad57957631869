"""What sweeps can do without: files that nothing goes on from, and nobody will look at."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from runners.contract.checkpoint_files import DIGEST_SUFFIX, StateFile
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import JobState
from sweeper.stored.ownership import is_owned
from sweeper.view.sweep_reader import read_sweep_file, read_view

# A folder without a journal is that of a check which is being planned; for no longer than this.
LONGEST_PLAN_S = 86400.0
CHECKS, FETCHED = "checks", "fetched"
UNWANTED = (JobState.FAILED, JobState.CANCELLED, JobState.PRUNED)

STATES, TEMPORARY, WEIGHTS = (
    "full states of finished jobs",
    "half-written files",
    "checkpoints of jobs that came to nothing",
)
LOGS_OF_CHECKS, DOWNLOADS = "failed checks", "predictions fetched from a tracking store"


@dataclass(frozen=True)
class Waste:
    """A file that can go.

    Attributes:
        kind: what it is, for people.
        owner: the sweep it belongs to; ``checks`` or ``fetched`` for what stands beside the sweeps.
        path: the file.
        n_bytes: its size on the disk.
    """

    kind: str
    owner: str
    path: Path
    n_bytes: int


def waste_of(sweep: SweepFolder, notes: list[str]) -> list[Waste]:
    """Return what a sweep that nobody runs can do without: of its finished jobs, never their best weights.

    Args:
        sweep: its folder.
        notes: what could not be judged, and why, is added.
    """
    try:
        view = read_view(sweep)
    except UserError as error:
        notes.append(f"{sweep.sweep_id} is left alone: {error}")
        return []
    keep = (read_sweep_file(sweep.sweep).get("settings") or {}).get("keep") or "best"
    found: list[Waste] = []
    for job in view.jobs.values():
        if not job.state.is_terminal:
            continue
        folder = sweep.job(job.job_id)
        found += [_waste(TEMPORARY, sweep, path) for path in _files(folder.path) if path.name.endswith(".tmp")]
        if job.state in UNWANTED:
            found += [_waste(WEIGHTS, sweep, path) for path in _files(folder.checkpoints) if path.suffix != ".tmp"]
        elif job.state is JobState.COMPLETED and keep == "best":
            found += [_waste(STATES, sweep, path) for path in _spent_checkpoints(folder)]
    return found


def _spent_checkpoints(job: JobFolder) -> list[Path]:
    """Return the full states of a completed job and what only they refer to; none if its best weights are not there."""
    attempts = [AttemptResult.read(attempt) for attempt in reversed(job.all_attempts())]
    result = next((result for result in attempts if result is not None and result.checkpoint), None)
    if result is None or not result.checkpoint or not (job.path / result.checkpoint).is_file():
        return []
    best = job.path / result.checkpoint
    spent = []
    for path in _files(job.checkpoints):
        is_state = StateFile.named(path) is not None or path.name.endswith(DIGEST_SUFFIX)
        is_former_best = "_best_epoch_" in path.name
        if path != best and (is_state or is_former_best):
            spent.append(path)
    return spent


def waste_of_checks(output_dir: Path) -> list[Waste]:
    """Return the files of checks that failed and are over."""
    folders = sorted((output_dir / CHECKS).iterdir()) if (output_dir / CHECKS).is_dir() else []
    idle = [folder for folder in folders if folder.is_dir() and _is_idle(folder)]
    return [Waste(LOGS_OF_CHECKS, CHECKS, path, _bytes(path)) for folder in idle for path in _files(folder)]


def _is_idle(check: Path) -> bool:
    """Whether a check is over: nobody owns its journal; one without a journal is being planned, unless it is old."""
    journal = check / "journal.jsonl"
    if journal.exists():
        return not is_owned(journal)
    return time.time() - check.stat().st_mtime > LONGEST_PLAN_S


def waste_of_downloads(output_dir: Path) -> list[Waste]:
    """Return what reports have fetched from a tracking store; they fetch it again."""
    return [Waste(DOWNLOADS, FETCHED, path, _bytes(path)) for path in _files(output_dir / FETCHED)]


def _waste(kind: str, sweep: SweepFolder, path: Path) -> Waste:
    return Waste(kind, sweep.sweep_id, path, _bytes(path))


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder, and links as what they are: nothing outside is ever reached."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [Path(root, name) for root, _, names in os.walk(folder, followlinks=False) for name in sorted(names)]


def _bytes(path: Path) -> int:
    return path.lstat().st_size
