"""A process is known again by its number and its birth, whatever happens to the clock."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sweeper.stored.processes import birth_of, is_alive, working_in


def test_a_process_is_known_by_its_number_and_its_birth() -> None:
    born_at = birth_of(os.getpid())
    assert born_at is not None
    assert is_alive(os.getpid(), born_at)
    assert not is_alive(os.getpid(), born_at - 1.0)
    assert not is_alive(os.getpid(), None)


def test_a_clock_that_is_set_changes_no_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    born_at = birth_of(os.getpid())
    # What the kernel tells as the time of its start moves with the wall clock.
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: 0.0)
    assert birth_of(os.getpid()) == born_at
    assert is_alive(os.getpid(), born_at)


def test_neither_a_zombie_nor_a_number_that_nobody_has_is_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born_at = birth_of(process.pid)
    assert is_alive(process.pid, born_at)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(process.pid, born_at)
    process.communicate()
    assert birth_of(process.pid) is None


def test_processes_are_found_by_the_folder_they_work_in(tmp_path: Path) -> None:
    assert working_in(tmp_path) == []
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=tmp_path)
    assert working_in(tmp_path) == [(process.pid, birth_of(process.pid))]
    assert working_in(tmp_path / "nothing") == []
    process.communicate()
    assert working_in(tmp_path) == []
