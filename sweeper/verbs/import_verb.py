"""``detsweep import``: what others ran, or ran elsewhere, becomes part of this project."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.displayed import read_displayed
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.control.left import end_what_was_left_running, read_left
from sweeper.control.stored_sweep import read_stored
from sweeper.project.places import find_places
from sweeper.runs.answers import keep_answers
from sweeper.runs.importing_sweeps import StoreWish, is_archive, take_in, unpacked
from sweeper.runs.importing_tables import SUFFIXES, read_table
from sweeper.runs.work_dirs import WorkDir, read_work_dir
from sweeper.stored.journal import Journal
from sweeper.stored.redaction import without_password
from sweeper.tracking.tracking_store import tracking_settings
from sweeper.verbs.report import open_console, try_report
from sweeper.verbs.run_words import MACHINE_SETTINGS, RunWords, read_run_words, workplace
from sweeper.verbs.sync import ship_stored
from sweeper.verbs.train import start_event
from sweeper.view.wording import count, one_line

LIMIT_S = 600.0
TRACKING = "tracking"


def run_import(words: Sequence[str]) -> int:
    """Carry ``detsweep import WHAT ... [KEY=VALUE ...]`` out.

    Returns:
        0 if all of it is here, and the tracking store knows it; 1 if the store has not received everything.

    Raises:
        UserError: something cannot be imported; nothing of it is left behind.
    """
    told = read_run_words("import", words, {**MACHINE_SETTINGS, TRACKING: ""}, has_overrides=True)
    paths = [Path(name) for name in told.names]
    if not paths:
        raise UserError(
            f"nothing to import in {told.line}: name a work dir of mmdet 3.x, a sweep's folder or a tar file of one, "
            "or a table of results"
        )
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise UserError(
            *(f"nothing to import in {path}: no such file or folder; is the path right?" for path in missing)
        )
    tables = [path for path in paths if path.is_file() and path.suffix.lower() in SUFFIXES]
    sweeps = [path for path in paths if is_archive(path) or (path / "sweep.yaml").is_file()]
    work_dirs = _read_work_dirs([path for path in paths if path not in (*tables, *sweeps)])
    if told.overrides and not work_dirs:
        key = told.overrides[0].partition("=")[0]
        raise UserError(
            f"no setting '{key}' in {told.line}: overrides are for work dirs; of all else the settings are "
            f"{TRACKING}, {TRACKING}.uri, {TRACKING}.experiment, output_dir"
        )
    console, output_dir = open_console(), told.place.output_dir
    _import_tables(tables, output_dir, console)
    exit_code = 0
    for path in sweeps:
        if is_archive(path):
            with unpacked(path, output_dir) as sweep:
                exit_code |= _import_sweep(sweep, told, console)
        else:
            exit_code |= _import_sweep(SweepFolder(path.absolute()), told, console)
    command = ["detsweep", "import", *map(without_password, words)]
    return exit_code | (_import_work_dirs(work_dirs, told, command, console) if work_dirs else 0)


def _import_tables(paths: Sequence[Path], output_dir: Path, console: Console) -> None:
    """Read all tables, then keep them: of several none is kept if one cannot be understood."""
    problems: list[str] = []
    found = []
    for path in paths:
        try:
            found.append(read_table(path))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    known = {table.name: table for table in read_displayed(output_dir)} if paths else {}
    for read in found:
        table, before = read.table, known.get(read.table.name)
        if before is not None and before.sha256 == table.sha256:
            console.print(Text(f"{table.source}: is here already, {count(len(table.rows), 'row')}"), soft_wrap=True)
            continue
        where = table.write(output_dir)
        instead = f", in the place of another {before.source}" if before else ""
        told = f"{table.source}: {count(len(table.rows), 'row')} to be shown{instead}; delete {where} to take it back"
        for line in (told, *(f"  {understood}" for understood in read.understood)):
            console.print(Text(one_line(line)), soft_wrap=True)


def _import_sweep(source: SweepFolder, told: RunWords, console: Console) -> int:
    sweep, is_new = take_in(source, told.place.output_dir, _wish(told))
    what = "imported" if is_new else "is here already"
    console.print(Text(f"sweep {sweep.path}: {what}"), soft_wrap=True)
    return _tell(sweep, console)


def _tell(sweep: SweepFolder, console: Console) -> int:
    """Report a sweep that nobody runs, and ship it; return 1 if its store has not received everything."""
    with Journal(sweep.journal) as journal:
        stored = read_stored(sweep, [])
        left = read_left(sweep)
        end_what_was_left_running(sweep, left, journal, stored.plan.settings["max_losses"])
        with contextlib.suppress(UserError):  # the report tells what cannot be read
            keep_answers(sweep)
        try_report(sweep, console)
        store = tracking_settings(stored.plan.settings["tracking"], sweep.path.parent)
        if store.uri is None:
            return 0
        return 1 if ship_stored(sweep, stored, left, store, console, LIMIT_S) else 0


def _wish(told: RunWords) -> StoreWish:
    """Return the store that the command line names, else the project's own."""
    places = find_places()
    uri, experiment, choice = (told.settings[key] for key in (f"{TRACKING}.uri", f"{TRACKING}.experiment", TRACKING))
    if choice not in ("", "off", "sqlite", "server"):
        raise UserError(f"unknown value in tracking: {choice}; choices: off, server, sqlite")
    is_said = bool(uri or experiment or choice or places.uri)
    return StoreWish(uri or places.uri, experiment or None, is_off=choice == "off", is_said=is_said)


def _read_work_dirs(paths: Sequence[Path]) -> list[WorkDir]:
    """Look into all work dirs.

    Raises:
        UserError: what is wrong with any of them.
    """
    problems: list[str] = []
    found = []
    for path in paths:
        if not path.is_dir():
            kinds = f"a tar file of a sweep nor a table ({', '.join(SUFFIXES)})"
            problems.append(f"nothing to import in {path}: it is neither {kinds}")
            continue
        try:
            found.append(read_work_dir(path))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return found


def _import_work_dirs(work_dirs: Sequence[WorkDir], told: RunWords, command: Sequence[str], console: Console) -> int:
    # Hydra takes half a second to be imported, which nothing else here needs.
    from sweeper.runs.importing_work_dirs import find_imported, import_work_dirs, plan_work_dirs

    output_dir = told.place.output_dir
    keys = (TRACKING, f"{TRACKING}.uri", f"{TRACKING}.experiment")
    store = [f"{key}={told.settings[key]}" for key in keys if told.settings[key]]
    plan = plan_work_dirs(work_dirs, [*told.overrides, *store], output_dir)
    by_job = {job.job_id: work_dir for job, work_dir in zip(plan.jobs, work_dirs, strict=True)}
    known = find_imported(plan, output_dir)
    for job_id, where in known.items():
        console.print(Text(f"work dir {by_job[job_id].path}: is here already, as {where}"), soft_wrap=True)
    new = [job for job in plan.jobs if job.job_id not in known]
    if not new:
        return 0
    numbered = [replace(job, job_id=f"{number:04d}") for number, job in enumerate(new, start=1)]
    by_number = {job.job_id: by_job[old.job_id] for job, old in zip(numbered, new, strict=True)}
    with workplace(told, console, "measuring on val") as place:
        opening = start_event(command, "train")
        sweep = import_work_dirs(by_number, replace(plan, jobs=numbered), place, opening)
    console.print(Text(f"sweep {sweep.path}: {count(len(new), 'work dir')} imported"), soft_wrap=True)
    return _tell(sweep, console)
