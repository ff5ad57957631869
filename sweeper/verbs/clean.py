"""``detsweep clean``: what a sweep does not need any more, shown with its size, and deleted only when that is asked."""

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.stored.finding import find_sweep
from sweeper.stored.journal import Journal, SweepOwnedError
from sweeper.stored.ownership import is_owned
from sweeper.verbs.listing import all_sweeps
from sweeper.verbs.report import open_console
from sweeper.verbs.waste import CHECKS, FETCHED, Waste, waste_of, waste_of_checks, waste_of_downloads
from sweeper.verbs.words import read_words
from sweeper.view.wording import count, size


def run_clean(words: Sequence[str]) -> int:
    """Carry ``detsweep clean [SWEEP] [--yes] [--json]`` out: without a name for all sweeps of the output folder.

    Returns:
        0, or 1 if something could not be deleted.

    Raises:
        UserError: no such sweep, or the one that is named is running.
    """
    asked = read_words("clean", words, ("--yes", "--json"))
    console, is_json = open_console(), "--json" in asked.flags
    deletes = "--yes" in asked.flags
    notes: list[str] = []
    with ExitStack() as held:
        if asked.name:
            sweeps = [find_sweep(asked.name, asked.output_dir)]
            _take(sweeps[0], held, deletes)
        else:
            sweeps = list(_take_all(asked.output_dir, held, deletes, notes))
        found = [waste for sweep in sweeps for waste in waste_of(sweep, notes)]
        if not asked.name:
            found += [*waste_of_checks(asked.output_dir), *waste_of_downloads(asked.output_dir)]
        problems = _delete(found, asked.output_dir) if deletes else []
    if is_json:
        print(json.dumps(_as_json(found, deletes, notes, problems), ensure_ascii=False))
    else:
        _print(found, deletes, notes, problems, console, words)
    return 1 if problems else 0


def _take(sweep: SweepFolder, held: ExitStack, deletes: bool) -> None:
    """Own a sweep while its files are deleted, so that nobody begins to need one; who only looks turns nobody away."""
    if deletes:
        held.enter_context(Journal(sweep.journal))
    elif is_owned(sweep.journal):
        raise SweepOwnedError(f"sweep in {sweep.path}: another process owns it; nothing of it can be deleted now")


def _take_all(output_dir: Path, held: ExitStack, deletes: bool, notes: list[str]) -> Iterator[SweepFolder]:
    for sweep in all_sweeps(output_dir):
        if not sweep.journal.exists():
            continue
        try:
            _take(sweep, held, deletes)
        except SweepOwnedError:
            notes.append(f"{sweep.sweep_id} is running; nothing of it is touched")
        except (UserError, OSError) as error:
            notes.append(f"{sweep.sweep_id} is left alone: {error}")
        else:
            yield sweep


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
