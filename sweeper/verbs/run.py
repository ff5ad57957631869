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
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.hardware.machine import StartExecutor, find_capacity, hold_machine
from sweeper.planning.axes import Axes, read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.held_words import held_words
from sweeper.planning.hypothesis_axes import cross_arms, find_hypothesis, hypothesis_arguments
from sweeper.planning.own_paths import anchor_paths
from sweeper.planning.plan import Plan, make_plan
from sweeper.planning.search_space import has_search, search_of
from sweeper.planning.settings import sweep_settings
from sweeper.stored.journal import Journal
from sweeper.stored.plugin_copies import write_plugins
from sweeper.stored.redaction import without_password
from sweeper.stored.sweep_folder import UMASKS, Sharing, make_sweep_folder, set_umask, write_sweep
from sweeper.verbs.check import check_models
from sweeper.verbs.check_data import check_data
from sweeper.verbs.hypothesis_report import report_hypotheses
from sweeper.verbs.new_sweep import NewSweep, train_new
from sweeper.verbs.plan_verb import show_plan
from sweeper.verbs.report import open_console
from sweeper.verbs.request_verbs import add_jobs
from sweeper.verbs.train import start_event

# Where failed checks keep their logs: beside the sweeps and not among them, for they are nothing to report or resume.
CHECKS = "checks"


@dataclass(frozen=True)
class Invocation:
    """What a command line comes to.

    Attributes:
        verb: ``train``, ``check``, ``check_data``, ``check_models``, ``plan``, ``plan_json`` (for programs), ``add`` or
            ``report`` (of hypotheses).
        arguments: all overrides, a recipe's before the command line's.
        config: what Hydra composed without the axes.
        loader: composes the jobs.
        start_executor: starts what runs the jobs.
        sweep: folder of the sweep that jobs are added to, of ``add``.
        family: hypotheses that are judged beside the composed one, of ``report``.
    """

    verb: str
    arguments: Sequence[str]
    config: DictConfig
    loader: ConfigLoader
    start_executor: StartExecutor
    sweep: str | None = None
    family: Sequence[str] = ()


def run_verb(told: Invocation) -> int:
    """Carry a verb out and return the exit code.

    Raises:
        UserError: something the user can mend; nothing was trained.
    """
    console = open_console()
    if told.verb == "report":
        return report_hypotheses(told.loader, told.config, told.arguments, told.family, console)
    hypothesis = find_hypothesis(told.config)
    arguments = hypothesis_arguments(hypothesis, told.arguments) if hypothesis else list(told.arguments)
    overrides = OverridesParser.create(config_loader=told.loader).parse_overrides(arguments)
    search = None
    if has_search(told.config):
        search, overrides = search_of(told.config, overrides)
    axes = read_axes(overrides)
    if hypothesis is not None:
        cross_arms(told.config, hypothesis, axes)
    anchor_paths(told.config, {word.partition("=")[0].lstrip("+") for word in told.arguments})
    settings = sweep_settings(told.config)
    output_dir = Path(settings["output_dir"]).absolute()
    composer = Composer(told.loader, told.config)

    def plan_jobs() -> Plan:
        if search is None:
            return make_plan(composer, axes, settings, output_dir)
        from sweeper.study.opening import make_search_plan

        return make_search_plan(composer, search, axes.fixed, settings, output_dir)

    if told.verb in ("plan", "plan_json"):
        return show_plan(console, plan_jobs(), output_dir, told.verb == "plan_json")
    set_umask(UMASKS[settings["share"]])
    if told.verb == "check_data":
        return check_data(console, composer, axes, output_dir)
    if told.sweep is not None:
        if search is not None:
            raise UserError(f"search in detsweep add: {search.name}; a search asks for its jobs itself, leave it out")
        return add_jobs(SweepFolder(Path(told.sweep)), plan_jobs())
    is_check = told.verb in ("check", "check_models")
    name = "check" if is_check else settings["name"] or _name(axes, told.config)
    parent = output_dir / CHECKS if is_check else output_dir
    capacity = find_capacity(settings, is_check=is_check)
    with (
        _new_folder(parent, name, settings["share"]) as folder,
        hold_machine(capacity, settings, folder.path / "server.log", told.start_executor) as machine,
    ):
        plan = plan_jobs()
        of_data = {warning for job in plan.jobs for warning in job.dataset.warnings}
        is_told = told.verb != "check_models"
        notices = [notice for notice in plan.notices if is_told or notice not in of_data]
        _print_notices(console, [*notices, *write_plugins(folder, plan.plugins)])
        if is_check and plan.samples:
            plan = plan.of_samples()
        sweep = NewSweep(plan, folder, name, _command(told.verb), composer)
        if not is_check:
            return train_new(sweep, capacity, machine, console)
        write_sweep(folder, plan, name, sweep.command)
        with Journal(folder.journal) as journal:
            journal.append("sweep_started", **start_event(sweep.command, "check"))
            exit_code = check_models(plan, folder, journal, machine, console)
        if told.verb == "check":
            console.print(Text("detsweep check data shows what the data holds: classes, sizes, suspects, pictures"))
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
    chosen = config.hydra.runtime.choices
    return (
        chosen.get("hypothesis")
        or chosen.get("search")
        or chosen.get("recipe")
        or "-".join(key.rpartition(".")[2].rpartition("/")[2] for key in axes.values)[:60]
        or "train"
    )


def _command(verb: str) -> list[str]:
    """Return the command line as it may be written down."""
    typed = [word for word in sys.argv[1:] if word != "--multirun" and not word.startswith("hydra.sweeper.verb=")]
    return ["detsweep", *verb.split("_"), *map(without_password, [*typed, *held_words()])]


def _print_notices(console: Console, notices: Sequence[str]) -> None:
    for notice in notices:
        console.print(Text(f"note: {notice}"), soft_wrap=True)
