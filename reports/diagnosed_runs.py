"""What is wrong with the runs of a report, as far as their predictions and images are on this machine."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from reports.diagnosis.fit import TRAIN_AP_50, VAL_AP_50, ArmFit, FitReport, judge_arm, judge_fit
from reports.diagnosis.run_diagnosis import RunDiagnosis, diagnose_run
from reports.diagnosis.sizes import SizeRow
from reports.diagnosis.tide import Diagnosis, mean_diagnosis
from reports.judging.cell_values import evaluation_set_of
from reports.ranking import row_key
from reports.records import RunRecord
from reports.same_recipe import Arm
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.metrics import Split

SPLIT: Split = "val"
_N_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class DiagnosedRuns:
    """All runs that could be looked at, and why others could not.

    Attributes:
        found: by row key.
        problems: by row key of a finished run, in one line.
    """

    found: Mapping[str, RunDiagnosis] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def diagnose_runs(runs: Iterable[RunRecord], compared: Collection[str] = ()) -> DiagnosedRuns:
    """Look at every finished run; a report does not fail because of one.

    Args:
        runs: of any data sets.
        compared: row keys of the runs whose errors are wanted with intervals.
    """
    finished = {row_key(run): run for run in runs if run.has_result}

    def looked_at(key: str) -> RunDiagnosis | str:
        try:
            return _diagnosed(finished[key], key in compared)
        except UserError as error:
            return error.problems[0]

    # Most of the work is numpy's, which lets other threads run.
    with ThreadPoolExecutor(_N_THREADS) as pool:
        done = dict(zip(finished, pool.map(looked_at, finished), strict=True))
    return DiagnosedRuns(
        found={key: one for key, one in done.items() if isinstance(one, RunDiagnosis)},
        problems={key: one for key, one in done.items() if isinstance(one, str)},
    )


def _diagnosed(run: RunRecord, with_replicates: bool) -> RunDiagnosis:
    if run.labelled is not None and not run.labelled.get(SPLIT):
        raise UserError(f"split {SPLIT}: not there, or not labelled")
    if run.folder is None or not run.folder.is_dir():
        raise UserError("its folder is not on this machine")
    job = JobFolder(run.folder)
    if not any(job.predictions.glob(f"a*_{SPLIT}_*.json")):
        raise UserError("its predictions are not on this machine")
    return diagnose_run(job, SPLIT, evaluation_set_of(job, SPLIT), with_replicates)


@dataclass(frozen=True)
class DiagnosedArm:
    """What is wrong with the runs of one recipe.

    Attributes:
        arm: all of its runs.
        runs: those that could be looked at, on the same images.
        found: of each.
        fit: how they learned; of all runs.
    """

    arm: Arm
    runs: tuple[RunRecord, ...]
    found: tuple[RunDiagnosis, ...]
    fit: ArmFit

    @property
    def mean(self) -> Diagnosis | None:
        """The means of its errors; None where no run could be looked at."""
        return mean_diagnosis([one.errors.diagnosis for one in self.found]) if self.found else None


def diagnosed_arms(arms: Sequence[Arm], diagnosed: DiagnosedRuns) -> list[DiagnosedArm]:
    """Return what is wrong with each arm."""
    return [diagnosed_arm(arm, diagnosed) for arm in arms]


def diagnosed_arm(arm: Arm, diagnosed: DiagnosedRuns) -> DiagnosedArm:
    """Return what is wrong with an arm: of its runs on the same images as the first."""
    known = [(run, diagnosed.found[row_key(run)]) for run in arm.runs if row_key(run) in diagnosed.found]
    same = [(run, one) for run, one in known if one.on.fingerprint == known[0][1].on.fingerprint]
    fits = {f"seed {run.params.get('seed', '?')}": run_fit(run) for run in arm.runs}
    return DiagnosedArm(arm, tuple(run for run, _ in same), tuple(one for _, one in same), judge_arm(fits))


def mean_sizes(arm: DiagnosedArm) -> list[SizeRow]:
    """Return what an arm reaches by size in the data's own bins, in the mean of its runs."""
    rows = zip(*(one.own_sizes for one in arm.found), strict=True)
    return [
        replace(same[0], ap=_mean([row.ap for row in same]), ap50=_mean([row.ap50 for row in same])) for same in rows
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def run_fit(run: RunRecord) -> FitReport:
    """Return how one run learned."""
    return judge_fit(run.curves, run.metrics.get(TRAIN_AP_50), run.at_best(VAL_AP_50))
