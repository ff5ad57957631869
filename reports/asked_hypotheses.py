"""Hypotheses that are judged by runs of any sweeps, and by what is missing of them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.gathering import Sources, gather
from reports.judging.arms import CellKey, CellRuns, cells_of, lenders_of
from reports.judging.judge import JudgedHypothesis, judge_family
from reports.judging.looks import judge_in_looks, replay_looks
from reports.judging.noise_floor import noise_floor
from reports.judging.preparing import Prepared, prepare
from reports.judging.wording import more_seeds
from reports.records import RunRecord, RunSet
from reports.sweep_report import Report, write_runs
from reports.verdicts import SweepVerdicts
from runners.contract.errors import UserError
from runners.contract.hypothesis import LOOKS, Hypothesis


@dataclass(frozen=True)
class AskedHypothesis:
    """A hypothesis that is judged by runs of any sweeps.

    Attributes:
        hypothesis: the claim.
        recipes: the recipe (`runners.contract.identity`) of each arm and block.
        seeds: that are to be there.
        command: the command line that trains what is missing.
        fingerprints: of the data sets that they are trained on.
    """

    hypothesis: Hypothesis
    recipes: Mapping[str, CellKey]
    seeds: tuple[int, ...]
    command: tuple[str, ...]
    fingerprints: frozenset[str]


def place_of(hypothesis: Hypothesis, values: Mapping[str, str]) -> CellKey:
    """Return where a job of a hypothesis stands, by what the axes are for it."""
    arm = "" if hypothesis.axis is None else values[hypothesis.axis]
    return CellKey(arm, tuple(values[key] for key in hypothesis.blocks))


def judge_asked(
    asked: Sequence[AskedHypothesis], runs: Sequence[RunRecord], versions: Mapping[str, Mapping[str, str]]
) -> list[SweepVerdicts]:
    """Judge hypotheses as one family, which they are if they are asked about together.

    Args:
        asked: the hypotheses.
        runs: all runs that are known on their data.
        versions: of the programs, by sweep.
    """
    cells = [cells_of(one.hypothesis, one.recipes, runs) for one in asked]
    prepared: list[Prepared | UserError] = []
    for one, found in zip(asked, cells, strict=True):
        try:
            prepared.append(prepare(one.hypothesis, found, lenders_of(found, runs), versions, runs))
        except UserError as error:
            prepared.append(error)
    judged = iter(judge_family([one for one in prepared if isinstance(one, Prepared)]))
    verdicts = []
    for one, found, ready in zip(asked, cells, prepared, strict=True):
        name, missing = one.hypothesis.name, _missing(one, found)
        if isinstance(ready, UserError):
            verdicts.append(SweepVerdicts(name, None, ready.problems[0], missing=missing))
        elif one.hypothesis.is_floor:
            next(judged)
            floor = tuple(noise_floor(one.hypothesis, found))
            verdicts.append(SweepVerdicts(name, None, "", _train(one, missing), floor, missing))
        else:
            told = next(judged)
            if one.hypothesis.until_decided and len(asked) == 1:
                # Alone, its looks are what was planned; in a family every report is one look at all of it.
                told = judge_in_looks(one.hypothesis, found, versions, replay_looks(one.hypothesis, found, versions))
            command = _train(one, missing) or _go_on(one, told)
            verdicts.append(SweepVerdicts(name, told, "", command, missing=missing))
    return verdicts


def _missing(asked: AskedHypothesis, cells: Sequence[CellRuns]) -> tuple[str, ...]:
    """Return the runs that are to be there and are not finished, in words."""
    told = []
    for cell in cells:
        place = " ".join(part for part in (cell.key.arm, *cell.key.block) if part) or "the runs"
        lacking = [str(seed) for seed in asked.seeds if seed not in cell.seeds]
        if lacking:
            told.append(f"{place}: seed{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}")
    return tuple(told)


def _go_on(asked: AskedHypothesis, judged: JudgedHypothesis) -> str:
    """Return the command that would decide what is undecided; nothing if none would, or nothing is."""
    if not asked.hypothesis.until_decided:
        return more_seeds(judged, asked.command)
    is_open = any(claim.look is None and claim.looked_at != LOOKS[-1] for claim in judged.claims)
    return shlex.join(asked.command) if is_open else ""


def _train(asked: AskedHypothesis, missing: Sequence[str]) -> str:
    """Return the command that trains what is missing; what is there is not trained again (reuse=true)."""
    return shlex.join(asked.command) if missing else ""


def report_hypotheses(asked: Sequence[AskedHypothesis], sources: Sources, out: Path) -> Report:
    """Gather the runs of hypotheses, judge them, and write a report.

    Args:
        asked: the hypotheses; together they are one family.
        sources: where runs are looked for.
        out: the report's folder; made if missing.

    Raises:
        UserError: the store cannot be reached, or lacks the experiment.
    """
    fingerprints = {fingerprint for one in asked for fingerprint in one.fingerprints}
    found = gather(sources, fingerprints)
    verdicts = judge_asked(asked, found.runs, found.versions)
    recipes = {recipe for one in asked for recipe in one.recipes}
    own = tuple(run for run in found.runs if run.recipe in recipes)
    title = ", ".join(one.hypothesis.name for one in asked)
    return write_runs(RunSet(f"Hypothesis {title}", (), own), verdicts, out)
