"""``python -m sweeper.verbs.look SWEEP``: one planned look at a sweep's hypothesis, in a process of its own.

Started by the sweep's controller when all of its jobs have ended (`sweeper.control.looks`).
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.hypothesis import LOOKS, read_hypothesis
from runners.contract.looks import LOOK
from sweeper.control.adding import write_added_jobs
from sweeper.control.stored_sweep import read_stored
from sweeper.planning.axes import Axes
from sweeper.planning.plan import Plan
from sweeper.planning.replicates import replicates
from sweeper.stored.requests import ask
from sweeper.stored.sweep_folder import UMASKS, set_umask
from sweeper.view.wording import count

_SEED = "seed"


def look(sweep: SweepFolder) -> str:
    """Judge, and ask the controller for the seeds that the next look needs; return what to tell.

    Raises:
        UserError: the sweep cannot be read.
    """
    from reports.folders import read_sweep
    from reports.judging.arms import CellKey, find_cells
    from reports.judging.looks import Look, take_look

    read = read_sweep(sweep)
    (record,) = read.sweeps
    hypothesis = read_hypothesis(record.hypothesis or {}, f"sweep {record.sweep_id}")
    taken = [Look.read(node) for node in record.looks]
    cells = find_cells(hypothesis, read.runs, ())
    found, wanted = take_look(hypothesis, cells, {record.sweep_id: record.versions}, taken)

    def place(key: CellKey) -> Mapping[str, str]:
        arm = {} if hypothesis.axis is None else {hypothesis.axis: key.arm}
        return {**arm, **dict(zip(hypothesis.blocks, key.block, strict=True))}

    stored = read_stored(sweep, [])
    # What this process writes is the sweep's, and no more open than that.
    set_umask(UMASKS[stored.plan.settings["share"]])
    entry = str(stored.plan.settings["entry"])
    seeds = range(LOOKS[len(taken) + 1]) if wanted else range(0)
    new = replicates(stored.plan.jobs, [place(key) for key in wanted], seeds, entry)
    axes = Axes({_SEED: [str(seed) for seed in seeds]}, [], [])
    added = write_added_jobs(sweep, Plan(new, axes, stored.plan.settings, []))
    ask(sweep, "add", **added, **{LOOK: found.describe()})
    n_decided = sum(word is not None and word.is_decided for word in found.words.values())
    told = f"look at {found.n_seeds} seeds: {n_decided} of {count(len(found.words), 'claim')} decided"
    return f"{told}; {count(len(added['jobs']), 'job')} added" if added["jobs"] else f"{told}, no seeds are added"


def main() -> int:
    """Take one look; return 0, or 2 if the sweep cannot be read."""
    try:
        print(look(SweepFolder(Path(sys.argv[1]))), flush=True)
    except UserError as error:
        print("\n".join(error.lines()), flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
