"""A search's trials in Optuna's terms: a study built anew from what the runs tell, in memory or in a storage."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from runners.contract.dimensions import Dimension, Value
from runners.contract.objectives import scale_of
from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import TrialRecord

_STATES = {
    JobState.COMPLETED: TrialState.COMPLETE,
    JobState.REUSED: TrialState.COMPLETE,
    JobState.PRUNED: TrialState.PRUNED,
    JobState.PLANNED: TrialState.WAITING,
    JobState.RUNNING: TrialState.RUNNING,
    JobState.PAUSED: TrialState.RUNNING,
}


@contextmanager
def unheard() -> Iterator[None]:
    """Keep what Optuna and matplotlib have to say to programmers off the terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def build_study(
    search: Search,
    records: Sequence[TrialRecord],
    storage: Any = None,
    name: str | None = None,
    in_points: bool = False,
) -> Any:
    """Return a study with all trials, in the order of their numbers.

    Args:
        search: what was searched.
        records: its trials, warm ones among them.
        storage: one of Optuna's; None: in memory.
        name: of the study; None: the search's.
        in_points: average precisions as they are shown, 0-100, and not as they are recorded.

    Raises:
        optuna.exceptions.DuplicatedStudyError: the storage has a study of that name.
    """
    with unheard():
        study = optuna.create_study(
            storage=storage,
            study_name=name or search.name,
            directions=[objective.direction for objective in search.objectives],
        )
        study.set_metric_names([objective.metric for objective in search.objectives])
        for record in records:
            study.add_trial(frozen(record, search, in_points))
    return study


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """Return a dimension as Optuna describes it."""
    if dimension.kind == "categorical":
        return CategoricalDistribution(dimension.choices)
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.kind == "int":
        step = 1 if dimension.step is None else int(dimension.step)
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def frozen(record: TrialRecord, search: Search, in_points: bool = False) -> FrozenTrial:
    """Return a trial as Optuna keeps it.

    A completed one that lacks an objective has failed for Optuna. A value outside of the search's range widens the
    range for this trial; one that no range holds stands among the trial's attributes instead.

    Args:
        record: the trial.
        search: what was searched.
        in_points: average precisions as they are shown, 0-100.
    """
    params, distributions, outside = _placed(record.trial.params, search)
    values = _values(record, search, in_points)
    state = _STATES.get(record.state, TrialState.FAIL)
    if state is TrialState.COMPLETE and values is None:
        state = TrialState.FAIL
    curve_scale = scale_of(search.prune_by) if in_points else 1.0
    curve = {epoch: value * curve_scale for epoch, value in sorted(record.curve.items())}
    trial = FrozenTrial(
        number=-1,  # the study gives it one
        trial_id=-1,
        state=state,
        value=None,
        values=values if state is TrialState.COMPLETE else _last(curve, state, search),
        datetime_start=None if state is TrialState.WAITING else _time(record.started_at, record.ended_at),
        datetime_complete=_time(record.ended_at, record.started_at) if state.is_finished() else None,
        params=params,
        distributions=distributions,
        user_attrs=_told(record, outside),
        system_attrs={},
        intermediate_values=curve,
    )
    for metric, violation in record.constraints.items():
        trial.set_constraint(metric, violation)
    return trial


def _placed(
    params: Mapping[str, Value], search: Search
) -> tuple[dict[str, Value], dict[str, BaseDistribution], dict[str, Value]]:
    """Return values and their distributions, and apart from them those that Optuna cannot keep as parameters."""
    named = {dimension.name: dimension for dimension in search.dimensions}
    placed: dict[str, Value] = {}
    distributions: dict[str, BaseDistribution] = {}
    outside: dict[str, Value] = {}
    for name, value in params.items():
        distribution = _holding(named[name], value) if name in named else None
        if distribution is None:
            outside[name] = value
        else:
            placed[name], distributions[name] = value, distribution
    return placed, distributions, outside


