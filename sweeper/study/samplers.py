"""Optuna's samplers and pruners, built by name from what a search says of them."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna import pruners, samplers

from runners.contract.errors import UserError
from runners.contract.objectives import scale_of
from runners.contract.search import Search
from sweeper.study.methods import (
    SAMPLER_OPTIONS,
    option_problems,
    pruner_defaults,
    pruner_problems,
    sampler_defaults,
    split,
)

SAMPLERS: Mapping[str, Any] = {
    "tpe": samplers.TPESampler,
    "random": samplers.RandomSampler,
    "cmaes": samplers.CmaEsSampler,
    "nsgaii": samplers.NSGAIISampler,
    "qmc": samplers.QMCSampler,
}
PRUNERS: Mapping[str, Any] = {
    "none": pruners.NopPruner,
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "successive_halving": pruners.SuccessiveHalvingPruner,
    "hyperband": pruners.HyperbandPruner,
    "threshold": pruners.ThresholdPruner,
    "patient": pruners.PatientPruner,
}


@contextmanager
def unheard() -> Iterator[None]:
    """Keep what Optuna has to say to programmers (experimental, deprecated, drawn independently) off the terminal."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_methods(search: Search, n_epochs: int, where: str) -> None:
    """See that sampler and pruner can be built.

    Args:
        search: whose names are known to be Optuna's.
        n_epochs: of a whole training.
        where: the file, for messages.

    Raises:
        UserError: all that is wrong with their options.
    """
    problems = option_problems("sampler", search.sampler, SAMPLER_OPTIONS, where)
    told = pruner_problems(search.pruner, n_epochs, where)
    with unheard():
        if not problems:
            problems += _refusal("sampler", search.sampler, where, lambda: build_sampler(search))
        if not told:
            told += _refusal("pruner", search.pruner, where, lambda: build_pruner(search, n_epochs))
    if problems or told:
        raise UserError(*problems, *told)


def build_sampler(search: Search, n_told: int = 0) -> Any:
    """Return the sampler of a search.

    Args:
        search: checked by `check_methods`.
        n_told: trials that are known already; another seed follows from it, or a resumed search would draw again what
            it drew first.

    Returns:
        Optuna's sampler; of a grid, whose points are given, one that draws at random.
    """
    name, options = split(search.sampler)
    if name == "grid":
        return build_random(search, n_told)
    seed = (search.seed + n_told) % 2**32
    options = {**sampler_defaults(name, search.n_trials), **options}
    if options.get("multivariate") is False and "group" not in search.sampler:
        options["group"] = False  # groups are of dimensions that are modelled together
    if name == "qmc":
        # The sequence is the seed's, and goes on where it was: its trials are asked for once more.
        options |= {"seed": search.seed, "scramble": True, "independent_sampler": samplers.RandomSampler(seed=seed)}
        options |= {"warn_asynchronous_seeding": False}
    else:
        options["seed"] = seed
    if name == "tpe" and search.pauses:
        options["gamma"] = _n_good
    if name in ("cmaes", "qmc"):
        options["warn_independent_sampling"] = False
    return SAMPLERS[name](**options)


def _n_good(n_told: int) -> int:
    """Return how many of the trials that TPE knows it takes for the good ones: a fifth, at most 25.

    Optuna's tenth is of trials that were trained to the end. Where trials rest most of what is known cost an epoch or
    two, and a tenth would be the completed ones alone, the default among them: ``benchmarks/search_compute.py``.
    """
    return min(math.ceil(n_told / 5), 25)


def build_random(search: Search, n_told: int) -> Any:
    """Return a sampler that draws at random, for points that the search's own cannot bring."""
    return samplers.RandomSampler(seed=(search.seed + n_told) % 2**32)


def build_pruner(search: Search, n_epochs: int) -> Any:
    """Return the pruner of a search, checked by `check_methods`; one that prunes nothing where `Rungs` decides."""
    if search.pauses:
        return pruners.NopPruner()
    return _build_pruner(search.pruner, n_epochs, search.n_trials, scale_of(search.prune_by))


def _build_pruner(node: Mapping[str, Any], n_epochs: int, n_trials: int, scale: float) -> Any:
    name, given = split(node)
    given.pop("pauses", None)
    options = {**pruner_defaults(name, n_epochs, n_trials), **given}
    # Average precisions are written in points, and reported in 0-1.
    options |= {key: options[key] / scale for key in ("lower", "upper", "min_delta") if key in options}
    if options.get("wrapped_pruner") is not None:
        options["wrapped_pruner"] = _build_pruner(options["wrapped_pruner"], n_epochs, n_trials, scale)
    return PRUNERS[name](**options)


def _refusal(what: str, node: Mapping[str, Any], where: str, build: Any) -> list[str]:
    """Return what Optuna says against the options of a method."""
    try:
        build()
    except (ValueError, TypeError, AssertionError) as error:
        name, options = split(node)
        told = ", ".join(f"{key} {value}" for key, value in options.items()) or "no options"
        return [f"wrong options in {where}: {what} {name}, {told}; {' '.join(str(error).split())}"]
    return []
