"""The study of Optuna's that samples: it knows points and objectives, and says which point comes next."""

import copy
import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from runners.contract.dimensions import Dimension, Value
from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trial_ranking import objective_values
from runners.contract.trials import TrialRecord
from sweeper.study.samplers import build_random, build_sampler

# These keep what they know beside the trials' numbers (a generation, a place in a sequence), so that a finished trial
# has to be asked for once more when a study is built anew; the others read it off the trials each time.
_REMEMBERING = ("cmaes", "nsgaii", "qmc")
# Takes trials for what they are when it is asked, also those that have not ended.
_READING = ("tpe",)


# Says of a point, by names and by keys, why it is not wanted; None if it is.
Refusal = Callable[[Mapping[str, Value], Mapping[str, str]], str | None]


@dataclass(frozen=True)
class Drawn:
    """What a sampler drew.

    Attributes:
        trial: Optuna's, running.
        params: its values by the dimensions' names.
        point: the same as they stand in overrides, by key.
    """

    trial: Any
    params: Mapping[str, Value]
    point: Mapping[str, str]


class _Ledger(optuna.storages.InMemoryStorage):  # type: ignore[misc]
    """Optuna's storage in memory, in which a trial that has not ended may count as pruned where it stands."""

    def __init__(self) -> None:
        super().__init__()
        self._curves: dict[int, Mapping[int, float]] = {}
        # Made once for each time that a trial has come further: samplers read all trials several times for a point.
        self._counted: dict[int, Any] = {}

    def count(self, number: int, curve: Mapping[int, float]) -> None:
        """Let a running trial count as pruned, with its curve so far."""
        self._curves[number] = curve
        self._counted.pop(number, None)

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Container[Any] | None = None) -> list[Any]:
        """Return the trials of the study, each as what it counts."""
        trials = map(self._as_counted, super().get_all_trials(study_id, deepcopy=False))
        shown = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown

    def _as_counted(self, trial: Any) -> Any:
        if trial.state is not TrialState.RUNNING or trial.number not in self._curves:
            return trial
        if trial.number not in self._counted:
            counted = self._counted[trial.number] = copy.copy(trial)
            counted.state, counted.intermediate_values = TrialState.PRUNED, dict(self._curves[trial.number])
        return self._counted[trial.number]


