"""Looks as they were planned, and every way in which they may not have been."""

from typing import Any

import pytest

from sweeper.verification.invariants import check_reasons_to_end
from tests.sweeper.verification.literal_sweeps import (
    OPENED,
    STARTED,
    Event,
    ended,
    event,
    evidence,
    failed,
    finished,
    only,
    planned,
    started,
)


def look(n_seeds: int, *new: str, is_final: bool = False, word: str = "undecided") -> Event:
    told = {"n_seeds": n_seeds, "words": {"val/bbox_mAP": word}, "is_final": is_final}
    return event("requested", name=f"{n_seeds}.0-aa.json", op="add", jobs=[{"id": job} for job in new], look=told)


def trained(*jobs: str) -> tuple[Event, ...]:
    return tuple(one for job in jobs for one in (planned(job), started(job), ended(job)))


FIRST = (STARTED, OPENED, *trained("0001", "0002"))
TWO = (*FIRST, look(3, "0003"), *trained("0003"), look(5, is_final=True, word="better"))
RETRIED = event("retried", "0001", state="PLANNED", reason="asked for")

IN_ORDER: list[tuple[Event, ...]] = [
    (*TWO, finished()),
    (*FIRST, look(3, is_final=True), finished()),
    (*FIRST, look(3, "0003"), *trained("0003"), look(5, "0004"), *trained("0004"), look(8, is_final=True), finished()),
    # Written down again by the controller that follows one which was killed, with its jobs planned by then or not.
    (*FIRST, look(3, "0003"), STARTED, look(3, "0003"), *trained("0003"), look(5, is_final=True), finished()),
    (*FIRST, look(3, "0003"), planned("0003"), STARTED, look(3, "0003")),
    # What users do meanwhile: a job tried again, one of their own added, a failure left as it is.
    (STARTED, OPENED, planned("0001"), started("0001"), failed("0001", 1, "bug"), RETRIED, look(3, is_final=True)),
    (*FIRST, look(3, "0003"), planned("0009"), *trained("0003"), look(5, is_final=True)),
    (*FIRST, event("stop_asked", reason="interrupt"), finished(3)),
]
BROKEN: list[tuple[tuple[Event, ...], int, str]] = [
    ((*FIRST, look(5)), 9, "the look at 5 seeds was not planned: 3 was the next"),
    ((*FIRST, look(3, "0003"), *trained("0003"), look(8)), 13, "look at 8 seeds was not planned: 5 was the next"),
    ((*TWO, look(8)), 14, "the look at 8 seeds is taken after a final one at 5"),
    ((*FIRST, planned("0003"), started("0003"), look(3)), 11, "look at 3 seeds is taken before job 0003 had ended"),
    ((*FIRST, look(3, "0003"), planned("0003"), look(5)), 11, "look at 5 seeds is taken before job 0003 had ended"),
    # Asked for and never planned: it has not ended either.
    ((*FIRST, look(3, "0003"), look(5)), 10, "look at 5 seeds is taken before job 0003 had ended"),
    ((*FIRST, look(3, "0003", is_final=True)), 9, "the look at 3 seeds is final, and adds job 0003"),
    ((*FIRST, look(3), look(3, word="better")), 10, "written down again, and says something else"),
    ((*FIRST, finished()), 9, "the sweep ended without a look"),
    ((*FIRST, look(3, "0003"), *trained("0003"), finished(1)), 13, "ended after the look at 3 seeds, and the next was"),
]


@pytest.mark.parametrize("events", IN_ORDER)
def test_looks_as_planned_break_nothing(events: tuple[Event, ...]) -> None:
    assert only(evidence(*events, has_looks=True), 13) == []


@pytest.mark.parametrize(("events", "line", "words"), BROKEN)
def test_a_look_that_was_not_planned_is_told_with_its_line(events: tuple[Event, ...], line: int, words: str) -> None:
    ((where, told),) = only(evidence(*events, has_looks=True), 13)
    assert where == f"journal.jsonl:{line}"
    assert words in told


def test_a_sweep_without_looks_needs_none() -> None:
    assert only(evidence(*FIRST, finished()), 13) == []


@pytest.mark.parametrize(("more", "n_found"), [((), 0), ((planned("0003"),), 1)])
def test_a_look_that_failed_leaves_a_sweep_that_nothing_had_stopped(more: tuple[Any, ...], n_found: int) -> None:
    sweep = evidence(*FIRST, *more, finished(3), has_looks=True)
    assert len(list(check_reasons_to_end(sweep))) == n_found
