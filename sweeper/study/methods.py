"""What Optuna's samplers and pruners are called here, which options they have, and which defaults fit a search.

What is left out is what a YAML file cannot say (functions), what Optuna is about to drop, and ``gp``, which wants torch
in the controller. Of the rest an option has Optuna's own name, meaning and default unless `sampler_defaults` or
`pruner_defaults` name another.
"""

from collections.abc import Mapping
from typing import Any

from runners.contract.search import Search
from sweeper.planning.overrides import nearest
from sweeper.study.rungs import REDUCTION_FACTOR, first_rung

SAMPLER_OPTIONS: Mapping[str, Mapping[str, type]] = {
    "tpe": {
        "n_startup_trials": int,
        "n_ei_candidates": int,
        "multivariate": bool,
        "group": bool,
        "constant_liar": bool,
    },
    "random": {},
    "cmaes": {
        "n_startup_trials": int,
        "popsize": int,
        "consider_pruned_trials": bool,
        "use_separable_cma": bool,
        "with_margin": bool,
        "lr_adapt": bool,
    },
    "nsgaii": {"population_size": int, "mutation_prob": float, "crossover_prob": float, "swapping_prob": float},
    "qmc": {"qmc_type": str},
    "grid": {},
}
PRUNER_OPTIONS: Mapping[str, Mapping[str, type]] = {
    "none": {},
    "median": {"n_startup_trials": int, "n_warmup_steps": int, "interval_steps": int, "n_min_trials": int},
    "percentile": {
        "percentile": float,
        "n_startup_trials": int,
        "n_warmup_steps": int,
        "interval_steps": int,
        "n_min_trials": int,
    },
    "successive_halving": {
        "pauses": bool,
        "min_resource": int,
        "reduction_factor": int,
        "min_early_stopping_rate": int,
        "bootstrap_count": int,
    },
    "hyperband": {"min_resource": int, "max_resource": int, "reduction_factor": int, "bootstrap_count": int},
    "threshold": {"lower": float, "upper": float, "n_warmup_steps": int, "interval_steps": int},
    "patient": {"patience": int, "min_delta": float, "wrapped_pruner": dict},
}
# What the pausing rungs know of the options of successive halving.
_OF_RUNGS = ("pauses", "min_resource", "reduction_factor")
_IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a name", dict: "{name: ...}"}


