"""One invocation of ``train``, ``check`` or ``plan``, from Hydra's overrides to the exit code."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runners.contract.folder import SweepFolder
from sweeper.axes import Axes, read_axes
from sweeper.check import check_models
from sweeper.compose import Composer
from sweeper.detach import notify_started
from sweeper.journal import Journal
from sweeper.machine import StartExecutor, hold_machine
from sweeper.ownership import prove_lock
from sweeper.plan import Plan, make_plan
from sweeper.redaction import without_password
from sweeper.report import open_console
from sweeper.request_verbs import add_jobs
from sweeper.settings import sweep_settings
from sweeper.sweep_folder import UMASKS, Sharing, make_sweep_folder, set_umask, write_sweep
from sweeper.tracking_store import check_store, tracking_settings
from sweeper.train import SweepRun, start_event, train_jobs
from sweeper.weights import fetch_weights

# Where failed checks keep their logs: beside the sweeps and not among them, for they are nothing to report or resume.
CHECKS = "checks"


@dataclass(frozen=True)
class Invocation:
    """What a command line comes to.

    Attributes:
        verb: ``train``, ``check``, ``plan`` or ``add``.
        arguments: all overrides, a recipe's before the command line's.
        config: what Hydra composed without the axes.
        loader: composes the jobs.
        start_executor: starts what runs the jobs.
        sweep: folder of the sweep that jobs are added to, of ``add``.
    """

    verb: str
    arguments: Sequence[str]
    config: DictConfig
    loader: ConfigLoader
    start_executor: StartExecutor
    sweep: str | None = None


def run_verb(told: Invocation) -> int:
    """Carry a verb out and return the exit code.

    Raises:
        UserError: something the user can mend; nothing was trained.
    """
    console = open_console()
    axes = read_axes(OverridesParser.create(config_loader=told.loader).parse_overrides(list(told.arguments)))
    settings = sweep_settings(told.config)
    output_dir = Path(settings["output_dir"]).absolute()
    composer = Composer(told.loader, told.config)
    if told.verb == "plan":
        _print_plan(console, make_plan(composer, axes, settings, output_dir))
        return 0
    set_umask(UMASKS[settings["share"]])
    if told.sweep is not None:
        return add_jobs(SweepFolder(Path(told.sweep)), make_plan(composer, axes, settings, output_dir))
    is_check = told.verb == "check"
    name = "check" if is_check else settings["name"] or _name(axes, told.config)
    parent = output_dir / CHECKS if is_check else output_dir
    with (
        _new_folder(parent, name, settings["share"]) as folder,
        hold_machine(settings, folder.path / "server.log", told.start_executor, is_check=is_check) as machine,
    ):
        plan = make_plan(composer, axes, settings, output_dir)
        _print_notices(console, plan)
        if not is_check:
            check_store(tracking_settings(settings["tracking"], output_dir))
            fetch_weights([job.config for job in plan.jobs])
        command = _command(told.verb)
        write_sweep(folder, plan, name, command)
        with Journal(folder.journal) as journal:
            prove_lock(folder.journal)
            journal.append("sweep_started", **start_event(command, "check" if is_check else "train"))
            notify_started(folder)
            if not is_check:
                return train_jobs(SweepRun(plan, folder, journal, machine, command), console)
            exit_code = check_models(plan, folder, journal, machine, console)
        if exit_code == 0:
            # Found good: the next command will be another one, and nobody will look for this folder.
            folder.sweep.unlink()
        return exit_code


@contextmanager
def _new_folder(output_dir: Path, name: str, share: Sharing) -> Iterator[SweepFolder]:
    """Make a sweep's folder, and remove it again unless a sweep was written into it."""
    folder = make_sweep_folder(output_dir, name, datetime.now(timezone.utc), share)
    try:
        yield folder
    finally:
        if not folder.sweep.exists():
            shutil.rmtree(folder.path)
            # The folder of the checks goes with the last of them.
            if folder.path.parent.name == CHECKS and not any(folder.path.parent.iterdir()):
                folder.path.parent.rmdir()


def _name(axes: Axes, config: DictConfig) -> str:
    recipe = OmegaConf.select(config, "hydra.runtime.choices.recipe")
    return recipe or "-".join(key.rpartition(".")[2].rpartition("/")[2] for key in axes.values)[:60] or "train"


def _command(verb: str) -> list[str]:
    """Return the command line as it may be written down."""
    typed = [word for word in sys.argv[1:] if word != "--multirun" and not word.startswith("hydra.sweeper.verb=")]
    return ["detsweep", verb, *map(without_password, typed)]


def _print_notices(console: Console, plan: Plan) -> None:
    for notice in plan.notices:
        console.print(Text(f"note: {notice}"), soft_wrap=True)


def _print_plan(console: Console, plan: Plan) -> None:
    _print_notices(console, plan)
    table = Table(title=plan.count, title_justify="left")
    table.add_column("job")
    table.add_column("title", overflow="fold")
    for key in plan.axes.values:
        table.add_column(Text(key))
    for job in plan.jobs:
        table.add_row(job.job_id, Text(job.title), *(Text(job.values[key]) for key in plan.axes.values))
    console.print(table)
