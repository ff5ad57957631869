"""``detsweep plan``: the jobs of a command line and what they will take, on the devices that there are."""

import json
import shutil
from pathlib import Path

from rich.console import Console

from runners.contract.search import read_search
from sweeper.forecast.job_estimates import JobForecast
from sweeper.forecast.plan_table import make_forecast, plan_json, print_plan
from sweeper.forecast.search_forecast import make_search_forecast
from sweeper.forecast.search_plan import print_search_plan, search_plan_json
from sweeper.hardware.machine import find_capacity
from sweeper.planning.plan import Plan


def show_plan(console: Console, plan: Plan, output_dir: Path, is_json: bool) -> int:
    """Print a plan for people or for programs; starts nothing, and writes nothing but data sets it has to look at.

    Args:
        console: where to print for people.
        plan: the plan.
        output_dir: where earlier sweeps have left what they measured.
        is_json: print one JSON object instead.

    Raises:
        UserError: the devices are not there.
    """
    settings = plan.settings
    capacity = find_capacity(settings)
    jobs = JobForecast(settings, capacity, plan.n_jobs, output_dir)
    folder = next(path for path in (output_dir, *output_dir.parents) if path.exists())
    if settings["search"] is not None:
        search = read_search(settings["search"], "search")
        found = make_search_forecast(plan, search, jobs, capacity, shutil.disk_usage(folder).free)
        if is_json:
            print(json.dumps(search_plan_json(plan, search, found), ensure_ascii=False))
        else:
            print_search_plan(console, plan, search, found)
        return 0
    forecast = make_forecast(
        [jobs.estimate(job) for job in plan.jobs],
        capacity,
        jobs.disk(plan.jobs),
        shutil.disk_usage(folder).free,
        settings["devices_per_job"],
    )
    if is_json:
        print(json.dumps(plan_json(plan, forecast), ensure_ascii=False))
    else:
        print_plan(console, plan, forecast)
    return 0
