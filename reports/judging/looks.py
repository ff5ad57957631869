"""Planned looks: claims are judged at 3, 5 and 8 seeds, and each keeps the decision of the first look that decides it.

A look sees the runs of its own seeds and nothing that came later, so that whoever looks again at a sweep's runs, after
a resume or years later, finds the same. What was decided is written down all the same, in the sweep's journal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reports.judging.arms import CellKey, CellRuns, seed_of
from reports.judging.claims import look_alpha
from reports.judging.decision import Word
from reports.judging.judge import JudgedClaim, JudgedHypothesis, judge_claims
from reports.judging.preparing import prepare
from runners.contract.hypothesis import LOOKS, Hypothesis

Versions = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Look:
    """What one look came to.

    Attributes:
        n_seeds: in each arm that was not decided yet.
        words: what is said of each claim by then, by its name.
        is_final: whether no further look is planned: all is decided, more seeds decide nothing, or it was the last.
    """

    n_seeds: int
    words: Mapping[str, Word | None]
    is_final: bool

    @classmethod
    def read(cls, node: Mapping[str, Any]) -> "Look":
        """Read what `describe` gives."""
        words = {str(name): None if word is None else Word(word) for name, word in node["words"].items()}
        return cls(int(node["n_seeds"]), words, bool(node["is_final"]))

    def describe(self) -> dict[str, Any]:
        """Return plain data."""
        words = {name: None if word is None else word.value for name, word in self.words.items()}
        return {"n_seeds": self.n_seeds, "words": words, "is_final": self.is_final}


def judge_in_looks(
    hypothesis: Hypothesis, cells: Sequence[CellRuns], versions: Versions, looks: Sequence[Look]
) -> JudgedHypothesis:
    """Return the claims as of the last look; before the first, as of what there is for it.

    Args:
        hypothesis: the claim.
        cells: its runs.
        versions: of the programs, by sweep.
        looks: that were taken, in order.
    """
    decided: dict[str, JudgedClaim] = {}
    latest: Sequence[JudgedClaim] = ()
    for look in looks:
        found = _at(hypothesis, cells, versions, look.n_seeds, decided)
        latest = [claim if claim.name in decided else replace(claim, looked_at=look.n_seeds) for claim in found]
        for claim in latest:
            word = look.words.get(claim.name)
            if claim.name not in decided and word is not None and word.is_decided:
                decided[claim.name] = replace(claim, word=word, look=look.n_seeds)
    if not looks:
        latest = _at(hypothesis, cells, versions, LOOKS[0], decided)
    claims = tuple(decided.get(claim.name, claim) for claim in latest)
    return JudgedHypothesis(hypothesis, claims, tuple(cells))


def take_look(
    hypothesis: Hypothesis, cells: Sequence[CellRuns], versions: Versions, looks: Sequence[Look]
) -> tuple[Look, list[CellKey]]:
    """Return what the next look comes to, and which cells need more seeds for the one after it; the shorter ones first.

    Args:
        hypothesis: the claim.
        cells: its runs.
        versions: of the programs, by sweep.
        looks: that were taken before; the last of them was not final.
    """
    n_seeds = LOOKS[len(looks)]
    seen = [*looks, Look(n_seeds, {}, is_final=False)]
    judged = judge_in_looks(hypothesis, cells, versions, seen)
    open_claims = [claim for claim in judged.claims if claim.look is None and _may_be_decided(claim)]
    arms = {
        arm
        for claim in open_claims
        for step in claim.steps
        for arm in (step.comparison.treatment, step.comparison.baseline)
    }
    wanted = [cell for cell in cells if cell.key.arm in arms] if n_seeds != LOOKS[-1] else []
    look = Look(n_seeds, {claim.name: claim.word for claim in judged.claims}, is_final=not wanted)
    return look, [cell.key for cell in sorted(wanted, key=lambda cell: len(cell.runs))]


def replay_looks(hypothesis: Hypothesis, cells: Sequence[CellRuns], versions: Versions) -> list[Look]:
    """Return the looks that these runs allow, where nobody has kept what they came to (a store, other sweeps)."""
    looks: list[Look] = []
    wanted = {cell.key for cell in cells}
    for n_seeds in LOOKS:
        reached = all(_has_ended(cell, n_seeds) for cell in cells if cell.key in wanted)
        if not reached or not wanted:
            break
        look, more = take_look(hypothesis, cells, versions, looks)
        looks.append(look)
        wanted = set(more)
    return looks


def _has_ended(cell: CellRuns, n_seeds: int) -> bool:
    """Whether all runs of a look have come to their end, well or not."""
    ended = {*cell.seeds, *(seed_of(run) for run in cell.open if run.state.is_terminal)}
    return ended >= set(range(n_seeds))


def _may_be_decided(claim: JudgedClaim) -> bool:
    """Whether more seeds could decide a claim: it is undecided because of noise, and not of what else differs."""
    if claim.word is not None and claim.word.is_decided:
        return False
    unfair = any(not difference.accepted for step in claim.steps for difference in step.differences)
    return not unfair and all(step.verdict is not None for step in claim.steps)


def _at(
    hypothesis: Hypothesis,
    cells: Sequence[CellRuns],
    versions: Versions,
    n_seeds: int,
    decided: Mapping[str, JudgedClaim],
) -> list[JudgedClaim]:
    """Return all claims at a look; those that were decided before it count as rejected, and stay as they are."""
    seen = [_first(cell, n_seeds) for cell in cells]
    own = [run for cell in seen for run in cell.runs]
    prepared = prepare(hypothesis, seen, (), versions, own)
    undecided = [claim for claim in prepared.claims if claim.name not in decided]
    judged = iter(judge_claims([(hypothesis, claim) for claim in undecided], look_alpha(n_seeds, hypothesis.alpha)))
    return [decided[claim.name] if claim.name in decided else next(judged) for claim in prepared.claims]


def _first(cell: CellRuns, n_seeds: int) -> CellRuns:
    """Return the runs that a look sees: those of its own seeds."""
    return CellRuns(
        cell.key,
        tuple(run for run in cell.runs if seed_of(run) < n_seeds),
        tuple(run for run in cell.open if seed_of(run) < n_seeds),
    )
