"""What ``detsweep plan`` shows of a search: where it looks, how, when it ends, and what it will take."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runners.contract.dimensions import Dimension
from runners.contract.objectives import is_by_epoch
from runners.contract.search import Search
from sweeper.forecast.plan_table import SOURCES, plan_json
from sweeper.forecast.search_forecast import SearchForecast
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.planning.search_space import quoted
from sweeper.study.methods import pruner_defaults, sampler_defaults
from sweeper.view.trial_words import metric_words, short_value, value_words
from sweeper.view.wording import count, duration, size

DRAWN = {
    "tpe": "each where earlier trials were good (tpe; the first {n_startup_trials} at random)",
    "random": "each at random",
    "cmaes": "by cmaes, from generation to generation",
    "nsgaii": "by nsgaii, in generations of {population_size}",
    "qmc": "evenly over the space (qmc)",
    "grid": "all points, in order",
}
HOUR_S = 3600


def print_search_plan(console: Console, plan: Plan, search: Search, forecast: SearchForecast) -> None:
    """Print what a search will do, in the order in which a newcomer asks."""
    for notice in plan.notices:
        console.print(Text(f"note: {notice}"), soft_wrap=True)
    told = f"search {search.name}: up to {count(forecast.n_trials, 'trial')}"
    told += f", then up to {forecast.n_confirming} jobs that confirm the best" if forecast.n_confirming else ""
    console.print(Text(told))
    console.print(_space(search, plan.jobs[0].values))
    console.print(_told(search, plan.jobs[0], forecast))
    console.print()
    told = "Another range, other values, or one value that is then not searched, on the command line:"
    console.print(Text(told, "dim"))
    for line, n_ranges in override_lines(search, plan.jobs[0].values):
        note = "" if n_ranges == 1 else f"   # in the place of its {n_ranges} ranges"
        console.print(Text.assemble(f"  {line}", (note, "dim")), soft_wrap=True)


def search_plan_json(plan: Plan, search: Search, forecast: SearchForecast) -> dict[str, Any]:
    """Return the same for programs: what `plan_json` says of a sweep, where all trials are trained to their end.

    The one job that is listed is the default's.
    """
    told = plan_json(plan, forecast.most, [forecast.default])
    dimensions = [
        {"key": entry.key, "name": entry.name, **entry.describe(), "override": quoted(entry)}
        for entry in search.dimensions
    ]
    return {
        **told,
        "n_jobs": forecast.n_trials + forecast.n_confirming,
        "is_most": True,
        "search": {
            **search.describe(),
            "dimensions": dimensions,
            "default": dict(plan.jobs[0].values),
            "n_epochs": forecast.n_epochs,
            "rungs": list(forecast.rungs),
            "n_trials_at_most": forecast.n_trials,
            "n_confirming_at_most": forecast.n_confirming,
            "trial_s_at_most": forecast.largest.expected_s or None,
            "trial_memory_gb_at_most": forecast.largest.memory_gb or None,
            "trial_s_at_least": least_s(forecast) or None,
            "finish_s_if_rungs_hold": forecast.likely_s,
        },
    }


def least_s(forecast: SearchForecast) -> float:
    """Return how long a trial takes that rests or ends at the first rung; without rungs, a whole training."""
    share = forecast.rungs[0] / forecast.n_epochs if forecast.rungs else 1.0
    return share * forecast.default.expected_s


def override_lines(search: Search, default: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return what makes each dimension on a command line, quoted for a shell, and how many ranges its key has now.

    Of several ranges it is the default's.
    """
    lines = []
    for key in search.keys:
        ranges = [entry for entry in search.dimensions if entry.key == key]
        chosen = next((entry for entry in ranges if entry.applies(default)), ranges[0])
        lines.append((quoted(chosen), len(ranges)))
    return lines


