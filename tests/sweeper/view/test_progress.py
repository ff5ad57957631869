"""What a person sees while a sweep runs: lines, or a table above which lines scroll."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import MetricRecord
from sweeper.view.progress import Progress, log_lines
from sweeper.view.sweep_view import SweepView

TRAINING = {"phase": "train", "epoch": 3, "n_epochs": 12, "iteration": 30, "n_iterations": 120}


class HandClock:
    """Seconds that move by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def told(event: str, at: float = 1000.0, **fields: Any) -> dict[str, Any]:
    return {"at": at, "event": event, **fields}


def lines_of(title: str, *happened: dict[str, Any] | tuple[float, MetricRecord]) -> list[str]:
    """Return the plain lines of a sweep of one job."""
    out, clock = io.StringIO(), HandClock()
    progress = Progress(Console(file=out, width=160), SweepView(SweepFolder(Path("nowhere"))), clock)
    progress.event(told("planned", job="0001", state="PLANNED", title=title, values={}))
    for event in happened:
        if isinstance(event, dict):
            clock.now = event["at"]
            progress.event(event)
        else:
            clock.now = event[0]
            progress.record("0001", event[1])
    return out.getvalue().splitlines()


STARTED = told("started", job="0001", state="RUNNING", attempt=1, slot="cpu/0", resume=None)


def test_elsewhere_it_prints_a_line_an_epoch() -> None:
    first = MetricRecord(1000.0, 1, 1, {"iter/loss": 2.0}, TRAINING | {"iteration": 0})
    later = MetricRecord(1060.0, 1, 3, {"iter/loss": 1.25, "val/bbox_mAP_50": 0.412}, TRAINING)
    ended = told(
        "ended", 1062.0, job="0001", attempt=1, state="FAILED", reason="loss is NaN at iteration 7", kind="diverged"
    )
    assert lines_of("first", STARTED, (1000.0, first), (1060.0, later), ended) == [
        "0001 first: started on cpu/0",
        "0001 first: epoch 3 loss 1.250 val mAP50 41.2, 3 min left",
        "0001 first: FAILED (diverged): loss is NaN at iteration 7 after 1 min",
    ]


def test_a_second_attempt_is_named_as_such() -> None:
    again = told("started", 1100.0, job="0001", state="RUNNING", attempt=2, slot="gpu1", resume="checkpoints/a1.pth")
    assert lines_of("first", again) == ["0001 first: started on gpu1 (attempt 2, resumed)"]


def test_markup_and_terminal_escapes_of_a_title_or_reason_do_nothing() -> None:
    ended = told("ended", job="0001", attempt=1, state="FAILED", reason="a\x1b[2Jb\x1b]0;title\x07c\rd\u202ee")
    assert lines_of("[bold]odd[/bold]\x1b[31m\nname", STARTED, ended) == [
        "0001 [bold]odd[/bold] name: started on cpu/0",
        "0001 [bold]odd[/bold] name: FAILED: abc d e after 0 s",
    ]


def test_what_happens_to_the_whole_sweep_is_told() -> None:
    assert lines_of(
        "first",
        told("device_opened", device="gpu1", name="H100", n_shares=1),
        told("paused"),
        told("continued"),
        told("device_closed", device="gpu1", reason="two CUDA errors"),
        told("cancelled", job="0001", state="CANCELLED", reason="asked by ann"),
        told("process", job="0001", attempt=1, pid=4, born_at=1.0),
    ) == [
        "gpu1 (H100) takes jobs",
        "the sweep is on hold; running jobs save",
        "the sweep goes on",
        "gpu1 closed: two CUDA errors",
        "0001 first: CANCELLED: asked by ann",
    ]


def test_plain_lines_sum_the_sweep_up_from_time_to_time() -> None:
    ended = told("ended", 1400.0, job="0001", attempt=1, state="COMPLETED", reason=None)
    assert lines_of("first", STARTED, ended)[-1] == "1 of 1 job done, devices busy 100 %"


def test_in_a_terminal_the_table_stays_below_the_lines() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, height=20, force_terminal=True, _environ={})
    progress = Progress(console, SweepView(SweepFolder(Path("nowhere"))), HandClock())
    with progress:
        progress.event(told("planned", job="0001", state="PLANNED", title="first", values={}))
        progress.event(STARTED)
        progress.say("  log: somewhere")
    shown = out.getvalue()
    assert "  log: somewhere" in shown
    assert "started on" not in shown
    assert shown.rindex("0001") > shown.rindex("log: somewhere")


def test_the_end_of_a_failed_attempts_log_is_shown_and_no_other(tmp_path: Path) -> None:
    attempt = AttemptFolder(tmp_path)
    attempt.log.write_text("".join(f"line {number}\n" for number in range(30)))
    failed = log_lines(attempt)
    assert failed[0] == f"  log: {tmp_path}/log.txt"
    assert failed[1:] == [f"  | line {number}" for number in range(20, 30)]
