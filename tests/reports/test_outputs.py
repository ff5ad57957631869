"""Markdown, CSV, terminal and the report as files: the same numbers, and names that do nothing."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from reports.csv_file import csv_runs, csv_table
from reports.markdown import markdown_table
from reports.neutral import csv_text, markdown_text, plain_text
from reports.read import read_runs
from reports.sweep_report import write_report
from reports.table import Column, Row, Table, Tone, ap_cell, mark_best, missing_cell, text_cell
from reports.terminal import terminal_table
from tests.reports.gallery import write_gallery
from tests.reports.sweep_writing import WrittenJob, write_sweep

ROWS = [
    Row("s/1", (text_cell("=cmd|' /C calc'!A0"), ap_cell(0.41249))),
    Row("s/2", (text_cell("a\x1b[2Jb"), ap_cell(0.5))),
    Row("s/3", (text_cell("my_net|**x**"), missing_cell("not labelled"))),
]
TABLE = Table("t", "AP of <things>", (Column("title", is_number=False), Column("AP")), mark_best(ROWS, 1), ("a note",))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_formula_becomes_text_in_csv(text: str) -> None:
    assert csv_text(text) == f"'{text}"


def test_control_characters_are_seen_and_not_obeyed() -> None:
    assert plain_text("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\x0ac\\x202ed"
    assert csv_text("\t=1+1") == "\\x09=1+1"


def test_names_in_any_script_stay_as_they_are() -> None:
    name = "재활용 쓰레기, «бумага» 紙 (Paper_pack)"
    assert plain_text(name) == csv_text(name) == markdown_text(name) == name


def test_csv_keeps_numbers_whole_and_words_where_there_is_none() -> None:
    rows = list(csv.reader(io.StringIO(csv_table(TABLE))))
    assert rows[0] == ["title", "AP", "remarks"]
    assert rows[1][0] == "'=cmd|' /C calc'!A0"
    assert float(rows[1][1]) == pytest.approx(41.249)
    assert rows[2][0] == "a\\x1b[2Jb"
    assert rows[3] == ["my_net|**x**", "not labelled", ""]


def test_runs_csv_holds_every_recorded_number(tmp_path: Path) -> None:
    runs = read_runs(write_sweep(tmp_path, [WrittenJob(0.6)])).runs
    (row,) = csv.DictReader(io.StringIO(csv_runs(runs)))
    assert {name: float(row[name]) for name in runs[0].metrics} == runs[0].metrics
    assert {name: row[name] for name in runs[0].params} == runs[0].params
    assert row["title"] == "faster-rcnn_resnet50_fpn_sgd_512"
    assert row["state"] == "COMPLETED"


def test_markdown_cells_cannot_leave_their_cell() -> None:
    lines = markdown_table(TABLE).splitlines()
    assert lines[0] == r"## AP of \<things\>"
    assert lines[3] == "| --- | ---: |"
    assert lines[4] == r"| =cmd\|' /C calc'!A0 | 41.2 |"
    assert lines[5] == r"| a\\x1b\[2Jb | **50.0** |"
    assert lines[6] == r"| my_net\|\*\*x\*\* | not labelled |"


def test_the_terminal_gets_no_escape_from_a_name() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="truecolor")
    console.print(terminal_table(TABLE))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2J" not in shown
    assert "a\\x1b[2Jb" in shown


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_terminal_never_breaks_a_number(tmp_path: Path, width: int) -> None:
    report = write_report(write_gallery(tmp_path), tmp_path / "report")
    table = next(table for table in report.tables if table.name == "sizes")
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal_table(table))
    shown = console.file.getvalue().split()  # type: ignore[attr-defined]
    wanted = [cell.text for row in table.rows for cell in row.cells[1:] if cell.tone is not Tone.MISSING]
    assert len(wanted) > 30
    for text in wanted:
        assert shown.count(text) >= wanted.count(text)


def test_a_report_is_written_into_its_folder(tmp_path: Path) -> None:
    report = write_report(write_gallery(tmp_path), tmp_path / "out" / "report")
    assert report.title == "backbones"
    assert [table.name for table in report.tables] == [
        "study",
        "without-result",
        "sizes",
        "fit",
        "prices",
        "zoo",
        "costs",
        "run-list",
    ]
    assert {path.name for path in report.csv} == {f"{table.name}.csv" for table in report.tables} | {"runs.csv"}
    written = sorted(path.name for path in (tmp_path / "out" / "report").iterdir())
    assert written == sorted([report.page.name, report.markdown.name, "figures", *(path.name for path in report.csv)])
    assert sorted((tmp_path / "out" / "report" / "figures").iterdir()) == sorted(report.figures)
    assert {path.suffix for path in report.figures} == {".svg", ".png"}
    assert "| title | train loss | val mAP50 | test mAP50 |" in report.markdown.read_text(encoding="utf-8")


def test_a_report_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_report(write_gallery(tmp_path), tmp_path / "report")
    assert capfd.readouterr() == ("", "")


def test_a_sweep_that_has_just_begun_has_a_report(tmp_path: Path) -> None:
    from runners.contract.states import JobState

    folder = write_sweep(tmp_path, [WrittenJob(state=JobState.PLANNED), WrittenJob(state=JobState.PLANNED)])
    report = write_report(folder, tmp_path / "report")
    assert [table.name for table in report.tables] == ["study", "without-result", "run-list"]
    assert report.screen.decisions == ["Nothing has finished yet."]
    assert report.figures == ()


def test_numbers_that_are_all_equal_have_no_best() -> None:
    rows = [Row("a", (text_cell("a"), ap_cell(0.0))), Row("b", (text_cell("b"), ap_cell(0.0)))]
    assert [row.cells[1].tone for row in mark_best(rows, 1)] == [Tone.PLAIN, Tone.PLAIN]
