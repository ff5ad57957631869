"""When a look is due, and what becomes of one that fails."""

import time
from pathlib import Path

import pytest

from runners.contract.folder import SweepFolder
from runners.contract.looks import looks_of
from sweeper.control.looks import LOG, Looks, has_looks, is_look_due
from sweeper.stored.journal import Journal
from sweeper.stored.requests import ask

FIRST = {"n_seeds": 3, "words": {"val/bbox_mAP": "undecided"}, "is_final": False}
LAST = {"n_seeds": 5, "words": {"val/bbox_mAP": "better"}, "is_final": True}


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A folder with a journal and nothing that could be judged."""
    folder = SweepFolder(tmp_path)
    with Journal(folder.journal) as journal:
        journal.append("sweep_started")
    return folder


def note(sweep: SweepFolder, look: dict[str, object]) -> None:
    with Journal(sweep.journal) as journal:
        journal.append("requested", name="1.0-aa.json", op="add", jobs=[], datasets=[], axes={}, look=look)


def test_a_look_is_due_until_one_was_final(sweep: SweepFolder) -> None:
    assert has_looks({"hypothesis": {"until": "decided"}})
    assert not has_looks({"hypothesis": {"until": None}})
    assert not has_looks({"hypothesis": None})
    assert is_look_due(sweep)
    note(sweep, FIRST)
    assert is_look_due(sweep)
    note(sweep, LAST)
    assert not is_look_due(sweep)
    assert Looks(sweep, print).begin() is False


def test_a_request_that_was_written_down_twice_is_one_look() -> None:
    events = [{"event": "requested", "look": FIRST}, {"event": "requested", "look": FIRST}, {"event": "ended"}]
    assert list(looks_of(events)) == [FIRST]


def test_what_a_look_has_asked_for_is_waited_for_and_not_asked_again(sweep: SweepFolder) -> None:
    ask(sweep, "add", jobs=[], datasets=[], axes={}, look=FIRST)
    looks = Looks(sweep, print)
    assert looks.begin() is True
    assert not (sweep.path / LOG).exists()


def test_a_look_that_fails_is_told_and_not_tried_again_at_once(sweep: SweepFolder) -> None:
    said: list[str] = []
    looks = Looks(sweep, said.append)
    assert looks.begin() is True
    deadline = time.monotonic() + 60
    while not looks.end():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert looks.has_failed
    assert looks.begin() is False
    assert "the look at the hypothesis failed" in said[-1]
    assert "no file sweep.yaml" in said[0]


def test_a_look_under_way_ends_with_its_controller(sweep: SweepFolder) -> None:
    looks = Looks(sweep, print)
    looks.begin()
    looks.close()
    assert looks.end() is False
