"""Searches for the tests of the study, and a toy detector whose AP is known for every point."""

import math
from collections.abc import Mapping
from typing import Any

from runners.contract.dimensions import Value
from runners.contract.search import Search, read_search
from runners.contract.states import JobState
from runners.contract.trial_ranking import front, ranked
from runners.contract.trials import Origin, Trial, TrialRecord
from sweeper.study.optuna_study import Study

AP = "val/bbox_mAP_50"
MEMORY = "cost/peak_memory_gb"
N_EPOCHS = 12

CONDITIONAL: Mapping[str, Any] = {
    "optimizer": {"choices": ["sgd", "adam", "adamw"]},
    "optimizer.lr": [
        {"when": {"optimizer": "sgd"}, "low": 0.002, "high": 0.2, "log": True},
        {"when": {"optimizer": ["adam", "adamw"]}, "low": 1.0e-5, "high": 1.0e-3, "log": True},
    ],
    "optimizer.momentum": {"when": {"optimizer": "sgd"}, "low": 0.8, "high": 0.99},
    "optimizer.weight_decay": {"low": 1.0e-5, "high": 1.0e-2, "log": True},
    "batch_size": {"low": 8, "high": 32, "step": 8, "type": "int"},
}
PLAIN: Mapping[str, Any] = {
    "optimizer.lr": {"low": 1.0e-4, "high": 1.0, "log": True},
    "optimizer.momentum": {"low": 0.5, "high": 0.99},
    "optimizer.weight_decay": {"low": 1.0e-6, "high": 1.0e-1, "log": True},
}
FINITE: Mapping[str, Any] = {
    "optimizer": {"choices": ["sgd", "adamw"]},
    "optimizer.momentum": {"when": {"optimizer": "sgd"}, "low": 0.8, "high": 0.9, "step": 0.05},
    "batch_size": {"low": 8, "high": 24, "step": 8, "type": "int"},
}


def search_of(space: Mapping[str, Any] = CONDITIONAL, **settings: Any) -> Search:
    """Return a search of a space; whatever is not said is TPE after AP, without pruner."""
    node = {"name": "toy", "space": space, "objectives": [AP], "sampler": "tpe", "pruner": "none", **settings}
    return read_search(node, "toy.yaml")


def record_of(
    number: int,
    params: Mapping[str, Value],
    ap: float | None = None,
    state: JobState = JobState.COMPLETED,
    origin: Origin = "sampled",
    memory: float | None = None,
    **more: Any,
) -> TrialRecord:
    """Return what became of a trial."""
    values = {metric: value for metric, value in ((AP, ap), (MEMORY, memory)) if value is not None}
    return TrialRecord(Trial(number, params, origin), f"{number:04d}", state, values, **more)


def plain_ap(params: Mapping[str, Value]) -> float:
    """Return the AP of a point of `PLAIN`, 0-1: a hill at lr 0.02, momentum 0.9, weight decay 1e-4."""
    lr, momentum, decay = (float(params[f"optimizer.{name}"]) for name in ("lr", "momentum", "weight_decay"))
    away = (math.log10(lr / 0.02) / 2) ** 2 + ((momentum - 0.9) / 0.2) ** 2 + (math.log10(decay / 1e-4) / 3) ** 2
    return 0.6 * math.exp(-away)


def curve_of(ap: float, n_epochs: int = N_EPOCHS) -> dict[int, float]:
    """Return a curve that rises to an AP, such that curves of different APs never cross."""
    return {epoch: ap * (1 - math.exp(-epoch / 3)) / (1 - math.exp(-n_epochs / 3)) for epoch in range(1, n_epochs + 1)}


def best_of(study: Study, n: int = 1) -> list[TrialRecord]:
    """Return the best of what a study was told, by the first objective."""
    return ranked(study._search, study.records)[:n]


def front_of(study: Study) -> list[TrialRecord]:
    """Return whom no other dominates of what a study was told, by number."""
    return sorted(front(study._search, study.records), key=lambda record: record.trial.number)
