"""Jobs whose numbers need a word: a sign in every table, what it means below, a column in every CSV file."""

import csv
import io
from pathlib import Path

import pytest

from reports.csv_file import csv_runs, csv_table
from reports.markdown import markdown_table
from reports.marks import MEANINGS, SIGNS
from reports.read import read_runs
from reports.records import RunSet
from reports.section import split_sections
from reports.sweep_report import write_report
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.records import AttemptResult, AttemptSpec, Failure
from runners.contract.remarks import Remark, RemarkKind, parse_remarks, read_remarks, remark_lines
from runners.contract.states import AttemptOutcome, FailureKind, JobState
from tests.reports.sweep_writing import STARTED_AT, WrittenJob, write_sweep

TITLE = "faster-rcnn_resnet50_fpn_sgd_512"


def put_attempt_before(sweep: SweepFolder, failure: Failure | None, batch_per_step: int, resume: str | None) -> None:
    """Have the job's only attempt be its second."""
    job = sweep.job("0001")
    (job.attempts / "1").rename(job.attempts / "2")
    attempt = job.all_attempts()[0]
    spec = AttemptSpec.read(attempt)
    AttemptSpec(2, "cpu", 1, 0, spec.batch_per_step, spec.accumulation, resume=resume).write(attempt)
    result = AttemptResult.read(attempt)
    assert result is not None
    AttemptResult(**{**vars(result), "attempt": 2}).write(attempt)
    (job.attempts / "1").mkdir()
    first = job.all_attempts()[0]
    AttemptSpec(1, "cpu", 1, 0, batch_per_step, 16 // batch_per_step).write(first)
    if failure is not None:
        AttemptResult(1, AttemptOutcome.FAILED, failure).write(first)


def tables_of(runs: RunSet) -> dict[str, str]:
    return {table.name: markdown_table(table) for section in split_sections(runs) for table in section.tables}


@pytest.mark.parametrize(
    ("failure", "batch_per_step", "resume", "remarks"),
    [
        (
            Failure(FailureKind.OOM, "CUDA out of memory"),
            8,
            None,
            [(RemarkKind.OUT_OF_MEMORY, "4 x 4 images per step instead of 8 x 2 images per step")],
        ),
        (None, 8, None, [(RemarkKind.OTHER_SPLIT, "4 x 4 images per step instead of 8 x 2 images per step")]),
        (None, 4, "a1_epoch_3", [(RemarkKind.RESUMED, "2 attempts, costs are those of the last")]),
        (Failure(FailureKind.LOST, "killed"), 4, None, []),
    ],
    ids=["out of memory", "other split", "resumed", "begun anew"],
)
def test_remarks_follow_from_the_attempts(
    tmp_path: Path,
    failure: Failure | None,
    batch_per_step: int,
    resume: str | None,
    remarks: list[tuple[RemarkKind, str]],
) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob()])
    put_attempt_before(sweep, failure, batch_per_step, resume)
    assert read_remarks(sweep.job("0001")) == tuple(Remark(*remark) for remark in remarks)


def test_an_attempt_that_only_probed_or_has_no_spec_gives_rise_to_no_remark(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob()])
    probe, unborn = (sweep.job("0001").take_attempt() for _ in range(2))
    AttemptSpec(probe.number, "cpu", 1, 0, 1, 16, mode="probe").write(probe)
    assert not unborn.spec.exists()
    assert read_remarks(sweep.job("0001")) == ()


def test_a_marked_job_is_marked_in_every_table_and_named_plainly_in_csv(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(), WrittenJob(0.5, {"backbone": "resnet101"})])
    put_attempt_before(sweep, Failure(FailureKind.OOM, "CUDA out of memory"), 8, resume="a1_epoch_3")
    runs = read_runs(sweep)
    tables = tables_of(runs)
    of_jobs = ("study", "sizes", "fit", "zoo", "costs")
    assert set(tables) == {*of_jobs, "next-steps"}
    for text in (tables[name] for name in of_jobs):
        assert f"{TITLE} †‡" in text
        assert "resnet101_fpn_sgd_512 †" not in text
        assert f"- † {MEANINGS[RemarkKind.OUT_OF_MEMORY]}." in text
        assert f"- ‡ {MEANINGS[RemarkKind.RESUMED]}." in text
        assert SIGNS[RemarkKind.REUSED] not in text
    remarks = (
        "out of memory: 4 x 4 images per step instead of 8 x 2 images per step; "
        "resumed: 2 attempts, costs are those of the last"
    )
    for table in (table for table in split_sections(runs)[0].tables if table.name in of_jobs):
        rows = {row["title"]: row["remarks"] for row in csv.DictReader(io.StringIO(csv_table(table)))}
        assert rows == {TITLE: remarks, TITLE.replace("resnet50", "resnet101"): ""}
    rows = {row["title"]: row["remarks"] for row in csv.DictReader(io.StringIO(csv_runs(runs.runs)))}
    assert rows[TITLE] == remarks
    page = write_report(sweep, tmp_path / "report").page.read_text(encoding="utf-8")
    assert f"{TITLE} †‡" in page


def test_a_job_without_a_result_is_marked_too(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(state=JobState.FAILED, failure="CUDA out of memory", n_trained=1)])
    put_attempt_before(sweep, Failure(FailureKind.OOM, "CUDA out of memory"), 8, None)
    tables = tables_of(read_runs(sweep))
    assert f"{TITLE} †" in tables["without-result"]
    assert "did not fit into memory" in tables["without-result"]


def test_a_report_without_remarkable_jobs_has_no_signs(tmp_path: Path) -> None:
    text = "".join(tables_of(read_runs(write_sweep(tmp_path, [WrittenJob()]))).values())
    assert not [sign for sign in SIGNS.values() if sign in text]


def test_remarks_survive_the_store() -> None:
    remarks = (Remark(RemarkKind.RESUMED, "2 attempts: x"), Remark(RemarkKind.OUT_OF_MEMORY, "4 x 4"))
    assert parse_remarks(remark_lines(remarks)) == remarks
    assert parse_remarks("") == parse_remarks("something else: x\nnothing") == ()


@pytest.mark.parametrize(
    ("events", "state", "failure"),
    [
        (
            [{"event": "cancelled", "state": "CANCELLED", "reason": "asked by a person"}],
            "CANCELLED",
            "asked by a person",
        ),
        ([{"event": "retried", "state": "PLANNED", "reason": ""}], "PLANNED", ""),
        ([{"event": "retried", "state": "PLANNED"}, {"event": "started", "state": "RUNNING"}], "RUNNING", ""),
        ([{"event": "postponed", "state": "PAUSED", "reason": "gpu0 is given back"}], "PAUSED", "gpu0 is given back"),
        ([{"event": "estimated", "expected_s": 60.0, "memory_gb": 0.0}], "FAILED", "loss is NaN"),
    ],
    ids=["cancelled", "retried", "running again", "postponed", "estimated"],
)
def test_the_last_event_of_a_job_says_where_it_stands(
    tmp_path: Path, events: list[dict[str, object]], state: str, failure: str
) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(state=JobState.FAILED, failure="loss is NaN", n_trained=2)])
    for event in events:
        append_line(sweep.journal, {"at": STARTED_AT + 9000, "job": "0001", **event})
    (run,) = read_runs(sweep).runs
    assert (run.state.value, run.failure) == (state, failure)
