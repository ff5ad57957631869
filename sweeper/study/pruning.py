"""The study of Optuna's that prunes: it knows the curves of one metric and no points, and says who is given up."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import TrialState

from runners.contract.search import Search
from sweeper.study.samplers import build_pruner

# These write down, when they are asked, who has reached a rung; the others read it off the curves each time.
_WRITING = ("successive_halving", "hyperband")


class Pruning:
    """Who is given up before the last epoch.

    Apart from the study that samples, so that several objectives can be pruned by one metric, that a default outside of
    the space counts as any other trial, and that Hyperband's brackets share one model.

    Args:
        search: what is searched for; its pruner has been checked.
        n_epochs: of a whole training.
    """

    def __init__(self, search: Search, n_epochs: int) -> None:
        self._n_epochs = n_epochs
        wrapped = search.pruner.get("wrapped_pruner") or {}
        self._is_writing = bool({search.pruner["name"], wrapped.get("name")} & set(_WRITING))
        # Hyperband takes a trial's bracket from the study's name and the trial's number, so both are given.
        self._study = optuna.create_study(
            study_name=search.name,
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=build_pruner(search, n_epochs),
            direction=search.prune_direction,
        )

    def start(self) -> Any:
        """Return a running trial."""
        return self._study.ask()

    def report(self, trial: Any, epoch: int, value: float) -> bool:
        """Take in what a trial measured; return whether it is given up, which it never is after the last epoch."""
        trial.report(value, epoch)
        return bool(trial.should_prune()) and epoch < self._n_epochs

    def replay(self, trial: Any, curve: Mapping[int, float]) -> None:
        """Take in the curve of a trial about which everything has been decided."""
        for epoch, value in sorted(curve.items()):
            trial.report(value, epoch)
            if self._is_writing:
                trial.should_prune()

    def end(self, trial: Any, state: Any, curve: Mapping[int, float]) -> None:
        """Take in how a trial ended, in Optuna's terms; one without a number at its end as failed."""
        last = curve[max(curve)] if curve else math.nan
        if state is TrialState.COMPLETE and math.isfinite(last):
            self._study.tell(trial, last)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if state is TrialState.PRUNED else TrialState.FAIL)
