"""A controller and its search: what is asked and answered, and what of it the journal keeps."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from runners.contract.folder import AttemptFolder
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.control.asking import Answer, Decision
from sweeper.control.left import read_left
from sweeper.stored.journal import Journal
from tests.sweeper.controller_stage import Stage, completes

METRIC = "val/bbox_mAP_50"


class Script:
    """A search that answers what it was given, and hears what happens.

    Attributes:
        heard: jobs' numbers and ends, in order.
    """

    n_jobs = 5

    def __init__(self, stage: Stage, *answers: Answer) -> None:
        self._stage = stage
        self._answers = list(answers)
        self.decides: dict[str, Decision] = {}
        self.heard: list[tuple[str, object]] = []

    def ask(self) -> Answer:
        return self._answers.pop(0) if self._answers else Answer(is_over=True)

    def record(self, job_id: str, record: MetricRecord) -> Sequence[Decision]:
        if METRIC in record.values:
            self.heard.append((job_id, record.values[METRIC]))
        decision = self.decides.pop(job_id, None)
        return [] if decision is None else [decision]

    def end(self, job_id: str, state: JobState, reason: str | None) -> None:
        self.heard.append((job_id, state.value))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    staged = Stage(tmp_path)
    with Journal(staged.sweep.journal) as journal:
        journal.append("sweep_started", host="here", boot_id="", versions={"torch": "2.15.0"})
    return staged


def measures(attempt: AttemptFolder) -> int | None:
    """Tell of one epoch and live on; done by the second attempt."""
    if attempt.number > 1:
        return completes(attempt)
    MetricRecord(1.0, attempt.number, 1, {METRIC: 0.25}, {}).append(attempt)
    return None


def run(stage: Stage, search: Script, play=completes, *planned: str) -> int:  # type: ignore[no-untyped-def]
    stage.more = {**stage.more, "search": search}
    return stage.run(play, *planned)


def test_new_jobs_are_planned_started_and_told(stage: Stage) -> None:
    search = Script(stage, Answer(jobs=[stage.job("0002")]))
    assert run(stage, search, completes, "0001") == 0
    assert stage.told("planned", "started", "ended", "asking_ended") == [
        *("planned 0001", "started 0001", "ended 0001"),
        *("planned 0002", "started 0002", "ended 0002", "asking_ended"),
    ]
    assert search.heard == [("0001", 0.4), ("0001", "COMPLETED"), ("0002", 0.4), ("0002", "COMPLETED")]
    assert read_left(stage.sweep).has_asked_all


def test_a_job_rests_and_goes_on_from_where_it_was(stage: Stage) -> None:
    search = Script(stage, Answer(decisions=[Decision("0001", "promote", "one of the best")]))
    search.decides["0001"] = Decision("0001", "pause", "rests after epoch 1", 1)
    assert run(stage, search, measures, "0001") == 0
    assert [(event["decision"], event["epoch"]) for event in stage.events("decided")] == [("pause", 1), ("promote", 0)]
    ends = [(event["attempt"], event["state"]) for event in stage.events("ended")]
    assert ends == [(1, "PAUSED"), (2, "COMPLETED")]
    assert "from a rung" in stage.out.getvalue()


def test_a_job_that_is_given_up_while_it_runs_is_pruned_and_keeps_its_numbers(stage: Stage) -> None:
    search = Script(stage)
    search.decides["0001"] = Decision("0001", "prune", "pruned after epoch 1", 1)
    assert run(stage, search, measures, "0001") == 0
    assert stage.attempt("0001").stop.read_text() == "prune"
    assert stage.states() == {"0001": "PRUNED"}
    assert search.heard == [("0001", 0.25), ("0001", "PRUNED")]
    (ended,) = stage.events("ended")
    assert ended["reason"] == "pruned after epoch 1"


def test_what_a_job_would_have_gone_on_from_goes_when_it_is_given_up_and_its_best_weights_stay(stage: Stage) -> None:
    def measures_and_saves(attempt: AttemptFolder) -> int | None:
        checkpoints = attempt.job.checkpoints
        for name in ("a1_epoch_1.pth", "a1_epoch_1.pth.sha256", "a1_best_epoch_1.pth"):
            (checkpoints / name).write_text("0" * 64)
        return measures(attempt)

    search = Script(stage, Answer(decisions=[Decision("0002", "prune", "given up")], is_over=True))
    search.decides["0001"] = Decision("0001", "prune", "pruned after epoch 1", 1)
    search.decides["0002"] = Decision("0002", "pause", "rests", 1)
    assert run(stage, search, measures_and_saves, "0001", "0002") == 0
    assert stage.states() == {"0001": "PRUNED", "0002": "PRUNED"}
    for job_id in ("0001", "0002"):
        assert [path.name for path in stage.sweep.job(job_id).checkpoints.iterdir()] == ["a1_best_epoch_1.pth"]


def test_those_that_rest_at_the_end_are_pruned_with_the_reason(stage: Stage) -> None:
    search = Script(stage, Answer(decisions=[Decision("0001", "prune", "given up at place 3 of 3")], is_over=True))
    search.decides["0001"] = Decision("0001", "pause", "rests", 1)
    assert run(stage, search, measures, "0001") == 0
    (pruned,) = stage.events("pruned")
    assert (pruned["state"], pruned["reason"]) == ("PRUNED", "given up at place 3 of 3")
    assert search.heard[-1] == ("0001", "PRUNED")
    # Each answer is carried out once, though every step of it frees the place again.
    assert len(stage.events("asking_ended")) == 1


def test_an_earlier_controller_s_decisions_hold(stage: Stage) -> None:
    search = Script(stage, Answer())
    search.decides["0001"] = Decision("0001", "pause", "rests", 1)

    def leave(number: int) -> None:
        if stage.events("ended"):
            raise KeyboardInterrupt

    stage.on_tick = leave
    with pytest.raises(KeyboardInterrupt):
        run(stage, search, measures, "0001")
    left = read_left(stage.sweep)
    assert (left.jobs["0001"].state, left.jobs["0001"].is_held, left.has_asked_all) == (JobState.PAUSED, True, False)
    stage.on_tick = lambda number: None
    again = Script(stage, Answer(decisions=[Decision("0001", "promote", "goes on")]))
    stage.more = {"left": left}
    assert run(stage, again, measures, "0001") == 0
    assert stage.told("started", "decided")[-2:] == ["decided 0001", "started 0001"]
    assert not read_left(stage.sweep).jobs["0001"].is_held


def test_a_job_told_to_end_by_signal_and_file_says_the_file_s_reason(stage: Stage) -> None:
    """A job hears TERM before it looks for the file: what was written there is why."""
    from runners.stopping import StopRequest, StopTraining

    attempt = stage.sweep.job("0001")
    attempt.path.mkdir(parents=True)
    folder = attempt.take_attempt()
    request = StopRequest(folder)
    folder.stop.write_text("prune")
    request._take_signal(15, None)
    with pytest.raises(StopTraining) as stopped:
        request.raise_if_asked()
    assert stopped.value.reason == "prune"
