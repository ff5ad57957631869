"""``detsweep clean``: what a sweep does not need any more, shown with its size, and deleted only when that is asked."""

import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runners.contract.checkpoint_files import DIGEST_SUFFIX, StateFile
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import JobState
from sweeper.journal import Journal, SweepOwnedError
from sweeper.listing import all_sweeps
from sweeper.ownership import is_owned
from sweeper.report import find_sweep, open_console
from sweeper.sweep_reader import read_sweep_file, read_view
from sweeper.wording import count, size
from sweeper.words import read_words

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


def run_clean(words: Sequence[str]) -> int:
    """Carry ``detsweep clean [SWEEP] [--yes] [--json]`` out: without a name for all sweeps of the output folder.

    Returns:
        0, or 1 if something could not be deleted.

    Raises:
        UserError: no such sweep, or the one that is named is running.
    """
    asked = read_words("clean", words, ("--yes", "--json"))
    console, is_json = open_console(), "--json" in asked.flags
    notes: list[str] = []
    with ExitStack() as held:
        if asked.name:
            sweeps = [find_sweep(asked.name, asked.output_dir)]
            held.enter_context(Journal(sweeps[0].journal))
        else:
            # What is looked at is held, so that nobody begins to need a file between the look and its end.
            sweeps = list(_hold_all(asked.output_dir, held, notes))
        found = [waste for sweep in sweeps for waste in waste_of(sweep, notes)]
        if not asked.name:
            found += [*_waste_of_checks(asked.output_dir), *_waste_of_downloads(asked.output_dir)]
        problems = _delete(found, asked.output_dir) if "--yes" in asked.flags else []
    is_deleted = "--yes" in asked.flags
    if is_json:
        print(json.dumps(_as_json(found, is_deleted, notes, problems), ensure_ascii=False))
    else:
        _print(found, is_deleted, notes, problems, console, words)
    return 1 if problems else 0


def _hold_all(output_dir: Path, held: ExitStack, notes: list[str]) -> Iterator[SweepFolder]:
    for sweep in all_sweeps(output_dir):
        if not sweep.journal.exists():
            continue
        try:
            held.enter_context(Journal(sweep.journal))
        except SweepOwnedError:
            notes.append(f"{sweep.sweep_id} is running; nothing of it is touched")
        except (UserError, OSError) as error:
            notes.append(f"{sweep.sweep_id} is left alone: {error}")
        else:
            yield sweep


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


def _waste_of_checks(output_dir: Path) -> list[Waste]:
    folders = sorted((output_dir / CHECKS).iterdir()) if (output_dir / CHECKS).is_dir() else []
    idle = [folder for folder in folders if folder.is_dir() and _is_idle(folder)]
    return [Waste(LOGS_OF_CHECKS, CHECKS, path, _bytes(path)) for folder in idle for path in _files(folder)]


def _is_idle(check: Path) -> bool:
    """Whether a check is over: nobody owns its journal; one without a journal is being planned, unless it is old."""
    journal = check / "journal.jsonl"
    if journal.exists():
        return not is_owned(journal)
    return time.time() - check.stat().st_mtime > LONGEST_PLAN_S


def _waste_of_downloads(output_dir: Path) -> list[Waste]:
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


def _delete(found: Sequence[Waste], output_dir: Path) -> list[str]:
    """Delete the files, and the folders of checks and downloads that are empty then; return what could not be."""
    problems = []
    for waste in found:
        try:
            waste.path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(f"{waste.path}: {error.strerror}")
    beside = [waste.path.relative_to(output_dir).parts for waste in found if waste.owner in (CHECKS, FETCHED)]
    # A check that begins in this moment has its folder beside those that go, and nothing in it yet.
    for top in sorted({parts[: 2 if parts[0] == CHECKS else 1] for parts in beside}):
        for root, _, _ in os.walk(output_dir.joinpath(*top), topdown=False):
            _remove_if_empty(Path(root))
        _remove_if_empty(output_dir / top[0])
    return problems


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _totals(found: Sequence[Waste]) -> dict[tuple[str, str], tuple[int, int]]:
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for waste in found:
        n_files, n_bytes = totals.get((waste.owner, waste.kind), (0, 0))
        totals[waste.owner, waste.kind] = n_files + 1, n_bytes + waste.n_bytes
    return totals


def _as_json(found: Sequence[Waste], is_deleted: bool, notes: Sequence[str], problems: Sequence[str]) -> dict[str, Any]:
    return {
        "is_deleted": is_deleted,
        "n_bytes": sum(waste.n_bytes for waste in found),
        "files": [
            {"sweep": waste.owner, "kind": waste.kind, "path": str(waste.path), "n_bytes": waste.n_bytes}
            for waste in found
        ],
        "notes": list(notes),
        "problems": list(problems),
    }


def _print(
    found: Sequence[Waste],
    is_deleted: bool,
    notes: Sequence[str],
    problems: Sequence[str],
    console: Console,
    words: Sequence[str],
) -> None:
    for note in notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    for problem in problems:
        console.print(Text(f"error: not deleted: {problem}"), soft_wrap=True)
    if not found:
        console.print("nothing to clean")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("of", overflow="fold")
    table.add_column("what")
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for (owner, kind), (n_files, n_bytes) in _totals(found).items():
        table.add_row(Text(owner), kind, str(n_files), size(n_bytes))
    console.print(table)
    told = f"{count(len(found), 'file')}, {size(sum(waste.n_bytes for waste in found))}"
    if is_deleted:
        console.print(f"deleted {told}; best weights, numbers and logs are kept")
    else:
        again = shlex.join(["detsweep", "clean", *words, "--yes"])
        console.print(Text(f"would delete {told}; best weights, numbers and logs stay: {again}"), soft_wrap=True)
