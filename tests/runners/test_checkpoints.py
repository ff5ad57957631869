"""Checkpoints survive a full disk and a kill, and execute nothing when read."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from runners.checkpoints import load_checkpoint, remove_checkpoints, save_checkpoint
from runners.contract.digest import sha256_of
from runners.failures import DiskError
from tests.runners.warm_server import ROOT, wait_until


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 256 KiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_content_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "a1_epoch_1.pth"
    save_checkpoint(path, {"state_dict": {"w": torch.arange(5.0)}, "meta": {"epoch": 1, "classes": ["유리"]}})
    content = load_checkpoint(path, "cpu")
    assert content["state_dict"]["w"].tolist() == [0, 1, 2, 3, 4]
    assert content["meta"] == {"epoch": 1, "classes": ["유리"]}
    assert [entry.name for entry in path.parent.iterdir()] == ["a1_epoch_1.pth"]


@pytest.mark.usefixtures("small_disk")
def test_full_disk_is_named_and_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a1_best.pth"
    save_checkpoint(path, {"state_dict": {}, "meta": {"epoch": 1}})
    with pytest.raises(DiskError, match=r"a1_best\.pth not written: File too large"):
        save_checkpoint(path, {"state_dict": {"w": torch.zeros(1_000_000)}, "meta": {"epoch": 2}})
    assert load_checkpoint(path, "cpu")["meta"] == {"epoch": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a1_best.pth"]


def test_kill_while_saving_leaves_a_complete_file(tmp_path: Path) -> None:
    """Killed at many moments of an endless sequence of saves, the newest name always loads."""
    path = tmp_path / "a1_best.pth"
    script = f"""
import torch
from pathlib import Path
from runners.checkpoints import save_checkpoint
for epoch in range(10**6):
    weights = {{"w": torch.full((300_000,), float(epoch))}}
    save_checkpoint(Path({str(path)!r}), {{"state_dict": weights, "meta": {{"epoch": epoch}}}})
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_until(path.exists)
    for _ in range(20):
        os.kill(process.pid, signal.SIGSTOP)
        content = load_checkpoint(path, "cpu")
        assert torch.all(content["state_dict"]["w"] == content["meta"]["epoch"])
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.013)
    process.kill()
    process.wait()
    content = load_checkpoint(path, "cpu")
    assert torch.all(content["state_dict"]["w"] == content["meta"]["epoch"])


class Canary:
    """Pickles to a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_hostile_checkpoint_is_refused_and_does_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "meta": Canary(tmp_path / "canary")}, tmp_path / "hostile.pth")
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(tmp_path / "hostile.pth", "cpu")
    assert not (tmp_path / "canary").exists()


def test_only_the_kept_checkpoint_stays(tmp_path: Path) -> None:
    for name in ("a1_epoch_3.pth", "a1_epoch_3.pth.sha256", "a2_best.pth", ".a1_epoch_4.pth.77.tmp", "notes.txt"):
        (tmp_path / name).write_text("x")
    remove_checkpoints(tmp_path, keep={tmp_path / "a2_best.pth"})
    assert {path.name for path in tmp_path.iterdir()} == {"a2_best.pth", "notes.txt"}


def test_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_of(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
