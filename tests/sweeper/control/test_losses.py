"""What is said of a process that vanished."""

import os
from pathlib import Path

import psutil
import pytest

from runners.contract.folder import AttemptFolder
from runners.contract.states import FailureKind
from sweeper.control import losses
from sweeper.control.losses import Loss, count_kernel_kills, explain_loss, resident_gb
from sweeper.executors.base import Exited

ATTEMPT = AttemptFolder(Path("jobs/0001/attempts/1"))
KILLED = "killed by signal 9 (SIGKILL) without a result"


@pytest.mark.parametrize(
    ("returncode", "peak_gb", "has_kernel_killed", "loss"),
    [
        (-9, 1.0, False, Loss(KILLED)),
        (-9, 9.0, False, Loss("killed, probably out of host memory, peak RSS 9.0 GB", FailureKind.OOM)),
        (-9, 1.0, True, Loss("killed, probably out of host memory, peak RSS 1.0 GB", FailureKind.OOM)),
        (-11, 9.0, True, Loss("killed by signal 11 (SIGSEGV) without a result")),
        (5, 9.0, True, Loss("ended with status 5 without a result")),
    ],
)
def test_a_loss_is_told_by_signal_memory_and_the_kernels_count(
    returncode: int, peak_gb: float, has_kernel_killed: bool, loss: Loss
) -> None:
    assert explain_loss(Exited(ATTEMPT, returncode), peak_gb, 16.0, has_kernel_killed) == loss


def test_what_the_executor_says_goes_first() -> None:
    exited = Exited(ATTEMPT, -9, "the warm server ended with status -9", is_own_fault=False)
    assert explain_loss(exited, 15.0, 16.0, True) == Loss("the warm server ended with status -9")


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert losses.exit_words(-35) == "killed by signal 35 without a result"


def test_memory_is_that_of_the_process_and_none_of_one_that_is_gone() -> None:
    assert resident_gb(os.getpid()) == pytest.approx(psutil.Process().memory_info().rss / 1e9, rel=0.2)
    assert resident_gb(2**22 - 1) == 0.0


def test_the_kernels_kills_are_summed_over_its_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 3\n")
    (tmp_path / "memory.events").write_text("oom 9\noom_kill 2\noom_group_kill 7\n")
    counters = (tmp_path / "vmstat", tmp_path / "memory.events", tmp_path / "nothing")
    monkeypatch.setattr(losses, "_COUNTERS", counters)
    assert count_kernel_kills() == 5
