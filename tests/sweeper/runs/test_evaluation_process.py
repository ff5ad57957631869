"""The process of an evaluation: which device it has, and what is told where it fails."""

import fcntl
import os
from pathlib import Path

import pytest

import sweeper.runs.evaluation_process
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.evaluations import EvaluationSpec
from runners.contract.folder import EvaluationFolder
from sweeper.hardware.devices import CPU
from sweeper.hardware.slots import Device
from sweeper.runs.evaluation_process import EvaluationFailedError, HeldDevice, hold_device, run_evaluation


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """Two GPUs that nobody computes on."""
    nodes = [tmp_path / f"nvidia{index}" for index in (0, 1)]
    for node in nodes:
        node.touch()
    devices = [Device("cuda", index, f"GPU-{index}", "H200", str(node), 141.0) for index, node in enumerate(nodes)]
    monkeypatch.setattr(sweeper.runs.evaluation_process, "choose_devices", lambda gpus: devices)
    monkeypatch.setattr(sweeper.runs.evaluation_process, "query_users", lambda device: [])
    return devices


def is_locked(device: Device) -> bool:
    descriptor = os.open(device.node, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_the_first_free_device_is_leased_and_given_back(gpus: list[Device]) -> None:
    said: list[str] = []
    with hold_device("all", "wait", said.append) as first:
        assert (first.device, is_locked(gpus[0])) == (gpus[0], True)
        with hold_device("all", "wait", said.append) as second:
            assert (second.device, is_locked(gpus[1])) == (gpus[1], True)
    assert not is_locked(gpus[0])
    assert said == []


def test_a_device_that_is_taken_is_waited_for_and_said(gpus: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    descriptors = [os.open(device.node, os.O_RDONLY) for device in gpus]
    for descriptor in descriptors:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    n_waits: list[float] = []

    def wait(seconds: float) -> None:
        n_waits.append(seconds)
        if len(n_waits) == 2:
            os.close(descriptors[1])

    monkeypatch.setattr(sweeper.runs.evaluation_process.time, "sleep", wait)
    with hold_device("all", "wait", said.append) as held:
        assert held.device == gpus[1]
    os.close(descriptors[0])
    (line,) = said  # once, however often it is asked
    assert "gpu0 (H200) is held by" in line
    assert "gpus=none takes the CPU" in line


def test_mistakes_are_told_as_such_and_leave_nothing_measured(tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path / "val")
    folder.path.mkdir()
    folder.metrics.write_text("{}")
    checkpoint = tmp_path / "best.pth"
    checkpoint.write_bytes(b"weights")
    spec = EvaluationSpec(str(checkpoint), sha256_of(checkpoint), "val")
    checkpoint.write_bytes(b"others")
    with pytest.raises(UserError, match=r"checkpoint changed in .*best\.pth") as error:
        run_evaluation(folder, spec, HeldDevice(CPU, None), None, lambda *_: None)
    assert error.value.exit_code == 2
    assert not folder.metrics.exists()
    assert EvaluationSpec.read(folder).device == "cpu"


def test_a_process_that_ends_without_a_word_is_told_with_its_log(tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path / "val")
    folder.path.mkdir()
    spec = EvaluationSpec("best.pth", "0" * 64, "val", umask=2**40)  # no umask that there is
    with pytest.raises(EvaluationFailedError, match=r"its process ended with status 1: .*; see .*log\.txt") as error:
        run_evaluation(folder, spec, HeldDevice(CPU, None), None, lambda *_: None)
    assert error.value.exit_code == 1