def _holding(dimension: Dimension, value: Value) -> BaseDistribution | None:
    """Return a dimension's distribution, widened where a number lies outside of it; None where none can hold it."""
    if dimension.kind == "categorical":
        return distribution_of(dimension) if str(value) in dimension.choices else None
    if isinstance(value, str) or not math.isfinite(value) or (dimension.log and value <= 0):
        return None
    if dimension.holds(dimension.written(value)):
        return distribution_of(dimension)
    assert dimension.low is not None
    assert dimension.high is not None
    low, high = min(dimension.low, value), max(dimension.high, value)
    if dimension.kind == "int":
        return IntDistribution(int(low), int(high), log=dimension.log)
    return FloatDistribution(low, high, log=dimension.log)


def _values(record: TrialRecord, search: Search, in_points: bool) -> list[float] | None:
    """Return the objectives' values in their order; None where one is not known, or is no number."""
    values = [record.values.get(objective.metric, math.nan) for objective in search.objectives]
    if not all(map(math.isfinite, values)):
        return None
    scales = [objective.scale if in_points else 1.0 for objective in search.objectives]
    return [value * scale for value, scale in zip(values, scales, strict=True)]


def _last(curve: Mapping[int, float], state: TrialState, search: Search) -> list[float] | None:
    """Return what a pruned trial had reached, as Optuna itself keeps it: of one objective, where that is pruned by."""
    first, *more = search.objectives
    known = state is TrialState.PRUNED and not more and first.metric == search.prune_by and curve
    last = curve[max(curve)] if known else math.nan
    return [last] if math.isfinite(last) else None


def _told(record: TrialRecord, outside: Mapping[str, Value]) -> dict[str, Any]:
    """Return what a person who looks at the study wants to know of a trial."""
    told = {
        "trial": record.trial.number,
        "job": record.job_id,
        "origin": record.trial.origin,
        "run": record.trial.run,
        "reason": record.reason,
        "outside of the space": dict(outside),
    }
    return {name: value for name, value in told.items() if value not in ("", {})}


def _time(seconds: float | None, otherwise: float | None) -> datetime:
    """Return a time of this machine's clock, without a zone, as Optuna keeps them; the epoch where none is known."""
    known = next((one for one in (seconds, otherwise) if one is not None), 0.0)
    return datetime.fromtimestamp(known)


def importances(study: Any, search: Search) -> dict[str, dict[str, float]]:
    """Return, by objective's metric, the share of each parameter in what tells good trials from the rest (PED-ANOVA).

    Empty where nothing can be told: fewer than two completed trials, or no parameter that differs.
    """
    found: dict[str, dict[str, float]] = {}
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    names = [name for name in dict.fromkeys(name for trial in complete for name in trial.params)]
    differing = [name for name in names if len({trial.params[name] for trial in complete if name in trial.params}) > 1]
    if len(complete) < 2 or not differing:
        return {}
    with unheard():
        for number, objective in enumerate(search.objectives):
            # It tells of the low values of a target.
            sign = -1 if objective.is_maximized else 1
            shares = optuna.importance.get_param_importances(
                study, params=differing, target=lambda trial, at=number, sign=sign: sign * trial.values[at]
            )
            if shares and all(map(math.isfinite, shares.values())):
                found[objective.metric] = {name: float(share) for name, share in shares.items()}
    return found


@contextmanager
def opened_storage(url: str) -> Iterator[Any]:
    """Open one of Optuna's storages in a database, and leave it; its tables are made where they are missing.

    Raises:
        ImportError: the database's driver is not installed.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be used.
    """
    with unheard():
        storage = optuna.storages.RDBStorage(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def study_names(storage: Any) -> list[str]:
    """Return the names of a storage's studies."""
    return list(optuna.get_all_study_names(storage))


def delete_study(storage: Any, name: str) -> None:
    """Delete a study of a storage."""
    with unheard():
        optuna.delete_study(study_name=name, storage=storage)
