"""Rows 10, 16, 17, 19, 34: a GPU breaks, is somebody else's, or is gone. The GPUs are pretended, the locks are real."""

import fcntl
import getpass
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from runners.contract.folder import SweepFolder
from sweeper.stored.journal import read_journal
from tests.faults.driver import Driver, lives, wait_until
from tests.quick_job import Fault, Play

QUICK_TRIES = {"sweeper.hardware.device_pool:RETRY_S": 0.3}


class Gpus:
    """Pretended GPUs of this machine: files that are locked, and a list of them that a test may change."""

    def __init__(self, folder: Path, n: int) -> None:
        self.nodes = [folder / f"nvidia{number}" for number in range(n)]
        self._list = folder / "gpus.json"
        for node in self.nodes:
            node.touch()
        self.show(n)

    def show(self, n: int, users: Sequence[int] = ()) -> None:
        """Let the first n be there, and the first of them be used by some processes."""
        entries = [
            {"node": str(node), "users": list(users) if not index else []} for index, node in enumerate(self.nodes)
        ]
        text = json.dumps(entries[:n])
        temporary = self._list.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._list)

    @property
    def environment(self) -> dict[str, str]:
        """What a controller's environment needs to find them."""
        return {"DETSWEEP_TEST_GPUS": str(self._list)}


@pytest.fixture
def gpus(tmp_path: Path) -> Gpus:
    return Gpus(tmp_path, 2)


@pytest.fixture
def foreigner() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def is_free(node: Path) -> bool:
    descriptor = os.open(node, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def slots(drive: Driver) -> list[tuple[str, str]]:
    return [(event["job"], event["slot"]) for event in drive.events("started")]


def test_row_10_a_gpu_stays_locked_as_long_as_anything_lives_that_a_job_has_left(drive: Driver, gpus: Gpus) -> None:
    gpus.show(1)
    command = drive.train("gpus=all", "n_epochs=30", play=Play(iteration_s=0.1), env=gpus.environment, patches={})
    drive.until(lambda: drive.n_iterations("0001") > 0)
    assert not is_free(gpus.nodes[0])
    job = psutil.Process(drive.pid_of("0001"))
    job.suspend()  # it cannot take note of its controller's end
    command.kill()
    # The server waits for it, and both hold the lock; then the server kills it.
    assert lives(job)
    assert not is_free(gpus.nodes[0])
    wait_until(lambda: not lives(job))
    wait_until(lambda: is_free(gpus.nodes[0]))


def test_row_16_a_gpu_that_fails_twice_is_taken_out_and_its_jobs_move(drive: Driver, gpus: Gpus) -> None:
    broken = Play(faults=(Fault("device", device="GPU-0"),))
    command = drive.train("gpus=all", "seed=0,1,2,3", play=broken, env=gpus.environment, patches={})
    assert command.wait() == 0, command.said
    ended = [e for e in drive.events("ended") if e["outcome"] == "failed"]
    assert [e["kind"] for e in ended] == ["device", "device"]
    (closed,) = drive.events("device_closed")
    assert closed["device"] == "gpu0"
    after = [e["slot"] for e in drive.events("started") if e["at"] > closed["at"]]
    assert set(after) == {"gpu1"}
    assert set(drive.states.values()) == {"COMPLETED"}


def test_row_16_with_no_gpu_left_the_sweep_can_be_resumed_elsewhere(drive: Driver, gpus: Gpus) -> None:
    gpus.show(1)
    broken = Play(faults=(Fault("device", device="GPU-0"),))
    command = drive.train("gpus=all", play=broken, env=gpus.environment, patches={})
    assert command.wait() == 3
    assert f"detsweep resume {drive.sweep.path}" in command.said
    assert "COMPLETED" not in drive.states.values()
    assert drive.run("resume", "gpus=none").process.returncode == 0, drive.commands[-1].said


def test_row_17_a_gpu_that_somebody_computes_on_is_waited_for(
    drive: Driver, gpus: Gpus, foreigner: subprocess.Popen[bytes]
) -> None:
    gpus.show(1, users=[foreigner.pid])
    command = drive.train("gpus=all", env=gpus.environment, patches=QUICK_TRIES)
    drive.until(lambda: f"pid {foreigner.pid} ({getpass.getuser()}" in command.said)
    assert drive.events("started") == []
    gpus.show(1)
    assert command.wait() == 0, command.said
    assert [slot for _, slot in slots(drive)] == ["gpu0", "gpu0"]


def test_row_17_a_gpu_is_shared_with_others_only_when_that_is_said(
    drive: Driver, gpus: Gpus, foreigner: subprocess.Popen[bytes]
) -> None:
    gpus.show(1, users=[foreigner.pid])
    command = drive.train("gpus=all", "busy_gpus=use", env=gpus.environment, patches={})
    assert command.wait() == 0, command.said


def test_row_17_a_gpu_that_is_locked_is_waited_for_and_its_holder_named(drive: Driver, gpus: Gpus) -> None:
    gpus.show(1)
    holds = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    words = [sys.executable, "-c", holds, str(gpus.nodes[0])]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        command = drive.train("gpus=all", env=gpus.environment, patches=QUICK_TRIES)
        drive.until(lambda: f"held by pid {holder.pid} ({getpass.getuser()}" in command.said)
        assert drive.events("started") == []
        holder.kill()
    assert command.wait() == 0, command.said


def test_row_19_a_sweep_goes_on_with_the_gpus_that_are_left(drive: Driver, gpus: Gpus) -> None:
    slow = Play(iteration_s=0.1)
    command = drive.train("gpus=all", play=slow, env=gpus.environment, patches={})
    drive.until(lambda: min(drive.n_iterations("0001"), drive.n_iterations("0002")) > 2)
    assert sorted(slots(drive)) == [("0001", "gpu0"), ("0002", "gpu1")]
    command.interrupt()
    assert command.wait() == 130
    gpus.show(0)
    refused = drive.run("resume", env=gpus.environment, patches={})
    assert refused.process.returncode == 2, refused.said
    assert "gpus=none" in refused.said
    assert len(drive.events("started")) == 2
    gpus.show(1)
    resumed = drive.run("resume", env=gpus.environment, patches={})
    assert resumed.process.returncode == 0, resumed.said
    assert [slot for _, slot in slots(drive)][2:] == ["gpu0", "gpu0"]


def test_row_34_sweeps_of_one_second_share_nothing_and_take_turns_on_a_gpu(drive: Driver, gpus: Gpus) -> None:
    gpus.show(1)
    commands = [
        drive.train("gpus=all", play=Play(iteration_s=0.05), env=gpus.environment, patches=QUICK_TRIES)
        for _ in range(3)
    ]
    assert [command.wait() for command in commands] == [0, 0, 0], [command.said for command in commands]
    assert len(drive.sweeps) == 3
    uses = sorted(_uses(sweep) for sweep in drive.sweeps)
    for (_, last), (first, _) in itertools.pairwise(uses):
        assert last <= first
    numbers = [drive.numbers(sweep) for sweep in drive.sweeps]
    assert numbers[0] == numbers[1] == numbers[2]


def _uses(sweep: SweepFolder) -> tuple[float, float]:
    """Return when a sweep's first job was started and its last one ended."""
    times = [event["at"] for event in read_journal(sweep.journal) if event["event"] in ("started", "ended")]
    return min(times), max(times)