def sampler_defaults(name: str, n_trials: int) -> dict[str, Any]:
    """Return the options that differ from Optuna's own.

    Args:
        name: of the sampler.
        n_trials: that are trained. TPE draws a fifth of them at random before it begins, at least 5 and at most 10
            (Optuna: 10), and models the dimensions of each branch of a conditional space together. Generations of
            NSGA-II hold a fifth, at least 8 and at most 50 (Optuna: 50), as the first is drawn at random.
    """
    if name == "tpe":
        return {
            "n_startup_trials": max(5, min(10, n_trials // 5)),
            "multivariate": True,
            "group": True,
            "constant_liar": True,
        }
    return {"population_size": max(8, min(50, n_trials // 5))} if name == "nsgaii" else {}


def pruner_defaults(name: str, n_epochs: int, n_trials: int) -> dict[str, Any]:
    """Return the options that differ from Optuna's own.

    Args:
        name: of the pruner.
        n_epochs: of a whole training, the largest resource. Successive halving and Hyperband judge first after a ninth
            of them and let one in three go on; the others judge after every epoch from a quarter on, as the warm-up of
            the learning rate says little.
        n_trials: that are trained. A tenth of them, 3 to 5, are completed before the median of them prunes.
    """
    quarter = max(1, n_epochs // 4)
    startup: dict[str, Any] = {"n_startup_trials": max(3, min(5, n_trials // 10)), "n_warmup_steps": quarter}
    halving: dict[str, Any] = {"min_resource": first_rung(n_epochs), "reduction_factor": REDUCTION_FACTOR}
    defaults: dict[str, dict[str, Any]] = {
        "median": startup,
        "percentile": {"percentile": 25.0, **startup},
        "successive_halving": halving,
        "hyperband": {**halving, "max_resource": n_epochs},
        "threshold": {"n_warmup_steps": quarter},
        "patient": {"patience": quarter, "wrapped_pruner": None},
    }
    return defaults.get(name, {})


def notice_of(search: Search) -> str | None:
    """Return what a sampler does not do for a search's space, for the user to read once; None: it does all."""
    name = search.sampler["name"]
    under_conditions = [entry.name for entry in search.dimensions if entry.when]
    apart = list(under_conditions) if name in ("cmaes", "nsgaii", "qmc") else []
    if name == "cmaes":
        apart = [entry.name for entry in search.dimensions if entry.when or entry.kind == "categorical"]
    parts = []
    if apart:
        parts.append(f"{', '.join(apart)} drawn at random, as {name} knows {_KNOWN[name]}; tpe takes them in")
    if search.constraints and name not in ("tpe", "nsgaii"):
        limits = ", ".join(constraint.metric for constraint in search.constraints)
        parts.append(f"limits on {limits} judge what was trained, and {name} does not keep to them when it chooses")
    return f"search {search.name}: {'; '.join(parts)}" if parts else None


_KNOWN = {
    "cmaes": "only numbers that are there in every trial",
    "nsgaii": "only what is there in every trial",
    "qmc": "only what is there in every trial",
}


def split(node: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a method's name and the options that were given."""
    return str(node["name"]), {key: value for key, value in node.items() if key != "name" and value is not None}


def pruner_problems(node: Mapping[str, Any], n_epochs: int, where: str) -> list[str]:
    """Return a line for each option of a pruner that is unknown, or out of range for so many epochs."""
    problems = option_problems("pruner", node, PRUNER_OPTIONS, where)
    if problems:
        return problems
    name, options = split(node)
    first = options.get("min_resource", 1)
    if not 1 <= first <= max(1, n_epochs - 1):
        problems.append(
            f"number out of range in {where}: pruner {name} min_resource {first}; an epoch before the last one, "
            f"1 to {max(1, n_epochs - 1)}"
        )
    if options.get("reduction_factor", 2) < 2:
        problems.append(
            f"number out of range in {where}: pruner {name} reduction_factor {options['reduction_factor']}; 2 or more"
        )
    if options.get("max_resource", n_epochs) < max(first, 1):
        problems.append(
            f"number out of range in {where}: pruner {name} max_resource {options['max_resource']}; "
            f"at least min_resource {first}"
        )
    unknown = [key for key in options if key not in _OF_RUNGS] if options.get("pauses") else []
    if unknown:
        problems.append(
            f"unknown option in {where}: pruner {name} {', '.join(unknown)} beside pauses: true; with pauses it has "
            f"{', '.join(_OF_RUNGS[1:])}"
        )
    wrapped = options.get("wrapped_pruner")
    if wrapped is not None:
        known = [other for other in PRUNER_OPTIONS if other not in ("none", "patient")]
        if wrapped.get("name") not in known:
            near = nearest(str(wrapped.get("name")), known)
            problems.append(
                f"unknown pruner in {where}: wrapped_pruner {wrapped.get('name')}; one of {', '.join(known)}{near}"
            )
        else:
            problems += pruner_problems(wrapped, n_epochs, where)
    return problems


def option_problems(
    what: str, node: Mapping[str, Any], known: Mapping[str, Mapping[str, type]], where: str
) -> list[str]:
    """Return a line for each option that a method does not have, or that has a value of the wrong kind."""
    name, options = split(node)
    if name == "gp":
        return [f"unknown {what} in {where}: gp; it needs torch where the search decides: use tpe"]
    if name not in known:
        return [f"unknown {what} in {where}: {name}; one of {', '.join(known)}{nearest(name, known)}"]
    has = known[name]
    listed = f"it has {', '.join(has)}" if has else "it has none"
    problems = [
        f"unknown option in {where}: {what} {name} {key}; {listed}{nearest(key, has)}"
        for key in options
        if key not in has
    ]
    for key, value in options.items():
        if key in has and not _is_of(value, has[key]):
            problems.append(f"wrong value in {where}: {what} {name} {key} {value}; {_IN_WORDS[has[key]]}")
    return problems


def _is_of(value: Any, kind: type) -> bool:
    if kind is dict:
        return isinstance(value, Mapping)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)
