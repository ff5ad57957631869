"""What ``detsweep plan`` shows: every job with what it will need, and what the sweep will take in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runners.contract.errors import UserError
from sweeper.control.packing import Need
from sweeper.forecast.disk import DiskNeed
from sweeper.forecast.estimates import Estimate
from sweeper.forecast.makespan import expected_finish
from sweeper.hardware.machine import Capacity
from sweeper.planning.plan import Plan
from sweeper.view.wording import count, duration, size

N_SHOWN = 40
N_NAMED = 5
OTHER_N_DEVICES = (1, 2, 4)
MIN_TITLE = 16
# Rich puts this much around and between cells.
CELL_PADDING = 3
HOUR_S = 3600

SOURCES = {
    "measured": "measured: a finished job of the same model, size, batch and precision",
    "probe": "probe: a few iterations of it",
    "zoo": "zoo: mmdet's published training memory, scaled to size, batch, precision and optimizer",
    "model": "model: reckoned from what the model keeps for its backward pass",
    "unknown": "unknown: a model that detsweep has no numbers of; its probe will tell",
}


@dataclass(frozen=True)
class Forecast:
    """What a sweep will take.

    Attributes:
        estimates: of each job, in the plan's order.
        n_devices: devices that each job occupies.
        capacity: the devices that there are.
        finish_s: seconds until all is done, by the number of devices; that of those that there are among them.
        disk: what it writes.
        free_bytes: of the disk.
    """

    estimates: Sequence[Estimate]
    n_devices: int
    capacity: Capacity
    finish_s: Mapping[int, float]
    disk: DiskNeed
    free_bytes: int

    @property
    def device_s(self) -> float:
        """Seconds of one device that all jobs take together."""
        return sum(estimate.expected_s for estimate in self.estimates) * self.n_devices

    @property
    def is_rough(self) -> bool:
        """Whether any time leans on nothing that was timed here."""
        return any(estimate.is_rough for estimate in self.estimates)

    @property
    def n_unknown(self) -> int:
        """Jobs of which no time is known, and which no sum counts."""
        return sum(estimate.expected_s == 0.0 for estimate in self.estimates)


def make_forecast(
    estimates: Sequence[Estimate],
    capacity: Capacity,
    disk: DiskNeed,
    free_bytes: int,
    n_devices: int = 1,
) -> Forecast:
    """Reckon what a sweep will take, with the devices that there are and with other numbers of them.

    Args:
        estimates: of each job.
        capacity: the devices that there are.
        disk: what the sweep writes.
        free_bytes: of the disk.
        n_devices: devices that each job occupies.

    Raises:
        UserError: a job wants more devices than there are.
    """
    if n_devices > len(capacity.offers):
        raise UserError(
            f"devices in devices_per_job={n_devices}: found {len(capacity.offers)} ({capacity.words}); take fewer"
        )
    jobs = [(estimate.expected_s, Need(n_devices, estimate.memory_gb)) for estimate in estimates]
    offers = capacity.offers
    # Nobody has a second CPU.
    others = OTHER_N_DEVICES if capacity.devices[0].kind == "cuda" else ()
    numbers = sorted({len(offers), *(number for number in others if number >= n_devices)})
    finish_s = {
        number: expected_finish(jobs, offers if number == len(offers) else [offers[0]] * number) for number in numbers
    }
    return Forecast(estimates, n_devices, capacity, finish_s, disk, free_bytes)


def print_plan(console: Console, plan: Plan, forecast: Forecast) -> None:
    """Print the plan and what it will take."""
    for notice in plan.notices:
        console.print(Text(f"note: {notice}"), soft_wrap=True)
    console.print(_table(plan, forecast, console.width))
    for line in summary(plan, forecast):
        console.print(Text(line))


def plan_json(plan: Plan, forecast: Forecast, estimates: Sequence[Estimate] | None = None) -> dict[str, Any]:
    """Return the same for programs; times in seconds, memory and disk in 1e9 bytes, null where nothing is known.

    Args:
        plan: the plan.
        forecast: what it will take.
        estimates: of the plan's jobs; None for the forecast's, which of a search counts jobs that are not planned yet.
    """
    return {
        "n_jobs": len(plan.jobs),
        "devices": forecast.capacity.words,
        "n_devices": len(forecast.capacity.offers),
        "device_hours": forecast.device_s / 3600,
        "finish_s": forecast.finish_s[len(forecast.capacity.offers)],
        "finish_s_by_n_devices": {str(number): seconds for number, seconds in forecast.finish_s.items()},
        "is_rough": forecast.is_rough,
        "n_jobs_of_unknown_time": forecast.n_unknown,
        "disk": {
            "stays_gb": forecast.disk.stays / 1e9,
            "peak_gb": forecast.disk.peak / 1e9,
            "free_gb": forecast.free_bytes / 1e9,
            "keep": forecast.disk.keep,
        },
        "notices": list(plan.notices),
        "jobs": [
            {
                "job": job.job_id,
                "title": job.title,
                "values": dict(job.values),
                "n_devices": forecast.n_devices,
                "expected_s": estimate.expected_s or None,
                "memory_gb": estimate.memory_gb or None,
                "source": estimate.source,
                "is_rough": estimate.is_rough,
            }
            for job, estimate in zip(plan.jobs, estimates or forecast.estimates, strict=True)
        ],
    }


def summary(plan: Plan, forecast: Forecast) -> list[str]:
    """Return the lines below the table."""
    about = "roughly" if forecast.is_rough else "about"
    n_there = len(forecast.capacity.offers)
    lines = []
    if forecast.device_s:
        lines.append(
            f"done in {about} {duration(forecast.finish_s[n_there])} on {forecast.capacity.words}"
            + (f"; {forecast.device_s / 3600:.1f} device-hours" if forecast.device_s >= HOUR_S else "")
        )
        others = [
            f"{number}: {duration(seconds)}" for number, seconds in forecast.finish_s.items() if number != n_there
        ]
        if others:
            lines.append(f"with another number of devices: {', '.join(others)}")
    if forecast.n_unknown:
        lines.append(f"{count(forecast.n_unknown, 'job')} of unknown length not counted")
    disk = forecast.disk
    lines.append(
        f"disk: up to {size(disk.peak)} while it runs, {size(disk.stays)} stay (keep={disk.keep}); "
        f"{size(forecast.free_bytes)} free"
    )
    lines += _too_large(plan, forecast)
    if forecast.is_rough:
        lines.append("~ a rough guess: nothing like it was timed on this device yet; may be off by a factor of 3")
    found = {estimate.source for estimate in forecast.estimates}
    lines += [f"from {text}" for source, text in SOURCES.items() if source in found]
    return lines


def _too_large(plan: Plan, forecast: Forecast) -> list[str]:
    """Return a line if jobs may not fit on any device."""
    most_gb = max(device.memory_gb for device in forecast.capacity.devices)
    pairs = zip(plan.jobs, forecast.estimates, strict=True)
    large = [job.job_id for job, estimate in pairs if most_gb and estimate.memory_gb > most_gb]
    if not large:
        return []
    named = ", ".join(large[:N_NAMED]) + (f" and {len(large) - N_NAMED} more" if len(large) > N_NAMED else "")
    return [
        f"note: {count(len(large), 'job')} may need more memory than a device has ({most_gb:.1f} GB): {named}; "
        "batch_per_step= splits the batch, precision=bf16 takes about a third less"
    ]


def _table(plan: Plan, forecast: Forecast, width: int) -> Table:
    shown = plan.jobs[:N_SHOWN]
    columns = {
        "time": [_time(estimate) for estimate in forecast.estimates[:N_SHOWN]],
        "memory": [_memory(estimate) for estimate in forecast.estimates[:N_SHOWN]],
        "from": [estimate.source for estimate in forecast.estimates[:N_SHOWN]],
    }
    # Of detectors that are gone through beside configs of MMDetection, ours name none.
    axes = {key: [job.values.get(key, "–") for job in shown] for key in plan.axes.values}
    left = width - _width({"job": [job.job_id for job in shown], **columns}) - CELL_PADDING
    if max(map(len, (job.title for job in shown)), default=0) + _width(axes) <= left:
        columns = {**axes, **columns}  # titles tell them too, so they come where there is room
        left -= _width(axes)
    table = Table(title=plan.count, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    if len(plan.jobs) > len(shown):
        table.caption = f"... and {len(plan.jobs) - len(shown):,} more; --json lists all"
    table.add_column("job")
    table.add_column("title", overflow="fold")
    for name in columns:
        table.add_column(Text(name), justify="right" if name in ("time", "memory") else "left", no_wrap=True)
    for number, job in enumerate(shown):
        title = folded_title(job.title, max(left, MIN_TITLE))
        table.add_row(job.job_id, Text(title), *(Text(cells[number]) for cells in columns.values()))
    return table


def folded_title(title: str, width: int) -> str:
    """Return a title on as many lines as it needs, each at most so wide, broken between its words where that helps."""
    lines = [""]
    for word in title.replace("_", "_\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Return what columns take of a line, the space between them included."""
    return sum(max(map(len, (name, *cells))) + CELL_PADDING for name, cells in columns.items())


def _time(estimate: Estimate) -> str:
    if not estimate.expected_s:
        return "–"
    return f"{'~' if estimate.is_rough else ''}{duration(estimate.expected_s)}"


def _memory(estimate: Estimate) -> str:
    return f"{estimate.memory_gb:.1f} GB" if estimate.memory_gb else "–"
