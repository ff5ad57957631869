"""A search's points, values and metrics in as few letters as tell them apart in a line of a terminal."""

from collections.abc import Mapping, Sequence

from runners.contract.objectives import Objective, scale_of
from runners.contract.trials import Trial

# Of values that a sampler drew; the exact ones stand in the job's config.
N_DIGITS = 3


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, ``lr`` of ``optimizer.lr``; the whole key where others end alike."""
    last = {key: key.rpartition(".")[2].rpartition("/")[2] for key in keys}
    return {key: name if list(last.values()).count(name) == 1 else key for key, name in last.items()}


def short_value(value: str) -> str:
    """Return a value of an override with three digits if it is a number with more of them."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if value.lstrip("+-").isdigit() else f"{number:.{N_DIGITS}g}"


def point_words(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return a trial's point: ``optimizer=adamw lr=0.000312``.

    Args:
        values: key to value.
        keys: of the search; others are left out.
    """
    names = short_names(keys)
    return " ".join(f"{names[key]}={short_value(values[key])}" for key in keys if key in values)


def trial_words(trial: Trial, seed: str | None = None) -> str:
    """Return what people call a trial: ``trial 7``, ``default``, ``trial 7 seed 3`` of one that confirms."""
    name = "default" if trial.number == 0 and trial.origin != "warm" else f"trial {trial.number}"
    return f"{name} seed {seed}" if trial.origin == "confirm" and seed is not None else name


def metric_words(metric: str) -> str:
    """Return a metric's name: ``val mAP50`` for ``val/bbox_mAP_50``; others as they stand in the search."""
    split, _, name = metric.partition("/")
    if split != "val" or "class/" in name:
        return metric
    return f"{split} {name.removeprefix('bbox_').replace('mAP_', 'mAP')}"


def value_words(metric: str, value: float) -> str:
    """Return a value as it is shown: average precisions in points, anything else to four digits."""
    return f"{scale_of(metric) * value:.1f}" if scale_of(metric) > 1 else f"{value:.4g}"


def difference_words(objective: Objective, value: float, default: float) -> str:
    """Return a value less the default's, with its sign; of average precisions in points."""
    difference = objective.scale * (value - default)
    return f"{difference:+.1f}" if objective.scale > 1 else f"{difference:+.3g}"
