"""A search's study: which point comes next, which trial is given up, which ones were best; Optuna decides.

It lives in memory and keeps nothing: the journal does, and a resumed search tells a new study all over again.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runners.contract.dimensions import Value
from runners.contract.search import Search
from runners.contract.trials import TrialRecord
from sweeper.study.pruning import Pruning
from sweeper.study.rungs import Rungs
from sweeper.study.samplers import check_methods, unheard
from sweeper.study.sampling import Sampling

# A point that is excluded or known already is asked for anew, so often of the sampler and then of chance.
N_ASKS, N_DRAWS = 20, 200
# What is left of a space that has an end is looked up in its list of points, up to so many.
MAX_LISTED = 100_000


@dataclass(frozen=True)
class Asked:
    """A point that is to be trained.

    Attributes:
        handle: of the running trial, for `Study.report` and `Study.tell`.
        params: values by the dimensions' names.
        point: values as they stand in overrides, by key; the same numbers to the last digit.
    """

    handle: int
    params: Mapping[str, Value]
    point: Mapping[str, str]


@dataclass
class _Open:
    """A trial that has not ended.

    Attributes:
        sampled: Optuna's trial of the study that samples; None of a point outside of the space.
        pruned: Optuna's trial of the study that prunes; None where no pruner of Optuna's decides.
        curve: what was reported, by epoch.
    """

    sampled: Any
    pruned: Any
    curve: dict[int, float] = field(default_factory=dict)


class Study:
    """Optuna behind a search.

    Args:
        search: what is searched for.
        n_epochs: of a whole training.
        n_told: trials that are told before the first one is asked for; a resumed search draws other numbers by it.

    Raises:
        UserError: an option of sampler or pruner is wrong.
    """

    def __init__(self, search: Search, n_epochs: int, n_told: int = 0) -> None:
        check_methods(search, n_epochs, f"search {search.name}")
        self._search = search
        with unheard():
            self._sampling = Sampling(search, n_told)
            self._pruning = Pruning(search, n_epochs) if search.prunes and not search.pauses else None
        self._rungs = Rungs.of(search.pruner, n_epochs, search.prune_direction).epochs if search.pauses else ()
        self._open: dict[int, _Open] = {}
        self._n_handles = 0
        self._records: list[TrialRecord] = []
        self._known: set[frozenset[tuple[str, Value]]] = set()
        self._grid = iter(search.grid()) if search.sampler["name"] == "grid" else None

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """All that have been told, in order."""
        return tuple(self._records)

    def ask(self) -> Asked | None:
        """Return the next point, as a running trial; None where the space has no other that is not excluded.

        A point that is known (asked for, told, failed) does not come again: it would train the same job.
        """
        with unheard():
            if self._grid is not None:
                return self._listed(self._grid)
            drawn = self._sampling.draw(self._refuses, N_ASKS) or self._sampling.draw_by_chance(self._refuses, N_DRAWS)
            if drawn is None:
                return self._listed(iter(self._search.grid()) if self._is_countable() else iter(()))
            return Asked(self._enter(drawn.params, drawn.trial), drawn.params, drawn.point)

    def open(self, params: Mapping[str, Value]) -> int:
        """Take in a point as a running trial: the default; what runs or rests when a search is resumed.

        Args:
            params: values by the dimensions' names. Of a point outside of the space the sampler is told nothing, and
                the pruner as of any other.

        Returns:
            Its handle.
        """
        with unheard():
            return self._enter(params, self._sampling.start(params) if self._sampling.holds(params) else None)

    def add(self, record: TrialRecord) -> None:
        """Take in a finished trial: a warm one, or one of a resumed search, in the order of their numbers.

        Args:
            record: of a confirming trial nothing is taken in.
        """
        if record.trial.origin == "confirm":
            return
        with unheard():
            self._known.add(frozenset(record.trial.params.items()))
            if self._sampling.holds(record.trial.params):
                self._sampling.add(record, record.curve)
            if self._pruning is not None:
                trial = self._pruning.start()
                self._pruning.replay(trial, record.curve)
                self._pruning.end(trial, self._sampling.outcome(record)[0], record.curve)
            self._records.append(record)

    def report(self, handle: int, epoch: int, value: float) -> bool:
        """Take in what a running trial measured after an epoch.

        Args:
            handle: of the trial.
            epoch: counted from 1; told twice, the first value counts.
            value: of the metric that is pruned by.

        Returns:
            Whether the pruner gives it up; never where rungs decide, and never after the last epoch.
        """
        running = self._open[handle]
        before = max(running.curve, default=0)
        running.curve.setdefault(epoch, value)
        # At rungs alone, where all are compared after as many epochs.
        if running.sampled is not None and any(before < rung <= epoch for rung in self._rungs):
            self._sampling.stand(running.sampled, running.curve)
        if self._pruning is None:
            return False
        with unheard():
            return self._pruning.report(running.pruned, epoch, value)

    def tell(self, handle: int, record: TrialRecord) -> None:
        """Take in how a trial ended.

        Completed and reused ones count with their objectives, pruned ones with their curve. A failed one, or a
        completed one that lacks an objective, counts for nothing and ends nothing.
        """
        running = self._open.pop(handle)
        curve = {**running.curve, **record.curve}
        with unheard():
            if running.sampled is not None:
                self._sampling.end(running.sampled, record, curve)
            if self._pruning is not None:
                self._pruning.end(running.pruned, self._sampling.outcome(record)[0], curve)
        self._records.append(record)

    def _refuses(self, params: Mapping[str, Value], point: Mapping[str, str]) -> str | None:
        """Return why a point is not tried; None of one that is."""
        if self._search.is_excluded(point):
            return "excluded"
        return "known" if frozenset(params.items()) in self._known else None

    def _is_countable(self) -> bool:
        dimensions = self._search.dimensions
        return all(dimension.is_finite for dimension in dimensions) and (
            math.prod(len(dimension.values()) for dimension in dimensions) <= MAX_LISTED
        )

    def _listed(self, points: Iterator[Mapping[str, str]]) -> Asked | None:
        """Return the next of a list of points that is tried, as a running trial."""
        for point in points:
            params = self._search.params(point)
            if self._refuses(params, point) is None:
                return Asked(self._enter(params, self._sampling.start(params)), params, point)
        return None

    def _enter(self, params: Mapping[str, Value], sampled: Any) -> int:
        self._n_handles += 1
        self._known.add(frozenset(params.items()))
        pruned = None if self._pruning is None else self._pruning.start()
        self._open[self._n_handles] = _Open(sampled, pruned)
        return self._n_handles
