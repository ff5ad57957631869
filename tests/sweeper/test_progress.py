"""What a person sees: rows of a live table, or lines."""

import io

from rich.console import Console

from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.progress import Progress

TRAINING = {"phase": "training", "epoch": 3, "n_epochs": 12, "iteration": 30, "n_iterations": 120}


class HandClock:
    """Seconds that move by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def seen(progress: Progress) -> str:
    console = Console(width=160, file=io.StringIO(), force_terminal=False)
    console.print(progress.table())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_shows_job_slot_epoch_loss_ap_and_time_left() -> None:
    clock = HandClock()
    out = io.StringIO()
    progress = Progress(Console(file=out, width=160), {"0001": "first", "0002": "second"}, clock)
    progress.start("0002", "gpu1")
    clock.now = 60.0
    progress.record("0002", MetricRecord(0.0, 1, 30, {"iter/loss": 1.25, "val/bbox_mAP_50": 0.412}, TRAINING))
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in seen(progress).splitlines() if line.startswith("│")
    ]
    assert rows == [
        ["0002", "second", "gpu1", "training", "3/12", "1.250", "41.2", "3 min 00 s"],
        ["0001", "first", "", "PLANNED", "", "", "", ""],
    ]


def test_elsewhere_it_prints_a_line_an_epoch_and_shows_markup_as_it_is() -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out, width=160), {"0001": "[bold]odd[/bold]"}, HandClock())
    progress.start("0001", "cpu/0")
    progress.record("0001", MetricRecord(0.0, 1, 30, {"iter/loss": 1.25}, TRAINING))
    progress.record("0001", MetricRecord(0.0, 1, 1, {"val/bbox_mAP_50": 0.5}))
    progress.end("0001", JobState.FAILED, "loss is NaN at iteration 7")
    assert out.getvalue().splitlines() == [
        "0001 [bold]odd[/bold]: started on cpu/0",
        "0001 [bold]odd[/bold]: epoch 1 loss 1.250 val mAP50 50.0, 0 s left",
        "0001 [bold]odd[/bold]: FAILED: loss is NaN at iteration 7 after 0 s",
    ]


def test_a_long_queue_is_counted_and_not_listed() -> None:
    progress = Progress(Console(file=io.StringIO()), {f"{n:04d}": "job" for n in range(40)}, HandClock())
    shown = seen(progress)
    assert "and 10 more" in shown
    assert "0 of 40 jobs done" in shown
