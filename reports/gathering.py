"""Runs on the same data from wherever they are: the sweeps of an output folder, and a tracking store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.folders import read_sweep
from reports.read import read_runs_on
from reports.records import RunRecord
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder


@dataclass(frozen=True)
class Sources:
    """Where runs are looked for.

    Attributes:
        output_dir: the folder of the sweeps.
        store: address of a tracking store; None: folders alone.
        experiment: of the store; None: all of them.
    """

    output_dir: Path
    store: str | None = None
    experiment: str | None = None


@dataclass(frozen=True)
class Gathered:
    """All runs on some data sets.

    Attributes:
        runs: finished or not, by sweep and job; each stands there once, as its folder tells it where that is here.
        versions: of the programs, by sweep.
    """

    runs: tuple[RunRecord, ...]
    versions: Mapping[str, Mapping[str, str]]


def gather(sources: Sources, fingerprints: Collection[str]) -> Gathered:
    """Read all runs on some data sets; a damaged sweep has none to give.

    Raises:
        UserError: the store cannot be reached, or lacks the experiment.
    """
    found: dict[tuple[str, str], RunRecord] = {}
    versions: dict[str, Mapping[str, str]] = {}
    for path in sorted(sources.output_dir.glob("*/sweep.yaml")):
        # A sweep's file names its data sets: one that names none of these need not be read to its end.
        if not any(name in path.read_text("utf-8") for name in fingerprints):
            continue
        try:
            read = read_sweep(SweepFolder(path.parent))
        except UserError:
            continue
        found |= {(run.sweep_id, run.job_id): run for run in read.runs if run.fingerprint in fingerprints}
        versions |= {sweep.sweep_id: sweep.versions for sweep in read.sweeps}
    if sources.store is not None:
        stored = read_runs_on(sources.store, sources.experiment, fingerprints)
        found = {(run.sweep_id, run.job_id): run for run in stored.runs} | found
        versions = {sweep.sweep_id: sweep.versions for sweep in stored.sweeps} | versions
    return Gathered(tuple(found[key] for key in sorted(found)), versions)
