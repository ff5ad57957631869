"""``detsweep plan``: the jobs of a command line and what they will take, on the devices that there are."""

import json
import shutil
from pathlib import Path

from rich.console import Console

from sweeper.forecast.job_estimates import JobForecast
from sweeper.forecast.plan_table import make_forecast, plan_json, print_plan
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
    jobs = JobForecast(settings, capacity, len(plan.jobs), output_dir)
    folder = next(path for path in (output_dir, *output_dir.parents) if path.exists())
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