def _space(search: Search, default: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    is_conditional = any(entry.when for entry in search.dimensions)
    table.add_column("searched", no_wrap=True)
    for name in ("only with", "values", "default") if is_conditional else ("values", "default"):
        table.add_column(name, overflow="fold")
    for entry in search.dimensions:
        value = short_value(default[entry.key]) if entry.applies(default) and entry.key in default else ""
        cells = [entry.key, *([_condition(entry)] if is_conditional else []), entry.ends(), value]
        table.add_row(*map(Text, cells))
    return table


def _condition(dimension: Dimension) -> str:
    return "; ".join(f"{key}={', '.join(values)}" for key, values in dimension.when.items())


def _told(search: Search, default: PlannedJob, forecast: SearchForecast) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, words in (*_what(search, default, forecast), *_needs(search, forecast)):
        table.add_row(Text(name), Text(words))
    return table


def _what(search: Search, default: PlannedJob, forecast: SearchForecast) -> Iterator[tuple[str, str]]:
    if search.exclude:
        yield "not tried", "; ".join(_pair(pair) for pair in search.exclude)
    yield "goal", " and ".join(f"{_way(one.metric, one.is_maximized)}" for one in search.objectives)
    if search.constraints:
        yield "limits", "; ".join(_limit(one.metric, one.min, one.max) for one in search.constraints)
    yield "trial 0", f"the default, to compare with: {default.title.rpartition('_trial')[0]}"
    yield "points", _points(search)
    yield "pruning", pruning_words(search, forecast)
    yield "ends", _ends(search)
    yield "confirmed", _confirmed(search, default)


def _needs(search: Search, forecast: SearchForecast) -> Iterator[tuple[str, str]]:
    most = forecast.most
    about = "roughly" if most.is_rough else "about"
    where = f" on {most.capacity.words}"
    if most.n_unknown or not most.device_s:
        yield "time", "not known: there are models that detsweep has no numbers of; the first trials will tell"
    else:
        hours = f"; {most.device_s / HOUR_S:.1f} device-hours" if most.device_s >= HOUR_S else ""
        finish_s = most.finish_s[len(most.capacity.offers)]
        yield "time", f"at most {about} {duration(finish_s)}{where}, every trial trained to its end{hours}"
        others = [f"{n}: {duration(s)}" for n, s in most.finish_s.items() if n != len(most.capacity.offers)]
        if others:
            yield "", f"with another number of devices: {', '.join(others)}"
    if forecast.likely_s is not None:
        likely, least = duration(forecast.likely_s), duration(least_s(forecast))
        first = f"{forecast.rungs[0]} of {count(forecast.n_epochs, 'epoch')}"
        told = f"{about} {likely} if one trial in {forecast.factor} goes on at each rung; a trial that "
        yield "", f"{told}{'rests' if search.pauses else 'ends'} at the first costs {first}, {about} {least}"
    if forecast.largest.memory_gb:
        device_gb = max(device.memory_gb for device in most.capacity.devices)
        fits = not device_gb or forecast.largest.memory_gb <= device_gb
        told = f"{forecast.default.memory_gb:.1f} GB for the default"
        if forecast.largest.memory_gb > 1.05 * forecast.default.memory_gb:
            told += f", up to about {forecast.largest.memory_gb:.1f} GB for others"
        hint = "; batch_per_step= splits the batch, precision=bf16 takes about a third less"
        yield "memory", told if fits else f"{told}: more than a device has ({device_gb:.1f} GB){hint}"
    disk = f"at most {size(most.disk.peak)} while it runs, {size(most.disk.stays)} stay (keep={most.disk.keep})"
    yield "disk", f"{disk}; {size(most.free_bytes)} free"
    if search.pauses:
        yield "", "most of it is what resting trials need to go on; those that are given up let go of it"
    if most.is_rough:
        yield "", "a rough guess: nothing like it was timed on this device yet; may be off by a factor of 3"
    yield "", f"from {SOURCES[forecast.default.source]}"


def pruning_words(search: Search, forecast: SearchForecast) -> str:
    """Return who is not trained to the end, and when that is decided."""
    name = search.pruner["name"]
    options = {**pruner_defaults(name, forecast.n_epochs, search.n_trials), **search.pruner}
    by = f" by {metric_words(search.prune_by)}"
    if name == "none":
        return "none: every trial is trained to its end"
    if name in ("successive_halving", "hyperband"):
        if not forecast.rungs:
            return f"none: no rung of {name} lies before the last of {count(forecast.n_epochs, 'epoch')}"
        *before, last = map(str, forecast.rungs)
        rungs = f"{', '.join(before)} and {last}" if before else last
        at = f"after epoch{'s' if before else ''} {rungs} of {forecast.n_epochs}{by}"
        share = f"the best 1 in {forecast.factor}"
        if search.pauses:
            return (
                f"{at} {share} of those that got there go on and the others rest; a trial that comes to be among them "
                "later goes on from its checkpoint, so nothing is trained twice; the default never rests"
            )
        brackets = " (hyperband: some trials are first judged at a later one)" if name == "hyperband" else ""
        return f"{at} {share} of those that got there go on and the others end{brackets}; the default always goes on"
    begins = f"from epoch {int(options.get('n_warmup_steps', 0)) + 1} of {forecast.n_epochs} on{by}"
    if name == "threshold":
        ends = [(word, options[key]) for word, key in (("below", "lower"), ("above", "upper")) if key in options]
        return f"{begins} a trial ends that is {' or '.join(f'{word} {value:g}' for word, value in ends)}"
    if name == "patient":
        return f"{by[1:]} a trial ends that has not got better for {count(int(options['patience']), 'epoch')}" + (
            f" and that {options['wrapped_pruner']['name']} would end" if options.get("wrapped_pruner") else ""
        )
    rank = "the median" if name == "median" else f"the best {options['percentile']:g} %"
    return f"{begins} a trial ends that is worse than {rank} of the others, once {options['n_startup_trials']} are done"


def _points(search: Search) -> str:
    name = search.sampler["name"]
    options = {**sampler_defaults(name, search.n_trials), **search.sampler}
    told = DRAWN[name].format_map({"n_startup_trials": 10, "population_size": 50, **options})
    given = ", ".join(f"{key} {value}" for key, value in search.sampler.items() if key != "name")
    warm = "; finished runs of the same recipes in the tracking store are told to it first" if search.warm_start else ""
    return told + (f", {given}" if given else "") + (warm if name != "grid" else "")


def _ends(search: Search) -> str:
    told = [f"after {count(search.n_trials, 'trial')}"]
    first = search.objectives[0].metric
    told += [f"with those that run after {duration(search.timeout_s)}"] if search.timeout_s is not None else []
    told += [f"at {metric_words(first)} {value_words(first, search.target)}"] if search.target is not None else []
    told += [f"at {count(search.max_failures, 'failed trial')}"] if search.max_failures is not None else []
    return ", or ".join(told) + ("" if search.max_failures is not None else "; failed trials end nothing")


def _confirmed(search: Search, default: PlannedJob) -> str:
    if not search.confirm:
        return "no: the best of many looks better than it is; search.confirm=3 trains it again on fresh seeds"
    best = "the best" if search.n_candidates == 1 else f"the {search.n_candidates} best"
    n_images = default.dataset.n_images.get("test", 0)
    return (
        f"{best} and the default are trained again with {count(search.confirm, 'fresh seed')} each, and judged on the "
        f"{n_images:,} images of test, which the search never sees"
    )


def _pair(pair: Mapping[str, tuple[str, ...]]) -> str:
    return " with ".join(f"{key}={', '.join(values)}" for key, values in pair.items())


def _way(metric: str, is_maximized: bool) -> str:
    when = " of the last epoch" if is_by_epoch(metric) else ""
    return f"{metric_words(metric)}{when}, the {'higher' if is_maximized else 'lower'} the better"


def _limit(metric: str, low: float | None, high: float | None) -> str:
    ends = [("at least", low), ("at most", high)]
    told = " and ".join(f"{word} {value_words(metric, end)}" for word, end in ends if end is not None)
    return f"{metric_words(metric)} {told}; a trial that breaks it does not win"
