"""Parts a report by data set: numbers measured on different data are never put into one table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.diagnosed_runs import DiagnosedArm, DiagnosedRuns, diagnosed_arms
from reports.diagnosis.costs import CostPoint
from reports.diagnosis.next_steps import NextStep
from reports.difference_tables import ComparedArms, compared_arms, confusion_difference_table, error_difference_table
from reports.error_tables import confusion_table, error_table, own_size_tables
from reports.next_step_table import next_step_table, steps_from
from reports.noise import mute_noise
from reports.noted import noted_table
from reports.price_table import cost_points, price_table
from reports.ranking import row_key
from reports.records import RunRecord, RunSet, SweepRecord
from reports.same_recipe import find_arms
from reports.side_tables import cost_table, fit_table, notes_table, open_table
from reports.table import Table
from reports.tables import size_table, study_table
from reports.verdicts import SweepVerdicts
from reports.zoo_table import zoo_table

N_FINGERPRINT_DIGITS = 12


@dataclass(frozen=True)
class Section:
    """The jobs of one data set and their tables.

    Attributes:
        dataset: its name.
        fingerprint: of the whole data set; empty where it is not known.
        runs: its jobs, by sweep and number.
        arms: its recipes that have a result and what is wrong with them, the one with the best run first.
        compared: the arms of its hypotheses, two by two.
        points: its arms as points of val mAP50 against costs.
        steps: what is worth trying on top of the best arm.
        tables: those that have rows, the study's comparison first.
    """

    dataset: str
    fingerprint: str
    runs: tuple[RunRecord, ...]
    arms: tuple[DiagnosedArm, ...]
    compared: tuple[ComparedArms, ...]
    points: tuple[CostPoint, ...]
    steps: tuple[NextStep, ...]
    tables: tuple[Table, ...]

    @property
    def title(self) -> str:
        """One line that names the data set."""
        shown = f" (fingerprint {self.fingerprint[:N_FINGERPRINT_DIGITS]})" if self.fingerprint else ""
        return f"Data set {self.dataset or 'not named'}{shown}"


def split_sections(
    runs: RunSet, diagnosed: DiagnosedRuns | None = None, verdicts: Sequence[SweepVerdicts] = ()
) -> tuple[Section, ...]:
    """Return one section per data set, in the order of their first job.

    Args:
        runs: all jobs.
        diagnosed: what is wrong with them, as far as that is known.
        verdicts: what the sweeps' hypotheses came to.
    """
    by_data: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs.runs:
        by_data.setdefault((run.dataset, run.fingerprint), []).append(run)
    known = diagnosed or DiagnosedRuns()
    compared = compared_arms(verdicts, known)
    return tuple(
        _section(dataset, fingerprint, members, runs.sweeps, known, compared)
        for (dataset, fingerprint), members in by_data.items()
    )


def _section(
    dataset: str,
    fingerprint: str,
    runs: list[RunRecord],
    sweeps: Sequence[SweepRecord],
    diagnosed: DiagnosedRuns,
    comparisons: Sequence[ComparedArms],
) -> Section:
    arms = diagnosed_arms(find_arms(runs), diagnosed)
    keys = {row_key(run) for run in runs}
    compared = [one for one in comparisons if keys & set(one.treatment.arm.keys)]
    points = cost_points([arm.arm for arm in arms])
    leading = leading_arm(arms)
    steps = steps_from(leading, runs, sweeps) if leading else []
    tables = [
        mute_noise(study_table(runs), runs),
        open_table(runs),
        noted_table(runs),
        *_why(arms, compared),
        mute_noise(size_table(runs), runs),
        *own_size_tables(arms),
        fit_table(runs),
        price_table(points, runs),
        zoo_table(runs),
        cost_table(runs),
        next_step_table(steps, leading.arm.name if leading and len(arms) > 1 else "", runs),
        notes_table(runs),
    ]
    return Section(
        dataset=dataset,
        fingerprint=fingerprint,
        runs=tuple(runs),
        arms=tuple(arms),
        compared=tuple(compared),
        points=tuple(points),
        steps=tuple(steps),
        tables=tuple(table for table in tables if table.rows),
    )


def leading_arm(arms: Sequence[DiagnosedArm]) -> DiagnosedArm | None:
    """Return the best arm; where the best of a search were trained again, no trial that was not."""
    origins = [{run.trial.origin if run.trial else "" for run in arm.arm.runs} for arm in arms]
    is_confirmed = any("confirm" in found for found in origins)
    kept = (arm for arm, found in zip(arms, origins, strict=True) if not is_confirmed or found != {"sampled"})
    return next(kept, None)


def _why(arms: Sequence[DiagnosedArm], compared: Sequence[ComparedArms]) -> Iterator[Table]:
    yield error_table(arms)
    yield error_difference_table(compared)
    yield confusion_table(arms)
    yield confusion_difference_table(compared)
