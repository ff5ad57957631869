"""Sweeps that are worth trying next, each with its evidence and its command line.

They are ordered by how many points of AP50 their evidence is about (`reports.diagnosis.remedies`).
"""

import shlex
from dataclasses import dataclass

from reports.diagnosis.remedies import RULES, Remedy, Situation, key_of

N_STEPS, N_SEEDS = 5, 3


@dataclass(frozen=True)
class NextStep:
    """A sweep that is worth trying.

    Attributes:
        title: what is tried, in words.
        evidence: the numbers that speak for it.
        axis: the setting that is varied.
        values: its values, today's first.
        command: the line that runs it, to be pasted into bash or zsh.
        points: AP50 that the evidence is about, 0-1.
    """

    title: str
    evidence: str
    axis: str
    values: tuple[str, ...]
    command: str
    points: float


def next_steps(situation: Situation, n_steps: int = N_STEPS, n_seeds: int = N_SEEDS) -> list[NextStep]:
    """Return what is worth trying, the largest evidence first; each axis once at most.

    Args:
        situation: what is known of the arm to go on from.
        n_steps: at most so many.
        n_seeds: of each arm; from fewer than three no verdict follows.
    """
    remedies = sorted((remedy for rule in RULES for remedy in rule(situation)), key=lambda remedy: -remedy.points)
    best: dict[str, Remedy] = {}
    for remedy in remedies:
        best.setdefault(remedy.axis, remedy)
    return [
        NextStep(
            title=remedy.title,
            evidence=remedy.evidence,
            axis=remedy.axis,
            values=tuple(remedy.values),
            command=_command(situation, remedy, n_seeds),
            points=remedy.points,
        )
        for remedy in list(best.values())[:n_steps]
    ]


def _command(situation: Situation, remedy: Remedy, n_seeds: int) -> str:
    replaced = {"seed", remedy.axis, *remedy.without}
    words = [word for word in situation.overrides if key_of(word) not in replaced]
    axes = {remedy.axis: remedy.values, "seed": [str(seed) for seed in range(n_seeds)]}
    words += [f"{axis}={','.join(values)}" for axis, values in axes.items()]
    return shlex.join(["detsweep", "train", *words])
