"""Asynchronous successive halving that pauses: a trial rests at a rung until it is among the best that reached it.

The promotion of Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), Algorithm 2, with
epochs as the resource. Nobody is ended for good while the search goes on: who rests goes on from its checkpoint.
Pure: whoever tells the same things in the same order gets the same answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

# One in so many goes on to the next rung, and each rung is so many times as far as the one before.
REDUCTION_FACTOR = 3
# The first rung lies so many rungs before the last epoch, where an epoch allows it: it costs a ninth of a training.
N_RUNGS = 2


def first_rung(n_epochs: int, reduction_factor: int = REDUCTION_FACTOR) -> int:
    """Return the epoch of the first rung where none is given: 1 of 12, 4 of 36; at least 1."""
    return max(1, n_epochs // int(reduction_factor**N_RUNGS))


def rung_epochs(n_epochs: int, min_resource: int, reduction_factor: int) -> tuple[int, ...]:
    """Return the epochs of the rungs, all of them before the last epoch.

    Args:
        n_epochs: of a whole training.
        min_resource: epoch of the first rung.
        reduction_factor: at least 2.

    Raises:
        ValueError: a number is out of range.
    """
    if min_resource < 1 or reduction_factor < 2:
        raise ValueError(f"min_resource {min_resource}, at least 1; reduction_factor {reduction_factor}, at least 2")
    epochs = []
    epoch = min_resource
    while epoch < n_epochs:
        epochs.append(epoch)
        epoch *= reduction_factor
    return tuple(epochs)


@dataclass
class _Rung:
    """One rung.

    Attributes:
        epoch: at which trials are judged.
        values: who has been here, in the order of their coming; higher is better.
        gone_on: who need not wait here, or no longer.
    """

    epoch: int
    values: dict[str, float] = field(default_factory=dict)
    gone_on: set[str] = field(default_factory=set)

    def best(self, n: int) -> list[str]:
        """Return the best, best first; of equals the one that came first."""
        sound = [job_id for job_id, value in self.values.items() if not math.isnan(value)]
        return sorted(sound, key=self.values.__getitem__, reverse=True)[:n]

    def first_waiting(self, n: int) -> str | None:
        """Return the best of those that wait among the `n` best of all."""
        return next((job_id for job_id in self.best(n) if job_id not in self.gone_on), None)


class Rungs:
    """Who rests at a rung, and who goes on.

    Args:
        n_epochs: of a whole training.
        direction: of the metric that is pruned by.
        min_resource: epoch of the first rung; None: a ninth of the epochs.
        reduction_factor: one in so many goes on.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        n_epochs: int,
        direction: Literal["maximize", "minimize"] = "maximize",
        min_resource: int | None = None,
        reduction_factor: int = REDUCTION_FACTOR,
    ) -> None:
        first = first_rung(n_epochs, reduction_factor) if min_resource is None else min_resource
        self._rungs = [_Rung(epoch) for epoch in rung_epochs(n_epochs, first, reduction_factor)]
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._factor = reduction_factor
        self._free: set[str] = set()

    @classmethod
    def of(cls, pruner: Mapping[str, Any], n_epochs: int, direction: Literal["maximize", "minimize"]) -> "Rungs":
        """Build the rungs that a search's pruner describes, its options having been checked."""
        options = {key: int(pruner[key]) for key in ("min_resource", "reduction_factor") if pruner.get(key) is not None}
        return cls(n_epochs, direction, **options)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs at which trials are judged."""
        return tuple(rung.epoch for rung in self._rungs)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Who rests, in the order of the rungs and of their coming."""
        return tuple(job_id for rung in self._rungs for job_id in rung.values if job_id not in rung.gone_on)

    def let_pass(self, job_id: str) -> None:
        """Never hold this one (the default, which everything is compared with); it takes nobody's place either."""
        self._free.add(job_id)
        self.drop(job_id)

    def reach(self, job_id: str, epoch: int, value: float) -> bool:
        """Take in what a trial measured after an epoch.

        Where an epoch is told of again (trained again from an older checkpoint), the first answer stands.

        Args:
            job_id: the trial's job.
            epoch: counted from 1; a rung is reached with the first value at or after its epoch.
            value: of the metric that is pruned by; NaN is the worst.

        Returns:
            Whether it has to rest now.
        """
        reached = [rung for rung in self._rungs if rung.epoch <= epoch]
        if not reached or job_id in self._free:
            return False
        for rung in reached[:-1]:
            # Who was not measured between two rungs has passed the lower one.
            rung.values.setdefault(job_id, self._sign * value)
            rung.gone_on.add(job_id)
        last = reached[-1]
        if job_id not in last.values:
            last.values[job_id] = self._sign * value
            if job_id in last.best(self._n_promoted(last)):
                last.gone_on.add(job_id)
        return job_id not in last.gone_on

    def promotable(self) -> str | None:
        """Return who may go on now: among the best one in `reduction_factor` of a rung; the highest rung first."""
        found = (rung.first_waiting(self._n_promoted(rung)) for rung in reversed(self._rungs))
        return next((job_id for job_id in found if job_id is not None), None)

    def last_chance(self) -> str | None:
        """Return who goes on when nothing runs and nothing new comes: the best of a rung that too few have reached.

        The lowest rung first, so that a higher one is judged when all are there that will come; asked until it
        returns None, it brings at least the best of the last rung to the end.
        """
        found = (rung.first_waiting(max(1, self._n_promoted(rung))) for rung in self._rungs)
        return next((job_id for job_id in found if job_id is not None), None)

    def promote(self, job_id: str) -> None:
        """Take in that a trial goes on from where it rests; nothing where it does not rest."""
        for rung in self._rungs:
            if job_id in rung.values:
                rung.gone_on.add(job_id)

    def drop(self, job_id: str) -> None:
        """Forget a trial that failed or was cancelled: the next best takes its place."""
        for rung in self._rungs:
            rung.values.pop(job_id, None)
            rung.gone_on.discard(job_id)

    def standing(self, job_id: str) -> str:
        """Return where a trial stands at its last rung: ``place 2 of 7 after epoch 3``; nothing if it reached none."""
        reached: Sequence[_Rung] = [rung for rung in self._rungs if job_id in rung.values]
        if not reached:
            return ""
        rung = reached[-1]
        order = rung.best(len(rung.values))
        place = order.index(job_id) + 1 if job_id in order else len(rung.values)
        return f"place {place} of {len(rung.values)} after epoch {rung.epoch}"

    def _n_promoted(self, rung: _Rung) -> int:
        return len(rung.values) // self._factor
