"""Following a folder that somebody else writes."""

import time
from pathlib import Path

import pytest
import yaml

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from sweeper.stored.journal import Journal
from sweeper.view.sweep_reader import SweepReader, follow, read_view
from sweeper.view.sweep_view import SweepView

STARTED = {"job": "0001", "attempt": 1, "slot": "cpu/0", "resume": None, "batch_per_step": 4, "state": "RUNNING"}


def test_it_reads_on_from_where_it_was_and_waits_for_whole_lines(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    reader = SweepReader(sweep)
    assert list(reader.news()) == []
    with Journal(sweep.journal) as journal:
        journal.append("started", **STARTED)
        attempt = sweep.job("0001").attempts / "1"
        attempt.mkdir(parents=True)
        metrics = attempt / "metrics.jsonl"
        metrics.write_text('{"at": 1.0, "attempt": 1, "step": 1, "values": {"iter/loss": 2.0}}\n{"at": 2.0, "att')
        events = list(reader.news())
        assert [event["event"] if isinstance(event, dict) else event[1].values for event in events] == [
            "started",
            {"iter/loss": 2.0},
        ]
        assert list(reader.news()) == []
        with metrics.open("a") as file:
            file.write('empt": 1, "step": 2, "values": {"iter/loss": 1.0}}\n')
        journal.append("ended", job="0001", attempt=1, state="COMPLETED", reason=None)
        # What a job wrote last comes before its end.
        news = list(reader.news())
    assert isinstance(news[0], tuple)
    assert news[0][1].values == {"iter/loss": 1.0}
    assert isinstance(news[1], dict)
    assert news[1]["event"] == "ended"


def test_a_torn_metrics_file_stops_nothing_else(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    with Journal(sweep.journal) as journal:
        journal.append("started", **STARTED)
        (sweep.job("0001").attempts / "1").mkdir(parents=True)
        (sweep.job("0001").attempts / "1" / "metrics.jsonl").write_text("rubbish\n")
        journal.append("planned", job="0002", state="PLANNED", title="second", values={})
        view = read_view(sweep)
    assert set(view.jobs) == {"0001", "0002"}
    assert view.is_live


def test_a_damaged_journal_is_told_in_one_line(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    sweep.journal.write_text('{"at": 1.0, "event": "paused"}\nrubbish\n')
    with pytest.raises(UserError, match=r"journal damaged in .*journal\.jsonl: byte 31"):
        read_view(sweep)


def test_titles_and_axes_that_the_journal_does_not_tell_come_from_the_plan(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    jobs = [{"id": f"000{n}", "title": f"title {n}", "overrides": [f"seed={n}", "neck=fpn"]} for n in (1, 2)]
    plan = {"command": ["detsweep", "train"], "axes": {"seed": ["1", "2"]}, "jobs": jobs}
    sweep.sweep.write_text(yaml.safe_dump(plan))
    with Journal(sweep.journal) as journal:
        journal.append("planned", job="0001", state="PLANNED")
    view = read_view(sweep)
    assert [(job.title, job.values, job.state) for job in view.jobs.values()] == [
        ("title 1", {"seed": "1"}, JobState.PLANNED),
        ("title 2", {"seed": "2"}, JobState.PLANNED),
    ]
    assert (view.command, view.is_live) == (["detsweep", "train"], False)


def test_a_journal_of_ten_thousand_jobs_is_read_in_two_seconds(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    lines = ['{"at": 1.0, "event": "sweep_started", "pid": 1, "host": "a", "command": ["detsweep", "train"]}']
    for number in range(10_000):
        job = f'"job": "{number:05d}"'
        lines += [
            f'{{"at": 1.0, "event": "planned", {job}, "state": "PLANNED", "title": "t", "values": {{"seed": "1"}}}}',
            f'{{"at": 2.0, "event": "started", {job}, "attempt": 1, "slot": "gpu0", "state": "RUNNING"}}',
            f'{{"at": 2.0, "event": "process", {job}, "attempt": 1, "pid": 1, "born_at": 2.0}}',
            f'{{"at": 3.0, "event": "ended", {job}, "attempt": 1, "state": "COMPLETED", "reason": null}}',
        ]
    sweep.journal.write_text("\n".join(lines) + "\n")
    before = time.process_time()
    view, reader = SweepView(sweep), SweepReader(sweep)
    follow(reader, view)
    assert view.counts()[JobState.COMPLETED] == 10_000
    assert time.process_time() - before < 2.0
