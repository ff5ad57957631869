"""Two people on one machine: what a group shares both may use, what is private only one, and locks hold either off."""

import multiprocessing
import os
import stat
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.stored.journal import Journal
from sweeper.stored.sweep_folder import UMASKS
from sweeper.tracking.store_probe import one_at_a_time

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two other people")

# Numbers that no user of a fresh machine has; nothing is looked up about them.
ALICE, BOB, TEAM = 64001, 64002, 64100
# Forked, for another person may not be allowed to read the Python that root has.
FORK = multiprocessing.get_context("fork")


class Person:
    """A process of somebody else's that controls a sweep: owns its journal until it is told to leave."""

    def __init__(self, uid: int, share: str, folder: Path) -> None:
        self._here, there = FORK.Pipe()
        self._process = FORK.Process(target=_control, args=(uid, UMASKS[share], folder / "journal.jsonl", there))
        self._process.start()
        self.answer: tuple[int, str] = self._here.recv()

    def leave(self) -> None:
        self._here.send(None)
        self._process.join(60)


def _control(uid: int, umask: int, journal: Path, there: Connection) -> None:
    os.umask(umask)
    os.setgroups([TEAM])
    os.setgid(TEAM)
    os.setuid(uid)
    try:
        with Journal(journal) as owned:
            owned.append("noted", by=uid)
            there.send((0, ""))
            there.recv()
    except UserError as error:
        there.send((error.exit_code, str(error)))


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder of the team's, as `share=group` makes a sweep's."""
    # Other people have to get there; pytest keeps its folders to whoever runs it.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.name.startswith(("pytest-", "popen-", tmp_path.name)):
            folder.chmod(folder.stat().st_mode | 0o011)
    path = tmp_path / "sweep"
    path.mkdir()
    os.chown(path, ALICE, TEAM)
    path.chmod(0o2770)
    return path


def test_the_group_goes_on_with_a_shared_sweep_and_is_held_off_while_another_runs_it(shared: Path) -> None:
    alice = Person(ALICE, "group", shared)
    assert alice.answer == (0, "")
    code, told = Person(BOB, "group", shared).answer
    assert code == 4
    assert "owns it" in told
    alice.leave()
    bob = Person(BOB, "group", shared)
    assert bob.answer == (0, "")
    bob.leave()
    assert (shared / "journal.jsonl").read_text().count('"noted"') == 2


def test_a_private_journal_is_nobody_elses(shared: Path) -> None:
    Person(ALICE, "private", shared).leave()
    assert stat.S_IMODE((shared / "journal.jsonl").stat().st_mode) == 0o600
    code, told = Person(BOB, "private", shared).answer
    assert code == 2
    assert "cannot be locked" in told


@pytest.mark.parametrize(("share", "mode"), [("private", 0o600), ("group", 0o660)])
def test_a_store_is_for_whom_the_sweep_is(share: str, mode: int, tmp_path: Path) -> None:
    database = tmp_path / "outputs" / "mlflow.db"
    before = os.umask(UMASKS[share])
    try:
        with one_at_a_time(database):
            pass
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in database.parent.iterdir()} == {mode}
