"""What else differs between two arms beside the axis: a difference of their numbers may come from that instead."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reports.judging.arms import CellRuns, seed_of
from reports.judging.settings import setting_differences
from reports.records import RunRecord
from runners.contract.hypothesis import Hypothesis
from runners.contract.metrics import TRAIN_LOSS
from runners.contract.naming import GROUPS
from runners.contract.remarks import RemarkKind
from runners.contract.states import JobState

# What a run's columns say of it that may decide its numbers, beside the chosen options.
_FACTS = ("lr", "batch_size", "n_epochs", "precision", "pretraining", "fold")
_VERSIONS = "versions"
# Of a run that is older than such a column nothing is known, which is no difference.
_NEWER_FACTS = ("pretraining", _VERSIONS)
# The name under which a hypothesis accepts a difference, where it is not the column's own.
_KEYS: Mapping[str, str] = {"lr": "optimizer.lr", "pretraining": "weights"}
# Columns that follow from an axis, and are no difference of their own.
_FOLLOWS: Mapping[str, tuple[str, ...]] = {
    "batch_size": ("lr_effective",),
    "optimizer.lr": ("lr", "lr_effective"),
    "schedule": ("n_epochs",),
    "weights": ("pretraining",),
}
# Columns in which the recipes of one search for a rate agree.
_OF_ONE_SEARCH = (*GROUPS, "batch_size", "n_epochs", "precision", "fold")
_EQUAL_LOSSES = "as many in both arms"
_N_SHOWN = 3


@dataclass(frozen=True)
class Difference:
    """Something besides the axis that differs between the arms.

    Attributes:
        key: what, as a hypothesis accepts it.
        found: what it is in either arm, in words.
        accepted: the reason for which it is meant; empty where it was not foreseen.
    """

    key: str
    found: str
    accepted: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.found}" + (f" (accepted: {self.accepted})" if self.accepted else "")


def differences(
    hypothesis: Hypothesis,
    treatment: CellRuns,
    baseline: CellRuns,
    versions: Mapping[str, Mapping[str, str]],
    others: Sequence[RunRecord] = (),
) -> list[Difference]:
    """Return everything besides the axis that differs between two arms of one block.

    The number of optimizer steps follows from data, batch and epochs, so it differs only where one of these does.

    Args:
        hypothesis: the claim; says what is accepted.
        treatment: the runs of one arm.
        baseline: those of the other.
        versions: of the programs, by sweep.
        others: all runs that are known; they tell whether a rate was searched for in one arm only.
    """
    axis = hypothesis.axis or ""
    exempt = {axis, *hypothesis.blocks, *_FOLLOWS.get(axis, ())}
    found = []
    for column in (*GROUPS, *_FACTS):
        if column not in exempt:
            found += _compared(column, treatment, baseline, _column(column))
    found += _compared("data", treatment, baseline, lambda run: run.fingerprint[:12])
    found += _compared(_VERSIONS, treatment, baseline, lambda run: _versions(versions.get(run.sweep_id, {})))
    found += _compared("batch split", treatment, baseline, _split)
    found += _compared("trained by", treatment, baseline, _origin)
    found += _compared("last epoch", treatment, baseline, _end)
    found += [Difference(key, told) for key, told in setting_differences(axis, treatment, baseline)]
    found += _searched_rates(axis, treatment, baseline, others)
    found += _lost_seeds(treatment, baseline)
    return [Difference(one.key, one.found, one.accepted or _reason(hypothesis, one.key)) for one in found]


def _reason(hypothesis: Hypothesis, key: str) -> str:
    """Return why a difference is meant, by its own name or by that of a part which it belongs to."""
    parts = key.split(".")
    names = [".".join(parts[:number]) for number in range(len(parts), 0, -1)]
    return next((hypothesis.accepts[name] for name in names if name in hypothesis.accepts), "")


def _compared(column: str, treatment: CellRuns, baseline: CellRuns, of: Callable[[RunRecord], str]) -> list[Difference]:
    first, second = ({of(run) for run in cell.runs} for cell in (treatment, baseline))
    if first == second or not first or not second:
        return []
    if column in _NEWER_FACTS and "" in first | second:
        return []
    shown = (", ".join(sorted(value or "none" for value in values)[:_N_SHOWN]) for values in (first, second))
    return [Difference(_KEYS.get(column, column), " against ".join(shown))]


def _column(name: str) -> Callable[[RunRecord], str]:
    return lambda run: run.params.get(name, "")


def _versions(found: Mapping[str, str]) -> str:
    return " ".join(f"{name} {found[name]}" for name in ("detsweep", "torch", "mmdet") if name in found)


def _split(run: RunRecord) -> str:
    told = [str(remark) for remark in run.remarks if remark.kind in (RemarkKind.OUT_OF_MEMORY, RemarkKind.OTHER_SPLIT)]
    return told[0] if told else "as planned"


def _origin(run: RunRecord) -> str:
    is_imported = any(remark.kind is RemarkKind.IMPORTED for remark in run.remarks)
    return "other programs" if is_imported else "detsweep"


def _end(run: RunRecord) -> str:
    """Return where a run ended, which is not where its config says if a hook of the project stopped it."""
    curve, planned = run.curves.get(TRAIN_LOSS, ()), run.params.get("n_epochs", "")
    return f"epoch {curve[-1].epoch}" if curve and str(curve[-1].epoch) != planned else "as planned"


def _searched_rates(
    axis: str, treatment: CellRuns, baseline: CellRuns, others: Sequence[RunRecord]
) -> list[Difference]:
    """Return a line if one arm was trained at several learning rates and the other at one: it had more attempts."""
    if axis == "optimizer.lr":
        return []
    n_tried = [_rates_tried(cell, others) for cell in (treatment, baseline)]
    if min(n_tried) > 1 or max(n_tried) <= 1:
        return []
    told = " against ".join(
        f"{number} for {cell.key.arm}" for number, cell in zip(n_tried, (treatment, baseline), strict=True)
    )
    return [Difference("optimizer.lr", f"learning rates tried: {told}")]


def _rates_tried(cell: CellRuns, others: Sequence[RunRecord]) -> int:
    first = cell.runs[0]
    place = [first.params.get(column, "") for column in _OF_ONE_SEARCH]
    alike = [
        run
        for run in others
        if run.fingerprint == first.fingerprint and [run.params.get(column, "") for column in _OF_ONE_SEARCH] == place
    ]
    return len({run.params.get("lr", "") for run in (*cell.runs, *alike)})


def _lost_seeds(treatment: CellRuns, baseline: CellRuns) -> list[Difference]:
    """Return a line if seeds of an arm ended without a result: those that are left may be the lucky ones."""
    ended = (JobState.FAILED, JobState.PRUNED)
    lost = [[run for run in cell.open if run.state in ended] for cell in (treatment, baseline)]
    told = [
        f"{cell.key.arm} lost seed {seed_of(run)} ({run.failure or run.state.value.lower()})"
        for cell, runs in zip((treatment, baseline), lost, strict=True)
        for run in runs[:_N_SHOWN]
    ]
    is_equal = len(lost[0]) == len(lost[1])
    return [Difference("lost seeds", "; ".join(told), _EQUAL_LOSSES if is_equal else "")] if told else []


def is_pruned(cells: Sequence[CellRuns]) -> bool:
    """Whether an arm holds pruned runs: pruning removes low values, so that what is left cannot be judged."""
    return any(run.state is JobState.PRUNED for cell in cells for run in cell.open)
