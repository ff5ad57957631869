"""``detsweep import``: what others ran, or ran elsewhere, becomes part of this project."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.displayed import read_displayed
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.control.left import end_what_was_left_running, read_left
from sweeper.control.stored_sweep import read_stored
from sweeper.project.places import asked_output_dir, find_places
from sweeper.runs.importing_sweeps import StoreWish, is_archive, take_in, unpacked
from sweeper.runs.importing_tables import SUFFIXES, read_table
from sweeper.stored.journal import Journal
from sweeper.tracking.tracking_store import tracking_settings
from sweeper.verbs.report import open_console, try_report
from sweeper.verbs.sync import ship_stored
from sweeper.view.wording import count, one_line

LIMIT_S = 600.0
STORE_KEYS = ("tracking", "tracking.uri", "tracking.experiment")


def run_import(words: Sequence[str]) -> int:
    """Carry ``detsweep import WHAT ... [KEY=VALUE ...]`` out.

    Returns:
        0 if all of it is here, and the tracking store knows it; 1 if the store has not received everything.

    Raises:
        UserError: something cannot be imported; nothing of it is left behind.
    """
    given = [word for word in words if "=" not in word or Path(word).exists()]
    settings = dict(word.split("=", 1) for word in words if word not in given)
    output_dir = asked_output_dir(words)
    typed = " ".join(["detsweep import", *words])
    if not given:
        raise UserError(f"nothing to import in {typed}: name a sweep's folder, a tar file of one, or a table")
    missing = [word for word in given if not Path(word).exists()]
    if missing:
        raise UserError(
            *(f"nothing to import in {word}: no such file or folder; is the path right?" for word in missing)
        )
    paths = [Path(word) for word in given]
    unknown = [path for path in paths if not (is_table(path) or is_archive(path) or is_sweep(path))]
    if unknown:
        kinds = f"a sweep's folder, a tar file of one, or a table ({', '.join(SUFFIXES)})"
        raise UserError(*(f"nothing to import in {path}: it is neither of {kinds}" for path in unknown))
    console = open_console()
    _import_tables([path for path in paths if is_table(path)], output_dir, console)
    exit_code = 0
    for path in paths:
        if is_archive(path):
            with unpacked(path, output_dir) as sweep:
                exit_code |= _import_sweep(sweep, output_dir, settings, console)
        elif is_sweep(path):
            exit_code |= _import_sweep(SweepFolder(path.absolute()), output_dir, settings, console)
    return exit_code


def is_table(path: Path) -> bool:
    """Whether a path is that of a table."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def is_sweep(path: Path) -> bool:
    """Whether a path is that of a sweep's folder."""
    return (path / "sweep.yaml").is_file()


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
    known = {table.name: table for table in read_displayed(output_dir)}
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


def _import_sweep(source: SweepFolder, output_dir: Path, settings: dict[str, str], console: Console) -> int:
    unknown = [key for key in settings if key not in (*STORE_KEYS, "output_dir")]
    if unknown:
        known = ", ".join((*STORE_KEYS, "output_dir"))
        raise UserError(f"no setting '{unknown[0]}' in detsweep import of a sweep; settings are {known}")
    sweep, is_new = take_in(source, output_dir, _wish(settings))
    what = "imported" if is_new else "is here already"
    console.print(Text(f"sweep {sweep.path}: {what}"), soft_wrap=True)
    with Journal(sweep.journal) as journal:
        stored = read_stored(sweep, [])
        left = read_left(sweep)
        end_what_was_left_running(sweep, left, journal, stored.plan.settings["max_losses"])
        try_report(sweep, console)
        store = tracking_settings(stored.plan.settings["tracking"], sweep.path.parent)
        if store.uri is None:
            return 0
        return 1 if ship_stored(sweep, stored, left, store, console, LIMIT_S) else 0


def _wish(settings: dict[str, str]) -> StoreWish:
    """Return the store that the command line names, else the project's own."""
    places = find_places()
    uri, experiment = settings.get("tracking.uri"), settings.get("tracking.experiment")
    choice = settings.get("tracking")
    if choice not in (None, "off", "sqlite", "server"):
        raise UserError(f"unknown value in tracking: {choice}; choices: off, server, sqlite")
    return StoreWish(
        uri or places.uri, experiment, is_off=choice == "off", is_said=bool(uri or experiment or choice or places.uri)
    )
