"""One table: how an attempt ended, and what comes of it."""

import pytest

from runners.contract.states import AttemptOutcome, FailureKind, JobState
from sweeper.control.attempt_ends import Aftermath, AttemptEnded, Tries, judge_end

COMPLETED, PRUNED, INTERRUPTED = AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED, AttemptOutcome.INTERRUPTED
LOST, STALLED, FAILED = AttemptOutcome.LOST, AttemptOutcome.STALLED, AttemptOutcome.FAILED
NONE = Tries()
AGAIN = JobState.PAUSED


def end(outcome: AttemptOutcome, kind: FailureKind | None = None, **details: bool) -> AttemptEnded:
    return AttemptEnded("0001", outcome, kind, **details)


@pytest.mark.parametrize(
    ("event", "before", "aftermath"),
    [
        (end(COMPLETED), Tries(n_losses=2), Aftermath(JobState.COMPLETED, Tries(n_losses=2))),
        (end(PRUNED), NONE, Aftermath(JobState.PRUNED, NONE)),
        (end(INTERRUPTED), NONE, Aftermath(AGAIN, NONE)),
        # Vanished by itself: counted. With its server, its controller or the machine: not.
        (end(LOST, FailureKind.LOST), NONE, Aftermath(AGAIN, Tries(n_losses=1))),
        (end(LOST, FailureKind.LOST), Tries(n_losses=1), Aftermath(AGAIN, Tries(n_losses=2))),
        (end(LOST, FailureKind.LOST), Tries(n_losses=2), Aftermath(JobState.FAILED, Tries(n_losses=3))),
        (end(LOST, FailureKind.LOST, is_own_fault=False), Tries(n_losses=2), Aftermath(AGAIN, Tries(n_losses=2))),
        (end(FAILED, FailureKind.LOST), NONE, Aftermath(AGAIN, Tries(n_losses=1))),
        # Host memory and stalls: one retry each, counted apart.
        (end(LOST, FailureKind.OOM), Tries(n_losses=2), Aftermath(AGAIN, Tries(n_losses=2, n_host_ooms=1))),
        (end(LOST, FailureKind.OOM), Tries(n_host_ooms=1), Aftermath(JobState.FAILED, Tries(n_host_ooms=2))),
        (end(STALLED, FailureKind.STALLED), NONE, Aftermath(AGAIN, Tries(n_stalls=1))),
        (end(STALLED, FailureKind.STALLED), Tries(n_stalls=1), Aftermath(JobState.FAILED, Tries(n_stalls=2))),
        # Device memory: one retry, if there is anything to halve.
        (end(FAILED, FailureKind.OOM, can_halve=True), NONE, Aftermath(AGAIN, Tries(n_ooms=1))),
        (end(FAILED, FailureKind.OOM, can_halve=True), Tries(n_ooms=1), Aftermath(JobState.FAILED, Tries(n_ooms=2))),
        (end(FAILED, FailureKind.OOM), NONE, Aftermath(JobState.FAILED, Tries(n_ooms=1))),
        # The device's fault counts like a loss, so that a job that breaks every device ends.
        (end(FAILED, FailureKind.DEVICE), NONE, Aftermath(AGAIN, Tries(n_losses=1), is_device_error=True)),
        (
            end(FAILED, FailureKind.DEVICE),
            Tries(n_losses=2),
            Aftermath(JobState.FAILED, Tries(n_losses=3), is_device_error=True),
        ),
        (end(FAILED, FailureKind.DISK), Tries(n_losses=2), Aftermath(AGAIN, Tries(n_losses=2), stops_sweep=True)),
        *(
            (end(FAILED, kind), NONE, Aftermath(JobState.FAILED, NONE))
            for kind in (FailureKind.DIVERGED, FailureKind.DATA, FailureKind.BUG, FailureKind.USER)
        ),
    ],
)
def test_an_end_means_one_thing(event: AttemptEnded, before: Tries, aftermath: Aftermath) -> None:
    assert judge_end(event, before) == aftermath


def test_every_kind_of_failure_is_in_the_table() -> None:
    for kind in FailureKind:
        assert judge_end(end(FAILED, kind), NONE).state in (AGAIN, JobState.FAILED)


def test_a_loss_is_no_loss_where_the_job_was_told_to_stop() -> None:
    assert judge_end(end(LOST, FailureKind.LOST), NONE, is_stopped=True) == Aftermath(AGAIN, NONE)
    assert judge_end(end(FAILED, FailureKind.BUG), NONE, is_stopped=True) == Aftermath(JobState.FAILED, NONE)


def test_a_cancelled_job_is_cancelled_however_it_ends_unless_it_was_done() -> None:
    for event in (end(INTERRUPTED), end(LOST), end(STALLED), end(FAILED, FailureKind.OOM, can_halve=True)):
        assert judge_end(event, NONE, is_cancelled=True) == Aftermath(JobState.CANCELLED, NONE)
    assert judge_end(end(COMPLETED), NONE, is_cancelled=True) == Aftermath(JobState.COMPLETED, NONE)


def test_the_journal_keeps_what_counts_and_gives_it_back() -> None:
    assert NONE.counts() == {}
    assert Tries(n_ooms=1, n_losses=2).counts() == {"n_losses": 2, "n_ooms": 1}
    assert Tries(**Tries(n_ooms=1, n_losses=2).counts()) == Tries(n_ooms=1, n_losses=2)
