"""What a search will take: at most, if every trial is trained to its end; and about, if trials go on rung by rung."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from runners.contract.search import Search
from sweeper.control.packing import Need
from sweeper.forecast.disk import DiskNeed
from sweeper.forecast.estimates import Estimate
from sweeper.forecast.job_estimates import JobForecast
from sweeper.forecast.makespan import expected_finish
from sweeper.forecast.plan_table import Forecast, make_forecast
from sweeper.hardware.machine import Capacity
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.study.rungs import REDUCTION_FACTOR, first_rung, rung_epochs


@dataclass(frozen=True)
class SearchForecast:
    """What a search will take.

    Attributes:
        n_trials: that may be trained, the default's among them.
        n_confirming: jobs that confirm the best, at most.
        n_epochs: of a whole training.
        rungs: the epochs after which trials are judged; empty where none is.
        factor: one trial in so many goes on from a rung.
        default: what the default needs.
        largest: what the most demanding trial may need.
        most: all jobs, each trained to its end.
        likely_s: seconds until all is done if one trial in `factor` goes on at each rung; None without rungs.
    """

    n_trials: int
    n_confirming: int
    n_epochs: int
    rungs: tuple[int, ...]
    factor: int
    default: Estimate
    largest: Estimate
    most: Forecast
    likely_s: float | None


def make_search_forecast(
    plan: Plan, search: Search, jobs: JobForecast, capacity: Capacity, free_bytes: int
) -> SearchForecast:
    """Reckon what a search will take.

    Args:
        plan: of the search: the default's job, and samples of all that may come up.
        search: what it searches.
        jobs: estimates jobs.
        capacity: the devices that there are.
        free_bytes: of the disk.

    Raises:
        UserError: a job wants more devices than there are.
    """
    (first,) = plan.jobs
    n_devices = plan.settings["devices_per_job"]
    n_epochs = int(first.config["n_epochs"])
    default = jobs.estimate(first)
    samples = [replace(job, job_id=f"sample {number}") for number, job in enumerate(plan.samples)]
    estimates = [jobs.estimate(job) for job in samples]
    largest = largest_need(search, default, samples, estimates)
    n_trials, n_confirming = search.n_trials, search.confirm * (search.n_candidates + 1)
    needs = [default, *[largest] * (n_trials - 1), *[default] * search.confirm]
    needs += [largest] * (n_confirming - search.confirm)
    # Of two that are as heavy the one that holds more; which of them will come nobody knows.
    heaviest = max([first, *samples], key=lambda job: jobs.disk([job]).peak)
    disk: DiskNeed = jobs.disk([heaviest] * len(needs), may_rest=search.pauses)
    most = make_forecast(needs, capacity, disk, free_bytes, n_devices)
    rungs, factor = rungs_of(search, n_epochs)
    likely_s = None
    if rungs and most.device_s and not most.n_unknown:
        usual_s = median(estimate.expected_s for estimate in (default, *estimates))
        need = Need(n_devices, largest.memory_gb)
        parts = [(usual_s * epoch / n_epochs, need) for epoch in likely_epochs(n_trials - 1, rungs, factor, n_epochs)]
        whole = [(estimate.expected_s, need) for estimate in (default, *needs[n_trials:])]
        likely_s = expected_finish([*whole, *parts], capacity.offers)
    return SearchForecast(n_trials, n_confirming, n_epochs, rungs, factor, default, largest, most, likely_s)


def rungs_of(search: Search, n_epochs: int) -> tuple[tuple[int, ...], int]:
    """Return the epochs after which trials are judged, and how many of them one goes on of; empty without rungs.

    Args:
        search: whose pruner was found fit to build.
        n_epochs: of a whole training.
    """
    if search.pruner["name"] not in ("successive_halving", "hyperband"):
        return (), REDUCTION_FACTOR
    factor = int(search.pruner.get("reduction_factor") or REDUCTION_FACTOR)
    given = search.pruner.get("min_resource")
    return rung_epochs(n_epochs, first_rung(n_epochs, factor) if given is None else int(given), factor), factor


def likely_epochs(n_trials: int, rungs: Sequence[int], factor: int, n_epochs: int) -> list[int]:
    """Return for how long each trial is trained if at each rung one in `factor` of those there goes on."""
    epochs: list[int] = []
    left = n_trials
    for rung in rungs:
        gone_on = min(left, max(1, left // factor)) if left else 0
        epochs += [rung] * (left - gone_on)
        left = gone_on
    return [*epochs, *[n_epochs] * left]


def largest_need(
    search: Search, default: Estimate, samples: Sequence[PlannedJob], estimates: Sequence[Estimate]
) -> Estimate:
    """Return what the most demanding point may need: what its dimensions cost over the first point's, multiplied.

    No time where that of any point is unknown.

    Args:
        search: the search.
        default: what its default needs.
        samples: points that have every choice of every dimension once; most differ from the first in one.
        estimates: what each of them needs.
    """
    if not samples:
        return default
    if not all(estimate.expected_s and estimate.memory_gb for estimate in estimates):
        return Estimate(0.0, max(estimate.memory_gb for estimate in (default, *estimates)), "unknown")
    base, start = estimates[0], samples[0].values
    seconds, memory = base.expected_s, base.memory_gb
    for key in search.keys:
        ratios = [
            (estimate.expected_s / base.expected_s, estimate.memory_gb / base.memory_gb)
            for job, estimate in zip(samples, estimates, strict=True)
            if key in job.values and _n_changed(job.values, start) == 1 and job.values[key] != start.get(key)
        ]
        seconds *= max([1.0, *(ratio for ratio, _ in ratios)])
        memory *= max([1.0, *(ratio for _, ratio in ratios)])
    seconds = max([seconds, default.expected_s, *(estimate.expected_s for estimate in estimates)])
    memory = max([memory, default.memory_gb, *(estimate.memory_gb for estimate in estimates)])
    is_rough = any(estimate.is_rough for estimate in (default, *estimates))
    source = next((estimate.source for estimate in estimates if estimate.is_rough), default.source)
    return Estimate(seconds, memory, source, is_rough)


def _n_changed(values: Mapping[str, str], start: Mapping[str, str]) -> int:
    """Return on how many keys that both have two points differ."""
    return sum(values[key] != start[key] for key in values if key in start)
