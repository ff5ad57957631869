"""A search in words: its metrics, values, points and ways of choosing, as its tables and sentences have them."""

from collections.abc import Mapping
from typing import Any

from reports.judging.wording import metric_words
from runners.contract.dimensions import Dimension, Value
from runners.contract.metrics import PARAMETERS_M
from runners.contract.objectives import COSTS, Constraint, Objective, scale_of
from runners.contract.search import Search
from runners.contract.trials import TrialRecord

_COST_WORDS = {
    PARAMETERS_M: "parameters (M)",
    "cost/multiply_adds_g": "multiply-adds (G)",
    "cost/peak_memory_gb": "peak memory (GB)",
    "cost/peak_device_gb": "peak device memory (GB)",
    "cost/peak_host_gb": "peak host memory (GB)",
    "cost/iteration_s": "iteration (s)",
    "cost/validation_image_s": "validated image (s)",
    "cost/images_per_s": "training images per second",
    "cost/wall_s": "training time (s)",
    "cost/first_iteration_s": "first iteration (s)",
}


def objective_words(metric: str) -> str:
    """Return what people call what a search is after, with its unit where that is not points: ``val mAP50``."""
    return _COST_WORDS.get(metric, metric) if metric in COSTS else metric_words(metric)


def value_words(metric: str, value: float) -> str:
    """Return a value as it is shown: average precisions in points, anything else to four digits."""
    return f"{100 * value:.1f}" if scale_of(metric) > 1 else f"{value:.4g}"


def reached_words(metric: str, value: float) -> str:
    """Return a value with its name: ``45.2 val mAP50``, ``peak memory (GB) 7.2``."""
    told, name = value_words(metric, value), objective_words(metric)
    return f"{name} {told}" if metric in COSTS else f"{told} {name}"


def difference_words(metric: str, difference: float) -> str:
    """Return a difference with its sign and, of average precisions, its unit."""
    return f"{100 * difference:+.1f} points" if scale_of(metric) > 1 else f"{difference:+.3g}"


def param_words(value: Value) -> str:
    """Return a parameter's value in as few digits as tell it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def point_words(search: Search, record: TrialRecord) -> str:
    """Return a trial's point: ``optimizer=adamw optimizer.lr=0.000312``."""
    return " ".join(f"{key}={param_words(value)}" for key, value in point_of(search, record).items())


def point_of(search: Search, record: TrialRecord) -> dict[str, Value]:
    """Return a trial's values by key, where the trial knows them by the names of dimensions."""
    keys = {dimension.name: dimension.key for dimension in search.dimensions}
    return {keys.get(name, name): value for name, value in record.trial.params.items()}


def overrides_of(search: Search, record: TrialRecord) -> list[str]:
    """Return what composes a trial's point again, to the last digit."""
    named = {dimension.name: dimension for dimension in search.dimensions}
    return [
        f"{named[name].key}={named[name].written(value)}" if name in named else f"{name}={value}"
        for name, value in record.trial.params.items()
    ]


def condition_words(dimension: Dimension) -> str:
    """Return when a dimension is there: ``optimizer: adam, adamw``; empty for always."""
    return "; ".join(f"{key}: {', '.join(values)}" for key, values in dimension.when.items())


def method_words(method: Mapping[str, Any]) -> str:
    """Return a sampler or a pruner with its options: ``successive_halving (pauses true, reduction_factor 3)``."""
    options = ", ".join(f"{key} {_option(value)}" for key, value in method.items() if key != "name")
    return f"{method['name']} ({options})" if options else str(method["name"])


def _option(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def aim_words(objective: Objective) -> str:
    """Return an objective with its direction: ``val mAP50, the more the better``."""
    return f"{objective_words(objective.metric)}, the {'more' if objective.is_maximized else 'less'} the better"


def limit_words(limit: Constraint) -> str:
    """Return a limit: ``peak memory (GB) at most 20``."""
    ends = [("at least", limit.min), ("at most", limit.max)]
    told = " and ".join(f"{word} {value_words(limit.metric, end)}" for word, end in ends if end is not None)
    return f"{objective_words(limit.metric)} {told}"


def stop_words(search: Search) -> str:
    """Return what ends a search: ``50 trials, or 3600 s, or val mAP50 of 45.0``."""
    told = [f"{search.n_trials} trials"]
    told += [f"{search.timeout_s:g} s"] if search.timeout_s is not None else []
    first = search.objectives[0].metric
    told += [f"{objective_words(first)} of {value_words(first, search.target)}"] if search.target is not None else []
    told += [f"{search.max_failures} failures"] if search.max_failures is not None else []
    return ", or ".join(told)
