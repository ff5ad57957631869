"""Runs of other sweeps on the same data: replicates of an arm, or arms that may lend what they know of the noise."""

from collections.abc import Mapping, Sequence

from reports.folders import read_sweep
from reports.gathering import Gathered
from reports.records import RunRecord
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder


def read_elsewhere(sweep: SweepFolder, runs: Sequence[RunRecord]) -> Gathered:
    """Return the finished runs of the sweeps beside one, on the same data; a damaged sweep has none to give.

    Args:
        sweep: the sweep that is judged.
        runs: its runs.
    """
    fingerprints = {run.fingerprint for run in runs}
    found: list[RunRecord] = []
    versions: dict[str, Mapping[str, str]] = {}
    for path in sorted(sweep.path.parent.glob("*/sweep.yaml")):
        other = SweepFolder(path.parent)
        # A sweep's file names its data sets: one that names none of these need not be read to its end.
        if other.sweep_id == sweep.sweep_id or not any(name in path.read_text("utf-8") for name in fingerprints):
            continue
        try:
            read = read_sweep(other)
        except UserError:
            continue
        found += [run for run in read.runs if run.has_result and run.fingerprint in fingerprints]
        versions |= {one.sweep_id: one.versions for one in read.sweeps}
    return Gathered(tuple(found), versions)
