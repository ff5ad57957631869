"""What was not measured here is shown apart: numbers that people noted, and tables of others."""

import csv
import io
from pathlib import Path

import pytest

from reports.csv_file import csv_runs
from reports.markdown import markdown_table
from reports.noted import MEANING
from reports.read import read_runs
from reports.section import split_sections
from reports.sweep_report import write_report
from runners.contract.displayed import DisplayedColumn, DisplayedTable
from runners.contract.errors import UserError
from runners.contract.notes import add_notes
from tests.reports.sweep_writing import WrittenJob, write_sweep

R50, R101 = "faster-rcnn_resnet50_fpn_sgd_512", "faster-rcnn_resnet101_fpn_sgd_512"
STUDY = DisplayedTable(
    "the-study",
    "the study.csv",
    "0" * 64,
    1_790_000_000.0,
    [DisplayedColumn("TEST <mAP>", "test mAP", is_ap=True), DisplayedColumn("train loss", "train loss", is_ap=False)],
    [("=evil() <b>", [0.99, 0.31]), (R50, [0.415, None])],
)


def test_noted_numbers_have_a_column_of_their_own_and_change_no_order(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(0.6), WrittenJob(0.7, {"backbone": "resnet101"})])
    plain = markdown_table(split_sections(read_runs(sweep))[0].tables[0])
    assert "✎" not in plain
    add_notes(sweep.job("0001"), {"leaderboard": 0.41})
    add_notes(sweep.job("0001"), {"leaderboard": 0.43, "comment": "flip | one fold"})
    runs = read_runs(sweep)
    tables = {table.name: table for table in split_sections(runs)[0].tables}
    study = tables["study"]
    assert [column.title for column in study.columns][4:] == ["leaderboard ✎"]
    assert [(row.cells[0].value, row.cells[4].text) for row in study.rows] == [(R101, "–"), (R50, "0.43")]
    assert [row.cells[4].tone.value for row in study.rows] == ["missing", "plain"]
    assert study.notes[-1] == MEANING
    (first, second) = tables["noted"].rows
    assert [cell.text for cell in first.cells[:3]] == [R50, "leaderboard", "0.43"]
    assert first.cells[4].text.startswith("0.41 (")
    assert second.cells[2].text == "flip | one fold"
    assert "leaderboard" not in "".join(markdown_table(tables[name]) for name in ("fit", "costs", "sizes"))
    rows = {row["title"]: row for row in csv.DictReader(io.StringIO(csv_runs(runs.runs)))}
    assert (rows[R50]["note/leaderboard"], rows[R50]["note/comment"]) == ("0.43", "flip | one fold")
    assert (rows[R101]["note/leaderboard"], rows[R101]["note/comment"]) == ("", "")


def test_a_damaged_note_is_told_in_one_line(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(0.6)])
    sweep.job("0001").notes.write_text('{"key": 1}\n')
    with pytest.raises(UserError, match=r"notes in .*damaged"):
        read_runs(sweep)


def test_a_table_of_others_stands_behind_all_else_and_is_not_ranked(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(0.6)])
    plain = write_report(sweep, tmp_path / "plain")
    assert plain.displayed == ()
    assert "Not measured here" not in plain.page.read_text(encoding="utf-8")
    STUDY.write(tmp_path)
    report = write_report(sweep, tmp_path / "report")
    table = report.tables[-1]
    assert report.tables[:-1] == plain.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["=evil() <b>", "99.0", "0.31"],
        [R50, "41.5", "–"],
    ]
    assert {cell.tone.value for row in table.rows for cell in row.cells} == {"plain", "missing"}
    assert all(row.key == "" for row in table.rows)
    assert "Nothing in it was measured here" in table.notes[0]
    page, markdown = report.page.read_text(encoding="utf-8"), report.markdown.read_text(encoding="utf-8")
    assert page.index("Not measured here") > page.index("Costs")
    assert "TEST &lt;mAP&gt;" in page
    assert "<b>" not in page.partition("Not measured here")[2].partition("</table>")[0].replace("&lt;b&gt;", "")
    assert markdown.index("For display only: the study.csv") > markdown.index("## Costs")
    rows = list(csv.DictReader((tmp_path / "report" / "displayed-the-study.csv").read_text().splitlines()))
    assert [row["title"] for row in rows] == ["'=evil() <b>", R50]
    assert rows[1]["TEST <mAP>"] == "41.5"
    assert "the study" not in (tmp_path / "report" / "runs.csv").read_text()


def test_a_damaged_table_of_others_is_told_in_one_line(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [WrittenJob(0.6)])
    STUDY.write(tmp_path).write_text('{"name": "x"}')
    with pytest.raises(UserError, match=r"displayed table in .*the-study.json: damaged"):
        write_report(sweep, tmp_path / "report")
