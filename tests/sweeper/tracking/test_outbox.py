"""What waits for a store that is away stays small, whole and in order."""

from pathlib import Path

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.states import JobState
from sweeper.tracking.outbox import JobEnd, JobTasks, Outbox, TrackedJob


def folder(job_id: str) -> JobFolder:
    return JobFolder(Path("/sweep/jobs") / job_id)


def start(job_id: str, title: str = "") -> JobTasks:
    return JobTasks(folder(job_id), start=TrackedJob(folder(job_id), title, {}, {}, ("", "", "")))


def records(job_id: str) -> JobTasks:
    return JobTasks(folder(job_id), has_records=True)


def end(job_id: str, number: int, state: JobState) -> JobTasks:
    attempt = AttemptFolder(folder(job_id).attempts / str(number))
    return JobTasks(folder(job_id), has_records=True, end=JobEnd(attempt, state, None))


def test_a_thousand_requests_of_a_job_are_one_entry() -> None:
    outbox = Outbox()
    outbox.put(start("0001"))
    for _ in range(1000):
        outbox.put(records("0001"))
    outbox.put(end("0001", 1, JobState.COMPLETED))
    (tasks,) = outbox.waiting()
    assert (tasks.start is not None, tasks.has_records, tasks.end is not None) == (True, True, True)


def test_a_job_that_starts_again_has_not_ended() -> None:
    outbox = Outbox()
    for tasks in (start("0001", "first"), end("0001", 1, JobState.PAUSED), start("0001", "second"), records("0001")):
        outbox.put(tasks)
    (tasks,) = outbox.waiting()
    assert tasks.start is not None
    assert tasks.start.title == "second"
    assert tasks.end is None
    outbox.put(end("0001", 2, JobState.COMPLETED))
    (tasks,) = outbox.waiting()
    assert tasks.end is not None
    assert (tasks.end.attempt.number, tasks.end.state) == (2, JobState.COMPLETED)


def test_entries_are_taken_in_the_order_in_which_jobs_came() -> None:
    outbox = Outbox()
    for tasks in (start("0002"), start("0001"), records("0002")):
        outbox.put(tasks)
    taken = []
    while (tasks := outbox.take()) is not None:
        taken.append(tasks.folder.job_id)
        outbox.done()
    assert taken == ["0002", "0001"]
    assert outbox.waiting() == []


def test_what_could_not_be_told_goes_back_in_front_and_what_came_meanwhile_follows_it() -> None:
    outbox = Outbox()
    outbox.put(start("0001"))
    outbox.put(start("0002"))
    taken = outbox.take()
    assert taken is not None
    assert len(outbox.waiting()) == 2  # what is being told is not told yet
    outbox.put(end("0001", 1, JobState.FAILED))
    outbox.give_back(taken)
    first, second = outbox.waiting()
    assert (first.folder.job_id, first.start is not None, first.end is not None) == ("0001", True, True)
    assert second.folder.job_id == "0002"


def test_a_job_that_is_laid_aside_waits_with_all_that_is_still_to_come() -> None:
    outbox = Outbox()
    outbox.put(start("0001"))
    taken = outbox.take()
    assert taken is not None
    outbox.hold(taken)
    outbox.put(end("0001", 1, JobState.COMPLETED))
    assert outbox.take() is None
    (held,) = outbox.waiting()
    assert held.end is not None
    outbox.close()
    assert not outbox.wait(lambda: False)


def test_a_closed_outbox_is_emptied_before_its_reader_is_let_go() -> None:
    outbox = Outbox()
    outbox.put(start("0001"))
    outbox.close()
    assert outbox.wait(lambda: False)
    outbox.take()
    outbox.done()
    assert outbox.wait(lambda: True)  # the sweep's own run is still to be closed
    assert not outbox.wait(lambda: False)
