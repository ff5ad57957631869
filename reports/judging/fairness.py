"""What else differs between two arms beside the axis: a difference of their numbers may come from that instead."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reports.judging.arms import CellRuns, seed_of
from reports.records import RunRecord
from runners.contract.hypothesis import Hypothesis
from runners.contract.naming import GROUPS
from runners.contract.remarks import RemarkKind
from runners.contract.states import JobState

# What a run's columns say of it that may decide its numbers, beside the chosen options.
_FACTS = ("lr", "batch_size", "n_epochs", "precision", "pretraining")
# The name under which a hypothesis accepts a difference, where it is not the column's own.
_KEYS: Mapping[str, str] = {"lr": "optimizer.lr", "pretraining": "weights"}
# Columns that follow from an axis, and are no difference of their own.
_FOLLOWS: Mapping[str, tuple[str, ...]] = {
    "batch_size": ("lr_effective",),
    "optimizer.lr": ("lr", "lr_effective"),
    "schedule": ("n_epochs",),
    "weights": ("pretraining",),
}
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
    hypothesis: Hypothesis, treatment: CellRuns, baseline: CellRuns, versions: Mapping[str, Mapping[str, str]]
) -> list[Difference]:
    """Return everything besides the axis that differs between two arms of one block.

    Args:
        hypothesis: the claim; says what is accepted.
        treatment: the runs of one arm.
        baseline: those of the other.
        versions: of the programs, by sweep.
    """
    exempt = {hypothesis.axis or "", *hypothesis.blocks, *_FOLLOWS.get(hypothesis.axis or "", ())}
    found = []
    for column in (*GROUPS, *_FACTS):
        if column not in exempt:
            found += _compared(column, treatment, baseline, _column(column))
    found += _compared("data", treatment, baseline, lambda run: run.fingerprint[:12])
    found += _compared("versions", treatment, baseline, lambda run: _versions(versions.get(run.sweep_id, {})))
    found += _compared("batch split", treatment, baseline, _split)
    found += _lost_seeds(treatment, baseline)
    return [Difference(one.key, one.found, hypothesis.accepts.get(one.key, "")) for one in found]


def _compared(column: str, treatment: CellRuns, baseline: CellRuns, of: Callable[[RunRecord], str]) -> list[Difference]:
    first, second = ({of(run) for run in cell.runs} for cell in (treatment, baseline))
    if first == second or not first or not second:
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


def _lost_seeds(treatment: CellRuns, baseline: CellRuns) -> list[Difference]:
    """Return a line if seeds of an arm ended without a result: those that are left may be the lucky ones."""
    ended = (JobState.FAILED, JobState.PRUNED)
    lost = {cell.key.arm: [run for run in cell.open if run.state in ended] for cell in (treatment, baseline)}
    told = [
        f"{arm} lost seed {seed_of(run)} ({run.failure or run.state.value.lower()})"
        for arm, runs in lost.items()
        for run in runs[:_N_SHOWN]
    ]
    return [Difference("lost seeds", "; ".join(told))] if told else []


def is_pruned(cells: Sequence[CellRuns]) -> bool:
    """Whether an arm holds pruned runs: pruning removes low values, so that what is left cannot be judged."""
    return any(run.state is JobState.PRUNED for cell in cells for run in cell.open)
