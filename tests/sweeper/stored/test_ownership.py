"""Whether somebody owns a sweep, found out without anybody noticing."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.stored import ownership
from sweeper.stored.journal import Journal
from sweeper.stored.ownership import is_owned

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("locks", ["/proc/locks", "/nowhere/locks"], ids=["listed", "tried"])
def test_a_sweep_is_owned_while_another_process_holds_its_journal(
    locks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "_LOCKS", Path(locks))
    journal = tmp_path / "journal.jsonl"
    assert not is_owned(journal)
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{journal}.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    owner.stdout.readline()
    assert is_owned(journal)
    assert is_owned(journal, is_elsewhere=True)
    owner.communicate()
    assert not is_owned(journal)
    assert not is_owned(journal, is_elsewhere=True)


def test_asking_turns_no_controller_away(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with Journal(journal):
        assert is_owned(journal)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    assert not is_owned(journal)
    with Journal(journal):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
