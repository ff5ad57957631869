"""Which runs speak for which arm of a hypothesis: equal in everything but their seed, finished, each seed once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.records import RunRecord
from runners.contract.hypothesis import Hypothesis
from runners.contract.states import JobState

SEED = "seed"


@dataclass(frozen=True)
class CellKey:
    """A place in a hypothesis.

    Attributes:
        arm: value of the axis; empty of a noise floor.
        block: values of the blocks, in the hypothesis' order.
    """

    arm: str
    block: tuple[str, ...]


@dataclass(frozen=True)
class CellRuns:
    """The runs of one arm in one block.

    Attributes:
        key: which.
        runs: finished ones, the lowest seed first.
        open: of its recipe, not finished (yet): waiting, failed, cancelled, pruned.
    """

    key: CellKey
    runs: tuple[RunRecord, ...]
    open: tuple[RunRecord, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds that have finished."""
        return [seed_of(run) for run in self.runs]


def seed_of(run: RunRecord) -> int:
    """Return a run's seed."""
    return int(run.params.get(SEED, "0"))


def key_of(hypothesis: Hypothesis, run: RunRecord) -> CellKey | None:
    """Return where a run of a hypothesis' own sweep stands; None if it is of no arm."""
    arm = "" if hypothesis.axis is None else run.params.get(hypothesis.axis, "")
    block = tuple(run.params.get(key, "") for key in hypothesis.blocks)
    is_arm = hypothesis.is_floor or arm in hypothesis.arms
    in_block = all(value in values for value, values in zip(block, hypothesis.blocks.values(), strict=True))
    return CellKey(arm, block) if is_arm and in_block else None


def find_cells(hypothesis: Hypothesis, own: Iterable[RunRecord], others: Iterable[RunRecord]) -> list[CellRuns]:
    """Return the runs of every arm and block.

    Args:
        hypothesis: the claim.
        own: the runs of the sweep that puts it to the test; they say what an arm's recipe is.
        others: runs of any sweeps; those of an arm's recipe count as its replicates.
    """
    recipes: dict[str, CellKey] = {}
    members: dict[CellKey, list[RunRecord]] = {}
    for run in own:
        key = key_of(hypothesis, run)
        if key is not None:
            members.setdefault(key, []).append(run)
            if run.recipe:
                recipes[run.recipe] = key
    seen = {(run.sweep_id, run.job_id) for runs in members.values() for run in runs}
    for run in others:
        if run.recipe in recipes and (run.sweep_id, run.job_id) not in seen:
            members[recipes[run.recipe]].append(run)
    return [_cell(key, members[key]) for key in sorted(members, key=lambda key: _place(hypothesis, key))]


def cells_of(hypothesis: Hypothesis, recipes: Mapping[str, CellKey], runs: Iterable[RunRecord]) -> list[CellRuns]:
    """Return the runs of every arm and block, of whatever sweeps; a place without a run is there, and empty.

    Args:
        hypothesis: the claim.
        recipes: the recipe of each place.
        runs: of any sweeps.
    """
    members: dict[CellKey, list[RunRecord]] = {key: [] for key in recipes.values()}
    for run in runs:
        if run.recipe in recipes:
            members[recipes[run.recipe]].append(run)
    return [_cell(key, members[key]) for key in sorted(members, key=lambda key: _place(hypothesis, key))]


def other_recipes(cells: Sequence[CellRuns], runs: Iterable[RunRecord]) -> list[CellRuns]:
    """Return the runs that belong to none of the cells, by recipe: arms that may lend their noise."""
    known = {run.recipe for cell in cells for run in (*cell.runs, *cell.open)}
    by_recipe: dict[str, list[RunRecord]] = {}
    for run in runs:
        if run.recipe and run.recipe not in known:
            by_recipe.setdefault(run.recipe, []).append(run)
    return [_cell(CellKey(recipe, ()), members) for recipe, members in by_recipe.items()]


def lenders_of(cells: Sequence[CellRuns], runs: Iterable[RunRecord]) -> list[CellRuns]:
    """Return other recipes on the same data, trained as long: their seeds' noise may be borrowed."""
    alike = {_kind(run) for cell in cells for run in cell.runs}
    return other_recipes(cells, [run for run in runs if run.has_result and _kind(run) in alike])


def _kind(run: RunRecord) -> tuple[str, str, str, str]:
    params = run.params
    return run.fingerprint, params.get("fold", ""), params.get("n_epochs", ""), params.get("schedule", "")


def _cell(key: CellKey, runs: Sequence[RunRecord]) -> CellRuns:
    finished: dict[int, RunRecord] = {}
    # A seed that was trained twice counts once: a run before one that points to it, the older before the newer.
    for run in sorted(runs, key=lambda run: (run.state is JobState.REUSED, run.sweep_id, run.job_id)):
        if run.has_result:
            finished.setdefault(seed_of(run), run)
    still_open = [run for run in runs if not run.has_result and seed_of(run) not in finished]
    return CellRuns(key, tuple(finished[seed] for seed in sorted(finished)), tuple(still_open))


def _place(hypothesis: Hypothesis, key: CellKey) -> tuple[int, ...]:
    arm = hypothesis.arms.index(key.arm) if key.arm in hypothesis.arms else 0
    return (*(_index(values, value) for value, values in zip(key.block, hypothesis.blocks.values(), strict=True)), arm)


def _index(values: Sequence[str], value: str) -> int:
    return values.index(value)


def by_key(cells: Iterable[CellRuns]) -> Mapping[CellKey, CellRuns]:
    """Return the cells by their place."""
    return {cell.key: cell for cell in cells}
