"""``detsweep report hypothesis=NAME``: composed as ``train`` would, judged by runs of any sweeps; trains nothing."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from sweeper.planning.axes import read_axes
from sweeper.planning.compose import COMPOSITION_ERRORS, Composer, explain
from sweeper.planning.hypothesis_axes import (
    asked_hypotheses,
    composed_hypothesis,
    cross_arms,
    hypothesis_arguments,
)
from sweeper.planning.own_paths import anchor_paths
from sweeper.planning.plan import Plan, make_plan
from sweeper.planning.settings import sweep_settings
from sweeper.project.project import SHIPPED_CONF
from sweeper.stored.redaction import without_password
from sweeper.tracking.tracking_store import readable_store, tracking_settings

EXPERIMENT = "tracking.experiment"


def report_hypotheses(
    loader: ConfigLoader, master: DictConfig, arguments: Sequence[str], family: Sequence[str], console: Console
) -> int:
    """Judge the hypotheses that a command line names, as one family, and write their report.

    Args:
        loader: Hydra's loader, which knows the search path.
        master: what Hydra composed of the command line.
        arguments: overrides as they were typed; one names a hypothesis.
        family: hypotheses that are judged beside it.
        console: where to print.

    Returns:
        0: a report was written, whatever it says.

    Raises:
        UserError: a hypothesis or an override is not sound, or the store cannot be read.
    """
    from reports import asked_hypotheses as judging
    from reports.gathering import Sources
    from reports.terminal_report import terminal_report

    (first, *_), words = asked_hypotheses(arguments)
    names = [first, *family]
    asked: list[judging.AskedHypothesis] = []
    for name in names:
        typed = [f"hypothesis={name}", *words]
        config = _compose(loader, master, typed)
        hypothesis = composed_hypothesis(config)
        anchor_paths(config, {word.partition("=")[0].lstrip("+") for word in words})
        overrides = hypothesis_arguments(hypothesis, typed)
        axes = read_axes(OverridesParser.create(config_loader=loader).parse_overrides(overrides))
        cross_arms(config, hypothesis, axes)
        hypothesis = composed_hypothesis(config)
        settings = sweep_settings(config)
        output_dir = Path(settings["output_dir"]).absolute()
        plan = make_plan(Composer(loader, config), axes, settings, output_dir)
        asked.append(
            judging.AskedHypothesis(
                hypothesis,
                {job.recipe: judging.place_of(hypothesis, job.values) for job in plan.jobs},
                _seeds(plan),
                ("detsweep", "train", *map(without_password, typed)),
                frozenset(job.dataset.fingerprint for job in plan.jobs),
            )
        )
    tracking = tracking_settings(settings["tracking"], output_dir)
    is_said = any(word.startswith(f"{EXPERIMENT}=") for word in words)
    sources = Sources(output_dir, readable_store(tracking), tracking.experiment if is_said else None)
    report = judging.report_hypotheses(asked, sources, output_dir / "reports" / f"hypothesis-{'-'.join(names)}")
    for part in terminal_report(report):
        console.print(part, soft_wrap=isinstance(part, Text))
    return 0


def _compose(loader: ConfigLoader, master: DictConfig, words: Sequence[str]) -> DictConfig:
    """Return the config of a command line with one hypothesis, its axes left out."""
    lines = [*master.hydra.overrides.hydra, *words]
    try:
        return loader.load_configuration(master.hydra.job.config_name, lines, RunMode.MULTIRUN)
    except COMPOSITION_ERRORS as error:
        raise explain(error, SHIPPED_CONF, words) from error


def _seeds(plan: Plan) -> tuple[int, ...]:
    """Return the seeds that each arm is to have, the lowest first."""
    return tuple(sorted({int(job.config["seed"]) for job in plan.jobs}))
