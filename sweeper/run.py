"""One invocation of ``train``, ``check`` or ``plan``, from Hydra's overrides to the exit code."""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
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
from sweeper.controller import Controller
from sweeper.devices import Lease, choose_devices
from sweeper.executors.base import Executor
from sweeper.journal import Journal
from sweeper.plan import Plan, make_plan
from sweeper.progress import Progress
from sweeper.report import open_console, print_report
from sweeper.settings import sweep_settings
from sweeper.slots import Slot, plan_slots
from sweeper.sweep_folder import make_sweep_folder, write_sweep
from sweeper.tracking import Tracker, TrackingSettings
from sweeper.versions import git_commit, stack_versions
from sweeper.weights import fetch_weights

# How long the end of a sweep waits for a slow store; what has not arrived by then stays in the sweep's folder.
DRAIN_S = 120.0

StartExecutor = Callable[[Path, Sequence[int]], Executor]


def run_verb(
    verb: str, arguments: Sequence[str], config: DictConfig, loader: ConfigLoader, start_executor: StartExecutor
) -> int:
    """Carry a verb out.

    Args:
        verb: ``train``, ``check`` or ``plan``.
        arguments: all overrides, a recipe's before the command line's.
        config: what Hydra composed without the axes.
        loader: composes the jobs.
        start_executor: takes the file for the executor's messages and the leases that its jobs inherit.

    Returns:
        The exit code.

    Raises:
        UserError: something the user can mend; nothing was trained.
    """
    console = open_console()
    axes = read_axes(OverridesParser.create(config_loader=loader).parse_overrides(list(arguments)))
    settings = sweep_settings(config)
    output_dir = Path(settings["output_dir"]).absolute()
    composer = Composer(loader, config)
    if verb == "plan":
        plan = make_plan(composer, axes, settings, output_dir)
        _print_plan(console, plan)
        return 0
    devices = choose_devices(str(settings["gpus"]))
    slots = plan_slots(
        devices, 1 if verb == "check" else settings["jobs_per_gpu"], len(psutil.Process().cpu_affinity())
    )
    lease = Lease(devices)
    folder = make_sweep_folder(
        output_dir, "check" if verb == "check" else settings["name"] or _name(axes, config), datetime.now(timezone.utc)
    )
    executor = start_executor(folder.path / "server.log", lease.descriptors)
    is_kept = False
    try:
        plan = make_plan(composer, axes, settings, output_dir)
        for notice in plan.notices:
            console.print(Text(f"note: {notice}"), soft_wrap=True)
        if verb == "check":
            exit_code = check_models(plan, folder, slots, executor, console)
            is_kept = exit_code != 0
            return exit_code
        fetch_weights([job.config for job in plan.jobs])
        is_kept = True
        write_sweep(folder, plan, folder.sweep_id.split("_", 1)[1].rpartition("_")[0], ["detsweep", *_command()])
        return _train(plan, folder, slots, executor, settings, output_dir, console)
    finally:
        executor.close()
        lease.close()
        if not is_kept:
            # Refused, or checked and found good: nothing that anybody would look for.
            shutil.rmtree(folder.path)


def _train(
    plan: Plan,
    folder: SweepFolder,
    slots: Sequence[Slot],
    executor: Executor,
    settings: Mapping[str, Any],
    output_dir: Path,
    console: Console,
) -> int:
    console.print(Text(f"sweep {folder.path}: {_count(plan)} on {_describe(slots)}"), soft_wrap=True)
    tracking = tracking_settings(settings["tracking"], output_dir)
    with (
        Progress(console, {job.job_id: job.title for job in plan.jobs}) as progress,
        Journal(folder.journal) as journal,
    ):
        tracker = Tracker(tracking, folder, progress.say)
        commit = git_commit()
        tags = {f"detsweep.version.{package}": version for package, version in stack_versions().items()}
        tags |= {"mlflow.source.git.commit": commit} if commit else {}
        axes = {f"axis/{key}": ",".join(values) for key, values in plan.axes.values.items()}
        tracker.open_sweep(folder.sweep_id, axes, {**tags, "detsweep.command": shlex.join(["detsweep", *_command()])})
        controller = Controller(
            {job.job_id: job for job in plan.jobs},
            folder,
            slots,
            executor,
            journal,
            tracker,
            progress,
            n_workers=settings["n_workers"],
            batch_per_step=settings["batch_per_step"],
            tags=tags,
        )
        exit_code = controller.run()
    print_report(folder, console)
    tracker.end_sweep("FINISHED" if exit_code in (0, 1) else "KILLED", folder.report)
    n_waiting = tracker.close(DRAIN_S)
    if n_waiting:
        console.print(
            Text(f"note: {n_waiting} records have not reached the tracking store; they are kept in {folder.path}")
        )
    elif tracking.uri is not None:
        console.print(Text(f"MLflow: {mlflow_command(tracking.uri)}"), soft_wrap=True)
    return exit_code


def tracking_settings(tracking: Mapping[str, Any], output_dir: Path) -> TrackingSettings:
    """Return the store that the setting `tracking` names; a SQLite store stands in the output folder by default."""
    uri = tracking["uri"]
    artifacts = None
    if tracking["name"] == "sqlite":
        uri = uri or f"sqlite:///{output_dir / 'mlflow.db'}"
        artifacts = output_dir / "artifacts"
    return TrackingSettings(uri, tracking["experiment"], artifacts, tracking["log_checkpoints"])


def mlflow_command(uri: str) -> str:
    """Return the command that opens MLflow's UI on a store, with one worker, on this machine only."""
    if uri.startswith("http"):
        return f"open {uri}"
    program = shlex.quote(str(Path(sys.executable).with_name("mlflow")))
    return f"{program} ui --workers 1 --backend-store-uri {shlex.quote(uri)}"


def _name(axes: Axes, config: DictConfig) -> str:
    recipe = OmegaConf.select(config, "hydra.runtime.choices.recipe")
    return recipe or "-".join(key.rpartition(".")[2].rpartition("/")[2] for key in axes.values)[:60] or "train"


def _command() -> list[str]:
    return [word for word in sys.argv[1:] if word != "--multirun" and not word.startswith("hydra.sweeper.verb=")]


def _describe(slots: Sequence[Slot]) -> str:
    devices = {slot.device.name for slot in slots}
    threads = f", {slots[0].n_threads} threads each" if slots[0].device.kind == "cpu" else ""
    return f"{len(slots)} slots ({', '.join(sorted(devices))}{threads})"


def _count(plan: Plan) -> str:
    return "1 job" if len(plan.jobs) == 1 else f"{len(plan.jobs)} jobs"


def _print_plan(console: Console, plan: Plan) -> None:
    for notice in plan.notices:
        console.print(Text(f"note: {notice}"), soft_wrap=True)
    table = Table(title=_count(plan), title_justify="left")
    table.add_column("job")
    table.add_column("title", overflow="fold")
    for key in plan.axes.values:
        table.add_column(Text(key))
    for job in plan.jobs:
        table.add_row(job.job_id, Text(job.title), *(Text(job.values[key]) for key in plan.axes.values))
    console.print(table)
