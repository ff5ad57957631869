"""Optuna as its tutorials have it: asked for a point of a conditional space, told a number, and nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from runners.contract.search import Search


def plain_study(search: Search, sampler: Any, told: Iterable[tuple[Mapping[str, Any], float]]) -> Any:
    """Return a study in memory that knows some trials.

    Args:
        search: its space, of choices and floats.
        sampler: Optuna's.
        told: values by the dimensions' names, and what came of them.
    """
    study = optuna.create_study(sampler=sampler, direction="maximize")
    shapes: dict[str, BaseDistribution] = {
        dimension.name: CategoricalDistribution(dimension.choices)
        if dimension.choices
        else FloatDistribution(*dimension.span, log=dimension.log)
        for dimension in search.dimensions
    }
    for params, value in told:
        shape = {name: shapes[name] for name in params}
        study.add_trial(optuna.trial.create_trial(params=dict(params), distributions=shape, value=value))
    return study


def ask_and_tell(study: Any, search: Search, value: float) -> None:
    """Ask for a point, have it choose its values one after the other as the conditions allow, and tell a number."""
    trial = study.ask()
    point: dict[str, str] = {}
    for dimension in search.active(point):
        if dimension.choices:
            chosen = trial.suggest_categorical(dimension.name, dimension.choices)
        else:
            chosen = trial.suggest_float(dimension.name, *dimension.span, log=dimension.log)
        point[dimension.key] = dimension.written(chosen)
    study.tell(trial, value)