class Sampling:
    """Which point comes next.

    Args:
        search: what is searched for; its sampler has been checked.
        n_told: trials that are told before the first one is asked for.
    """

    def __init__(self, search: Search, n_told: int) -> None:
        self._search = search
        self._n_told = n_told
        self._n_by_chance = 0
        self._name = str(search.sampler["name"])
        self._storage = _Ledger()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=search.name,
            sampler=build_sampler(search, n_told),
            directions=[objective.direction for objective in search.objectives],
        )
        self._shapes = {dimension.name: _distribution(dimension) for dimension in search.dimensions}

    def draw(self, refuses: Refusal, n_tries: int) -> Drawn | None:
        """Return a new running trial, drawn by the sampler.

        Args:
            refuses: says why a point is not wanted; such a trial is told as failed.
            n_tries: how often the sampler is asked.
        """
        for _ in range(n_tries):
            trial = self._study.ask()
            params = self._suggest(trial)
            point = self._search.point(params)
            reason = refuses(params, point)
            if reason is None:
                return Drawn(trial, params, point)
            trial.set_user_attr("reason", reason)
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def draw_by_chance(self, refuses: Refusal, n_tries: int) -> Drawn | None:
        """Do as `draw`, all points being equally likely."""
        own, self._study.sampler = self._study.sampler, build_random(self._search, self._n_told + self._n_by_chance)
        self._n_by_chance += n_tries
        try:
            return self.draw(refuses, n_tries)
        finally:
            self._study.sampler = own

    def start(self, params: Mapping[str, Value]) -> Any:
        """Return a running trial at a point of the space."""
        self._study.enqueue_trial(dict(params))
        trial = self._study.ask()
        if self._name in _REMEMBERING:
            _ = trial.relative_params  # here the sampler gives the trial its place
        self._suggest(trial)
        return trial

    def add(self, record: TrialRecord, curve: Mapping[int, float]) -> None:
        """Take in a finished trial at a point of the space.

        Args:
            record: what became of it.
            curve: of the metric that is pruned by, by epoch.
        """
        if self._name in _REMEMBERING:
            self.end(self.start(record.trial.params), record, curve)
            return
        state, values = self.outcome(record)
        more: dict[str, Any] = {"state": state, "constraints": _finite(record.constraints)}
        if values is not None:
            more["values"] = values
        if state is TrialState.PRUNED:
            more["intermediate_values"] = self._ranked(curve)
        self._study.add_trial(self._shaped(record.trial.params, **more))

    def end(self, trial: Any, record: TrialRecord, curve: Mapping[int, float]) -> None:
        """Take in what became of a running trial."""
        state, values = self.outcome(record)
        if state is TrialState.PRUNED:
            for epoch, value in self._ranked(curve).items():
                trial.report(value, epoch)
        for metric, violation in _finite(record.constraints).items():
            trial.set_constraint(metric, violation)
        self._study.tell(trial, values, state)

    def stand(self, trial: Any, curve: Mapping[int, float]) -> None:
        """Take in that a running trial has reached a rung: a sampler that reads trials may learn from it at once.

        Most trials of a search with rungs would be told when it is over otherwise, and those that are good enough to go
        on would be taken for bad ones until then, as TPE does with all that run.
        """
        if self._name in _READING:
            self._storage.count(int(trial.number), self._ranked(curve))

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Whether the space has a point: exactly the dimensions that apply to it, each within its range."""
        point = self._search.point(params)
        if {dimension.name for dimension in self._search.active(point)} != set(params):
            return False
        try:
            self._shaped(params)
        except ValueError:
            return False
        return True

    def outcome(self, record: TrialRecord) -> tuple[Any, list[float] | None]:
        """Return Optuna's state of a trial that ended, and of a complete one the objectives in order."""
        if record.state is JobState.PRUNED:
            return TrialState.PRUNED, None
        values = objective_values(self._search, record) if record.is_complete else None
        return (TrialState.FAIL, None) if values is None else (TrialState.COMPLETE, values)

    def _suggest(self, trial: Any) -> dict[str, Value]:
        """Have a trial choose its values by the dimensions' names, one after the other as the conditions allow."""
        params: dict[str, Value] = {}
        point: dict[str, str] = {}
        for dimension in self._search.active(point):
            params[dimension.name] = _suggested(trial, dimension)
            point[dimension.key] = dimension.written(params[dimension.name])
        return params

    def _shaped(self, params: Mapping[str, Value], **more: Any) -> Any:
        """Return a finished trial of Optuna's.

        Raises:
            ValueError: a value is out of its range.
        """
        shapes = {name: self._shapes[name] for name in params}
        return optuna.trial.create_trial(
            **{"state": TrialState.FAIL, **more}, params=dict(params), distributions=shapes
        )

    def _ranked(self, curve: Mapping[int, float]) -> dict[int, float]:
        """Return a curve in the direction of the objective, by which Optuna ranks pruned trials of one objective."""
        if len(self._search.objectives) > 1:
            return {}  # Optuna takes none
        is_same = self._search.prune_direction == self._search.objectives[0].direction
        return {epoch: value if is_same else -value for epoch, value in sorted(curve.items())}


def _finite(constraints: Mapping[str, float]) -> dict[str, float]:
    return {metric: violation for metric, violation in constraints.items() if math.isfinite(violation)}


def _suggested(trial: Any, dimension: Dimension) -> Value:
    """Have a trial choose the value of one dimension."""
    name, low, high, step = dimension.name, dimension.low, dimension.high, dimension.step
    if dimension.kind == "categorical":
        return str(trial.suggest_categorical(name, dimension.choices))
    assert low is not None
    assert high is not None
    if dimension.kind == "int":
        return int(trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=dimension.log))
    value = float(trial.suggest_float(name, float(low), float(high), step=step, log=dimension.log))
    # Without the digits that only adding up the steps made: 0.85, as a grid has it, not 0.8500000000000001.
    return value if step is None else float(f"{value:.12g}")


def _distribution(dimension: Dimension) -> Any:
    """Return a dimension in Optuna's terms."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.kind == "categorical":
        return CategoricalDistribution(dimension.choices)
    assert low is not None
    assert high is not None
    if dimension.kind == "int":
        return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=dimension.log, step=step)
