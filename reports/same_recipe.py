"""Runs that differ in nothing but their seed, side by side: what a report calls an arm where no hypothesis names it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.ranking import VAL_AP_50, ranked, row_key
from reports.records import RunRecord
from runners.contract.naming import GROUPS
from runners.contract.states import JobState

# Columns that tell arms apart, beside the chosen options; those that follow from others say nothing of their own.
_SETTINGS = ("n_epochs", "batch_size", "precision", "lr", "fold")
_FOLLOWS = {"lr": ("optimizer", "batch_size"), "n_epochs": ("schedule",)}
_COLUMN_OF = {"optimizer.lr": "lr"}  # axes that are columns under another name


@dataclass(frozen=True)
class Arm:
    """The finished runs of one recipe.

    Attributes:
        name: what it differs in from the others, in as few words as tell it.
        runs: at least one, the best on val first.
    """

    name: str
    runs: tuple[RunRecord, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The row keys of its runs."""
        return tuple(row_key(run) for run in self.runs)

    @property
    def mean_ap(self) -> float | None:
        """The mean val mAP50 of its runs, each at its best epoch, 0-1; None where none was scored."""
        known = val_aps(self.runs)
        return sum(known) / len(known) if known else None


def val_aps(runs: Iterable[RunRecord]) -> list[float]:
    """Return the val mAP50 of those runs that were scored, each at its best epoch, 0-1."""
    return [ap for run in runs if (ap := run.at_best(VAL_AP_50)) is not None and math.isfinite(ap)]


def find_arms(runs: Sequence[RunRecord]) -> list[Arm]:
    """Return the recipes of these runs that have a result, the best val mAP50 in the mean of its runs first."""
    members: dict[str, list[RunRecord]] = {}
    for run in distinct(ranked(runs)):
        members.setdefault(run.recipe or row_key(run), []).append(run)
    firsts = [found[0] for found in members.values()]
    names = [_name(run, _telling(firsts)) for run in firsts]
    # Where options do not tell all of them apart, titles do.
    if len(set(names)) < len(names) or not all(names):
        names = [_without_seed(run) for run in firsts]
    if len(set(names)) < len(names):
        names = [f"{name} · {row_key(run)}" for name, run in zip(names, firsts, strict=True)]
    arms = [Arm(name, tuple(found)) for name, found in zip(names, members.values(), strict=True)]
    return sorted(arms, key=lambda arm: -1.0 if arm.mean_ap is None else -arm.mean_ap - 2.0)


def distinct(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the finished runs, each seed of a recipe once: a reused run stands for one that may be there itself."""
    finished = [run for run in runs if run.has_result]
    first: dict[tuple[str, str], RunRecord] = {}
    for run in sorted(finished, key=lambda run: run.state is JobState.REUSED):
        first.setdefault((run.recipe or row_key(run), run.params.get("seed", "")), run)
    kept = {row_key(run) for run in first.values()}
    return [run for run in finished if row_key(run) in kept]


def _telling(runs: Sequence[RunRecord]) -> list[str]:
    """Return the columns in which runs differ."""
    axes = [key for run in runs for key in run.params if "." in key]
    # What is a column of its own is told once, as that; where a sweep has chosen it, whatever else differs.
    chosen = {column for axis, column in _COLUMN_OF.items() if axis in axes}
    columns = dict.fromkeys((*GROUPS, *_SETTINGS, *(key for key in axes if key not in _COLUMN_OF)))
    differing = [key for key in columns if len({run.params.get(key) for run in runs}) > 1]
    return [key for key in differing if key in chosen or not any(other in differing for other in _FOLLOWS.get(key, ()))]


def _name(run: RunRecord, columns: Sequence[str]) -> str:
    return " ".join(
        run.params.get(key, "none") if key in GROUPS else f"{key.rpartition('.')[2]}={run.params.get(key, 'none')}"
        for key in columns
    )


def _without_seed(run: RunRecord) -> str:
    return run.title.removesuffix(f"_seed{run.params.get('seed', '')}")
