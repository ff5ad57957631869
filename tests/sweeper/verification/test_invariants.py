"""Each promise is broken here, in literal events, and the check says so; a history in order passes all of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from reports.read import StoredRun
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from sweeper.verification.evidence import AttemptEvidence, JobEvidence, JournalLine, SweepEvidence
from sweeper.verification.retry_invariants import uncounted_retries
from sweeper.verification.verify import INVARIANTS, judge
from tests.sweeper.verification.literal_sweeps import (
    CONFIG_SHA,
    GOOD,
    OPENED,
    RUNS,
    STARTED,
    WHOLE,
    Event,
    completed,
    ended,
    event,
    evidence,
    failed,
    finished,
    found,
    lost,
    only,
    planned,
    run_of,
    started,
)


def test_a_sweep_in_order_breaks_nothing() -> None:
    assert found(evidence(*WHOLE, runs=RUNS), {}) == []


def test_every_promise_has_a_test_in_which_it_is_broken() -> None:
    broken = {number for number, *_ in BROKEN} | {number for number, *_ in BROKEN_BY_FOLDERS}
    # The last has a file of its own: `test_look_invariants`.
    assert broken | {13} == {invariant.number for invariant in INVARIANTS}


# number of the promise, events, line that is named, part of what is said
BROKEN: list[tuple[int, tuple[Event, ...], int, str]] = [
    (1, (*WHOLE[:-1], lost("0001", 1)), 11, "was COMPLETED for good"),
    (1, (planned("0001"), ended("0001")), 2, "'ended' cannot follow PLANNED"),
    (1, (planned("0001"), planned("0001")), 2, "'planned' cannot follow PLANNED"),
    (1, (started("0001"),), 1, "'started' cannot follow nothing"),
    (
        1,
        (planned("0001"), started("0001"), ended("0001", outcome="interrupted")),
        3,
        "ended interrupted cannot make it",
    ),
    (1, (planned("0001"), started("0001"), failed("0001", 1, "bug"), started("0001", 2)), 4, "was FAILED for good"),
    (1, (planned("0001"), finished()), 2, "job 0001 is PLANNED though the sweep ended with 0"),
    (1, (planned("0001"), started("0001"), failed("0001", 1, "bug"), finished(0)), 4, "1 jobs FAILED"),
    (1, (planned("0001"), started("0001"), ended("0001"), finished(1)), 4, "0 jobs FAILED"),
    (2, (*GOOD, started("0001"), started("0001", 2)), 6, "is started again while attempt 1 lives"),
    (2, (*GOOD, started("0001"), started("0002")), 6, "which is taken: job 0001 on cpu/0"),
    (
        2,
        (
            *(STARTED, planned("0001"), planned("0002")),
            event("device_opened", device="gpu0", name="", n_shares=1),
            *(started("0001", slot="gpu0"), started("0002", slot="gpu0/1")),
        ),
        6,
        "taken: job 0001 on gpu0",
    ),
    (
        2,
        (
            *(STARTED, planned("0001"), planned("0002")),
            *(event("device_opened", device=f"gpu{n}", name="", n_shares=2) for n in (0, 1)),
            *(started("0001", slot="gpu0+gpu1"), started("0002", slot="gpu1/1")),
        ),
        7,
        "taken: job 0001 on gpu0+gpu1",
    ),
    (2, (*GOOD, event("device_closed", device="cpu", reason=""), started("0001")), 6, "on cpu, which is closed"),
    (2, (*GOOD, STARTED, started("0001")), 6, "on cpu, which is closed"),
    (3, (planned("0001"), started("0001", 2), lost("0001", 2), started("0001", 2)), 4, "attempt 2 is started after 2"),
    (3, (planned("0001"), started("0001", 2), lost("0001", 1)), 3, "'ended' of attempt 1 during 2"),
    (4, (planned("0001"), started("0001"), ended("0001"), started("0001", 2)), 4, "again after it was COMPLETED"),
    (5, (*WHOLE, STARTED, OPENED, started("0001", 2)), 14, "is started though the sweep had ended with 0"),
    (5, (*WHOLE, STARTED, finished(1)), 13, "ended with 1 and with 0 before"),
    (7, (started("0001"),), 1, "started before it was planned"),
    (10, (*GOOD, started("0001"), failed("0001", 1, "bug"), finished(3)), 7, "nothing had asked it to stop"),
    (10, (event("stop_asked", reason="interrupt"), finished(130), STARTED, finished(3)), 4, "nothing had asked"),
    (
        11,
        (planned("0001"), started("0001"), failed("0001", 1, "diverged"), started("0001", 2)),
        4,
        "no retry mends (dive",
    ),
    (
        11,
        (planned("0001"), started("0001"), failed("0001", 1, "oom"), started("0001", 2)),
        4,
        "4 images x 1 did not fit",
    ),
    (
        11,
        (planned("0001"), started("0001"), failed("0001", 1, "oom"), started("0001", 2, images=2, split=1)),
        4,
        "4 images x 1 did not fit and it is tried with 2 x 1",
    ),
    (
        11,
        (planned("0001"), *(one for n in (1, 2, 3) for one in (started("0001", n), lost("0001", n)))),
        7,
        "lost 3 times, at most 3 are put up with, and it is PAUSED",
    ),
    (
        11,
        (
            planned("0001"),
            *(one for n in (1, 2) for one in (started("0001", n), ended("0001", n, "stalled", "PAUSED", counted=True))),
        ),
        5,
        "stalled 2 times",
    ),
    (
        11,
        (planned("0001"), *(one for n in (1, 2) for one in (started("0001", n), lost("0001", n, kind="oom")))),
        5,
        "out of host memory 2 times",
    ),
    (
        11,
        (planned("0001"), started("0001"), ended("0001", 1, "interrupted", "PAUSED", counted=True)),
        3,
        "interrupted counts against it",
    ),
    (11, (planned("0001"), started("0001"), failed("0001", 1, "disk", "PAUSED", True)), 3, "failed(disk) counts"),
]


@pytest.mark.parametrize(("number", "events", "line", "words"), BROKEN)
def test_a_broken_promise_is_told_with_its_line(number: int, events: tuple[Event, ...], line: int, words: str) -> None:
    told = only(evidence(*events), number)
    assert [where for where, _ in told] == [f"journal.jsonl:{line}"]
    assert words in told[0][1]


def _completed_with(**parts: Any) -> SweepEvidence:
    return evidence(*WHOLE, jobs={"0001": replace(completed(), **parts), "0002": completed(2)})


def _result_with(**parts: Any) -> SweepEvidence:
    attempt = completed().attempts[1]
    assert attempt.result is not None
    changed = replace(attempt, result=replace(attempt.result, **parts))
    return _completed_with(attempts={1: changed})


def _attempt_with(**parts: Any) -> SweepEvidence:
    return _completed_with(attempts={1: replace(completed().attempts[1], **parts)})


PAUSED = (*GOOD, started("0001", resume="checkpoints/a1_epoch_1.pth"), ended("0001", 1, "interrupted", "PAUSED"))
RESULT = "attempts/1/result.json"
CHECKPOINT = "checkpoints/a1_best.pth"


def _paused_with(**parts: Any) -> SweepEvidence:
    sweep = evidence(*PAUSED)
    return replace(sweep, jobs={**sweep.jobs, "0001": replace(sweep.jobs["0001"], **parts)})


def _begun_with(*points: tuple[str, int]) -> SweepEvidence:
    sweep = evidence(*GOOD, started("0001"), ended("0001", 1, "interrupted", "PAUSED"))
    attempt = AttemptEvidence(spec_attempt=1, points=frozenset(points))
    return replace(sweep, jobs={**sweep.jobs, "0001": JobEvidence(CONFIG_SHA, {1: attempt})})


def _runs(*runs: StoredRun) -> SweepEvidence:
    return evidence(*WHOLE, runs=runs)


BROKEN_BY_FOLDERS: list[tuple[int, Callable[[], SweepEvidence], str]] = [
    (1, lambda: evidence(*WHOLE, stored=["0001", "0002", "0003"]), "job 0003 is nowhere though"),
    (2, lambda: evidence(*WHOLE[:9], living=[_process("0002", 1)]), "process 77 of attempt 1 lives beside attempt 2"),
    (3, lambda: _attempt_with(spec_attempt=2), "its spec is that of attempt 2"),
    (3, lambda: _attempt_with(broken="no JSON"), "its records cannot be read to the end: no JSON"),
    (3, lambda: _attempt_with(foreign=frozenset({4})), "it holds what attempt 4 wrote"),
    (3, lambda: _completed_with(attempts=completed(2).attempts), "the journal never started it"),
    (3, lambda: _completed_with(foreign_checkpoints=("a7_best.pth",)), "no attempt of this number has a folder"),
    (4, lambda: _attempt_with(result=None), f"COMPLETED and {RESULT} is missing or torn"),
    (4, lambda: _result_with(outcome=AttemptOutcome.INTERRUPTED), f"{RESULT} says interrupted"),
    (4, lambda: _result_with(checkpoint=None), "no checkpoint is named"),
    (4, lambda: _result_with(checkpoint_sha256="0" * 64), "its result has another digest"),
    (4, lambda: _completed_with(checkpoint_sha256={CHECKPOINT: None}), f"{CHECKPOINT} is not there"),
    (4, lambda: _completed_with(checkpoint_sha256={CHECKPOINT: "d" * 64}), f"{CHECKPOINT} is dddddddddddd..."),
    (6, lambda: _paused_with(n_valid_states=0), "had a checkpoint to go on from, and no whole one is left"),
    (6, lambda: _paused_with(n_states=0, n_valid_states=0), "no whole one is left"),  # an attempt had gone on from one
    (6, lambda: _begun_with(("train/loss", 2)), "no whole one is left"),  # its second epoch had begun
    (7, lambda: _completed_with(config_sha256=None), "has no config"),
    (7, lambda: _completed_with(config_sha256="0" * 64), "where it was planned with another"),
    (7, lambda: _attempt_with(has_spec=False), "attempts/1 has no spec.json"),
    (7, lambda: evidence(*WHOLE, stored=["0001"]), "job 0002 does not stand in sweep.yaml"),
    (8, lambda: _runs(*RUNS[1:]), "the sweep has 0 runs of its own"),
    (8, lambda: _runs(*RUNS[:2]), "job 0002 has 0 runs, wanted one"),
    (8, lambda: _runs(*RUNS, RUNS[2]), "job 0002 has 2 runs, wanted one"),
    (8, lambda: _runs(*RUNS, run_of("0003")), "run run-0003 is of job 0003, which the journal lacks"),
    (8, lambda: _runs(*RUNS[:2], run_of("0002", "FAILED")), "is COMPLETED and its run run-0002 is FAILED"),
    (8, lambda: _runs(*RUNS[:2], run_of("0002", state="PAUSED")), "is COMPLETED and its run's tag says PAUSED"),
    (8, lambda: _runs(*RUNS[:2], run_of("0002", "RUNNING")), "of job 0002 is RUNNING and nothing runs"),
    (8, lambda: _runs(run_of(None, "RUNNING"), *RUNS[1:]), "of the sweep is RUNNING and nothing runs"),
    (
        8,
        lambda: evidence(event("reused", "0001", state="REUSED"), runs=[run_of(None), run_of("0001")]),
        "job 0001 is REUSED and has run run-0001 of its own",
    ),
    (9, lambda: _runs(*RUNS[:2], replace(RUNS[2], points={**RUNS[2].points, ("train/loss", 2): 2})), "stands there 2"),
    (9, lambda: _runs(*RUNS[:2], replace(RUNS[2], points={})), "it lacks train/loss of step 1, train/loss of step 2"),
    (12, lambda: evidence(*WHOLE, living=[_process("0002", 1)]), "process 77 (attempt 1 of job 0002) lives"),
]


def _process(job: str, attempt: int) -> JournalLine:
    return JournalLine(6, event("process", job, attempt=attempt, pid=77, born_at=1.0))


@pytest.mark.parametrize(("number", "sweep", "words"), BROKEN_BY_FOLDERS)
def test_what_folders_store_or_processes_contradict_is_told(
    number: int, sweep: Callable[[], SweepEvidence], words: str
) -> None:
    told = only(sweep(), number)
    assert len(told) == 1
    assert words in told[0][1]


def _in_order() -> Iterator[tuple[Event, ...]]:
    retried = event("retried", "0001", state="PLANNED", reason="asked for")
    begun = (planned("0001"), started("0001"))
    yield (*begun, failed("0001", 1, "bug"), finished(1), retried, started("0001", 2), ended("0001", 2), finished())
    yield (*begun, failed("0001", 1, "oom", "PAUSED", True), started("0001", 2, images=2, split=2), ended("0001", 2))
    yield (planned("0001"), event("cancelled", "0001", state="CANCELLED", reason=""), finished())
    yield (*begun, ended("0001", 1, "interrupted", "CANCELLED"), retried, started("0001", 2))
    yield (STARTED, *begun, ended("0001", 1, "interrupted", "PAUSED"), event("stop_asked", reason="disk"), finished(3))
    yield (
        *(STARTED, planned("0001"), planned("0002"), event("device_opened", device="gpu0", name="", n_shares=2)),
        *(started("0001", slot="gpu0/0"), started("0002", slot="gpu0/1"), lost("0001", 1)),
        started("0001", 2, slot="gpu0/0"),
    )
    yield (event("reused", "0001", state="REUSED"), finished(), planned("0002"), started("0002"), ended("0002"))
    # Losses that are not the job's fault do not count, however many there are.
    yield (planned("0001"), *(e for n in range(1, 6) for e in (started("0001", n), lost("0001", n, counted=False))))


@pytest.mark.parametrize("events", list(_in_order()))
def test_what_users_and_faults_may_do_breaks_nothing(events: tuple[Event, ...]) -> None:
    assert found(evidence(*events)) == []


def test_what_cannot_be_checked_is_said_with_its_reason() -> None:
    verdict = judge(evidence(*WHOLE[:6], is_owned=True), {"rest": "at work", "the tracking store": "away"})
    assert verdict.skipped == {8: "away", 9: "away", 12: "at work"}


@pytest.mark.parametrize("waits", [{"n_pending": {"0002": 2}}, {"told_states": {"0001": "COMPLETED"}}])
def test_what_waits_for_the_store_is_no_violation_and_is_told(waits: dict[str, Any]) -> None:
    sweep = evidence(*WHOLE, runs=(*RUNS[:2], replace(RUNS[2], status="RUNNING", points={})), **waits)
    verdict = judge(sweep, {})
    assert verdict.violations == []
    told = "the tracking store has not received everything of job 0002; ship it with detsweep sync"
    assert verdict.notes[-1] == told


def test_a_changed_config_that_a_user_accepted_is_no_violation() -> None:
    told = "config changed in /x/jobs/0001/config.yaml: SHA-256 f -> 0"
    again = {**STARTED, "accepted": [told]}
    jobs = {"0001": replace(completed(), config_sha256="0" * 64), "0002": completed(2)}
    assert only(evidence(*WHOLE, again, jobs=jobs), 7) == []


def test_attempts_that_do_not_count_are_told_by_their_causes() -> None:
    died = {"counted": False, "reason": "its controller died"}
    attempts = [(started("0001", n), lost("0001", n, **died)) for n in (1, 2)]
    paused = ended("0001", 3, "interrupted", "PAUSED")
    sweep = evidence(planned("0001"), *(one for pair in attempts for one in pair), started("0001", 3), paused)
    told = "job 0001: 3 attempts not counted against it: 2 x its controller died, 1 x interrupted"
    assert uncounted_retries(sweep) == [told]


def test_a_job_that_has_not_come_to_its_first_checkpoint_needs_none() -> None:
    assert only(_begun_with(("train/loss", 1)), 6) == []


def test_a_job_that_is_tried_again_needs_no_checkpoint_of_before() -> None:
    failed_once = (started("0001", resume="checkpoints/a1_epoch_1.pth"), failed("0001", 1, "bug"))
    retried = event("retried", "0001", state="PLANNED", reason="asked for")
    sweep = evidence(*GOOD, *failed_once, retried, started("0001", 2), ended("0001", 2, "interrupted", "PAUSED"))
    cleaned = {**sweep.jobs, "0001": replace(sweep.jobs["0001"], n_states=0, n_valid_states=0)}
    assert only(replace(sweep, jobs=cleaned), 6) == []


def _measured(*results: AttemptResult) -> SweepEvidence:
    attempts = {result.attempt: AttemptEvidence(spec_attempt=result.attempt, result=result) for result in results}
    points = {("best/val/bbox_mAP", 2): 1, ("train/loss", 1): 1}
    runs = (RUNS[0], replace(RUNS[1], points=points), RUNS[2])
    return evidence(*WHOLE, runs=runs, jobs={"0001": JobEvidence(CONFIG_SHA, attempts), "0002": completed(2)})


def test_the_store_holds_what_the_last_attempt_has_reached_and_not_those_before_it() -> None:
    interrupted = AttemptResult(1, AttemptOutcome.INTERRUPTED, metrics={"best/val/bbox_mAP": 0.1}, best_epoch=1)
    done = replace(interrupted, attempt=2, outcome=AttemptOutcome.COMPLETED, best_epoch=2)
    assert only(_measured(interrupted, done), 9) == []
    ((_, told),) = only(_measured(interrupted, replace(done, best_epoch=3)), 9)
    assert told == "job 0001: it lacks best/val/bbox_mAP of step 3"


@pytest.mark.parametrize(("state", "n_missing"), [("PAUSED", 0), ("PRUNED", 1)])
def test_what_was_broken_off_is_the_last_word_of_who_is_given_up_there(state: str, n_missing: int) -> None:
    interrupted = AttemptResult(1, AttemptOutcome.INTERRUPTED, metrics={"best/val/bbox_mAP": 0.1}, best_epoch=1)
    sweep = _measured(interrupted)
    given_up = event("pruned", "0001", state=state, reason="given up at place 3 of 3 after epoch 1")
    lines = (*sweep.lines, *evidence(*GOOD, given_up).lines[-1:])
    told = replace(sweep, lines=lines, told_states={**sweep.told_states, "0001": state})
    assert len(only(told, 9)) == n_missing


def test_a_check_has_no_checkpoint_to_keep() -> None:
    assert only(replace(_completed_with(checkpoint_sha256={}), is_check=True), 4) == []
