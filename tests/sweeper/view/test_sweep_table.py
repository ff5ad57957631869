"""The one table of a sweep: which jobs it shows, what it says of them, and how it fits a terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from runners.contract.folder import SweepFolder
from runners.contract.records import MetricRecord
from sweeper.view.sweep_table import SweepTable
from sweeper.view.sweep_view import SweepView

NOW = 10_000.0


def tell(view: SweepView, at: float, event: str, **fields: Any) -> None:
    view.event({"at": at, "event": event, **fields})


def start(view: SweepView, at: float, job: str, slot: str, **fields: Any) -> None:
    told = {"attempt": 1, "resume": None, "batch_per_step": 16, "state": "RUNNING"} | fields
    tell(view, at, "started", job=job, slot=slot, **told)


def end(view: SweepView, at: float, job: str, state: str, reason: str | None = None) -> None:
    tell(view, at, "ended", job=job, attempt=1, state=state, reason=reason, kind=None)


def record(view: SweepView, at: float, job: str, iteration: int) -> None:
    told = {"phase": "train", "epoch": 3, "n_epochs": 12, "iteration": iteration, "n_iterations": 100}
    view.record(job, MetricRecord(at, 1, 1, {"iter/loss": 1.25, "val/bbox_mAP_50": 0.412}, told))


def sweep(n_jobs: int = 6) -> SweepView:
    """A sweep on two GPUs: 0001 done, 0002 failed, 0003 and 0004 running, the rest waits."""
    view = SweepView(SweepFolder(Path("nowhere")))
    for number in range(1, n_jobs + 1):
        values = {"backbone": ("resnet50", "resnet101")[number % 2], "neck": "fpn", "dataset.x.seed": str(number)}
        told = {"title": f"title {number}", "values": values, "expected_s": 4000.0, "memory_gb": 4.5}
        tell(view, 0.0, "planned", job=f"{number:04d}", state="PLANNED", **told)
    for device in ("gpu0", "gpu1"):
        tell(view, 0.0, "device_opened", device=device, name="H100", n_shares=1)
    start(view, 0.0, "0001", "gpu0")
    start(view, 0.0, "0002", "gpu1")
    end(view, 5000.0, "0001", "COMPLETED")
    end(view, 5000.0, "0002", "FAILED", "loss is NaN at iteration 7")
    for job, slot in (("0003", "gpu0"), ("0004", "gpu1")):
        start(view, 5000.0, job, slot)
        record(view, 5000.0, job, 0)
    record(view, NOW, "0003", 50)
    return view


def shown(view: SweepView, width: int = 140, height: int = 40) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(SweepTable(view, NOW, height))
    lines = out.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines[:-2])
    return lines


def test_running_jobs_come_first_and_failed_ones_keep_their_reason() -> None:
    assert [line.split() for line in shown(sweep())[:-2]] == [
        ["job", "backbone", "seed", "state", "slot", "epoch", "loss", "AP50", "GB", "left"],
        ["0003", "resnet101", "3", "training", "gpu0", "3/12", "1.250", "41.2", "~4.5", "1", "h", "23", "min"],
        ["0004", "resnet50", "4", "training", "gpu1", "3/12", "1.250", "41.2", "~4.5", "overdue"],
        ["0002", "resnet50", "2", "failed", "~4.5"],
        ["loss", "is", "NaN", "at", "iteration", "7"],
        ["0001", "resnet101", "1", "done", "~4.5"],
        ["0005", "resnet101", "5", "waiting", "~4.5"],
        ["0006", "resnet50", "6", "waiting", "~4.5"],
    ]
    assert shown(sweep())[-2] == "1 of 6 jobs done, 2 running, 4 left, 1 failed, devices busy 100 %"
    assert shown(sweep())[-1].startswith("finishes about ")
    assert shown(sweep())[-1].endswith(", in 2 h 47 min")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_it_fits_the_terminal(width: int) -> None:
    lines = shown(sweep(), width)
    assert lines[1].split()[0] == "0003"
    assert lines[1].rstrip().endswith("1 h 23 min")


def test_a_low_terminal_shows_something_of_each_kind_and_counts_the_rest() -> None:
    lines = shown(sweep(400), height=14)
    assert [line[:4] for line in lines[1:10]] == [
        "0003",
        "0004",
        "0002",
        "    ",
        "0001",
        "0005",
        "0006",
        "0007",
        "0008",
    ]
    assert lines[10] == "... and 392 more: 392 waiting"
    assert len(lines) < 14


def test_never_more_than_thirty_jobs() -> None:
    lines = shown(sweep(400), height=200)
    assert sum(line[:4].isdigit() for line in lines) <= 30


def test_without_an_axis_that_varies_the_title_tells_the_jobs_apart() -> None:
    view = SweepView(SweepFolder(Path("nowhere")))
    tell(view, 0.0, "planned", job="0001", state="PLANNED", title="a title of its own", values={"backbone": "resnet50"})
    lines = shown(view)
    assert lines[0].split()[:2] == ["job", "title"]
    assert "a title of its own" in lines[1]


def test_half_a_batch_is_marked_even_where_there_is_no_room_for_remarks() -> None:
    view = sweep()
    end(view, 6000.0, "0004", "PAUSED", "CUDA out of memory")
    start(view, 6001.0, "0004", "gpu1", attempt=2, batch_per_step=8, resume="checkpoints/a1.pth")
    assert [line.split()[0] for line in shown(view, 70)[1:3]] == ["0003", "0004*"]
    assert any(line.startswith("* half the images") for line in shown(view, 70))
    assert "attempt 2, resumed" in shown(view)[2]


def test_hostile_text_is_shown_as_plain_letters() -> None:
    view = sweep()
    values = {"backbone": "[red]\x1b[31mresnet\n", "dataset.x.seed": "1"}
    tell(view, NOW, "planned", job="0007", state="PLANNED", title="x", values=values)
    end(view, NOW, "0003", "FAILED", "bad\x1b]0;title\x07 [link=x]\nreason")
    lines = shown(view)
    assert any("[red]resnet" in line for line in lines)
    assert any(line.strip() == "bad [link=x] reason" for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_a_sweep_that_nobody_runs_promises_no_time() -> None:
    view = sweep()
    view.is_live = False
    lines = shown(view)
    assert lines[1].split()[3] == "cut"
    assert lines[-1] == "1 of 6 jobs done, 4 left, 1 failed"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"event": "stop_asked", "reason": "interrupt", "signal": 2}, "stopping (interrupt): running jobs save"),
        ({"event": "paused"}, "on hold; "),
    ],
)
def test_a_sweep_that_stops_says_so_where_it_would_say_when_it_finishes(event: dict[str, Any], told: str) -> None:
    view = sweep()
    view.event({"at": NOW, **event})
    assert shown(view)[-1].startswith(told)
