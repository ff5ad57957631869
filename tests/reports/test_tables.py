"""What the tables say, and what they refuse to say."""

from pathlib import Path

import pytest

from reports.read import read_runs
from reports.records import RunRecord
from reports.section import split_sections
from reports.side_tables import cost_table, fit_table, notes_table, open_table
from reports.table import Column, Row, Table, Tone, ap_cell, text_cell
from reports.tables import size_table, study_table
from runners.contract.states import JobState
from tests.reports.sweep_writing import WrittenJob, write_sweep


def runs_of(tmp_path: Path, *jobs: WrittenJob, labelled: dict[str, bool] | None = None) -> tuple[RunRecord, ...]:
    return read_runs(write_sweep(tmp_path, list(jobs), labelled=labelled)).runs


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_the_study_table_has_the_best_on_top_in_points(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, WrittenJob(0.5), WrittenJob(0.7, {"backbone": "resnet101"}))
    table = study_table(runs)
    assert [column.title for column in table.columns] == ["title", "train loss", "val mAP50", "test mAP50"]
    assert [row[0] for row in texts(table)] == ["faster-rcnn_resnet101_fpn_sgd_512", "faster-rcnn_resnet50_fpn_sgd_512"]
    assert texts(table)[0][3] == "67.0"
    assert table.rows[0].cells[2].text == f"{100 * runs[1].metrics['best/val/bbox_mAP_50']:.1f}"
    assert [row.cells[2].tone for row in table.rows] == [Tone.BEST, Tone.PLAIN]


def test_an_unlabelled_test_split_is_never_a_zero(tmp_path: Path) -> None:
    table = study_table(runs_of(tmp_path, WrittenJob(), labelled={"val": True, "test": False}))
    cell = table.rows[0].cells[3]
    assert (cell.text, cell.value) == ("not labelled", None)
    assert any("no annotations" in note for note in table.notes)


def test_a_split_that_does_not_exist_is_said(tmp_path: Path) -> None:
    table = study_table(runs_of(tmp_path, WrittenJob(), labelled={}))
    assert texts(table)[0][2:] == ["no val split", "no test split"]


def test_losses_of_different_detectors_are_marked(tmp_path: Path) -> None:
    runs = runs_of(
        tmp_path, WrittenJob(0.5), WrittenJob(0.7, {"detector": "retinanet"}), WrittenJob(0.4, {"box_loss": "giou"})
    )
    table = study_table(runs)
    assert [row[1][-3:] for row in texts(table)] == ["(b)", "(a)", "(c)"]
    assert "(a) Faster R-CNN, (b) RetinaNet, (c) Faster R-CNN with giou box loss" in "".join(table.notes)
    assert all(isinstance(row.cells[1].value, float) for row in table.rows)


def test_losses_of_one_detector_are_not_marked(tmp_path: Path) -> None:
    table = study_table(runs_of(tmp_path, WrittenJob(0.5), WrittenJob(0.7, {"backbone": "resnet101"})))
    assert not any("(" in row[1] for row in texts(table))
    assert not any("not comparable" in note for note in table.notes)


def test_jobs_without_a_result_stand_below_with_state_and_reason(tmp_path: Path) -> None:
    runs = runs_of(
        tmp_path,
        WrittenJob(0.9, state=JobState.FAILED, failure="loss is NaN at iteration 118", n_trained=4),
        WrittenJob(0.8, {"optimizer": "adamw"}, state=JobState.RUNNING, n_trained=4),
        WrittenJob(0.2, {"backbone": "resnet18"}),
    )
    study = study_table(runs)
    assert [row[1] for row in texts(study)][1:] == ["failed", "running"]
    assert texts(study)[1][2:] == ["–", "–"]
    assert texts(study)[2][2].endswith("so far")
    # Neither what failed nor what still runs is a best, or sorted as a number.
    assert [row.cells[2].value for row in study.rows][1:] == [None, None]
    assert [row[1:] for row in texts(open_table(runs))] == [
        ["0001", "failed", "loss is NaN at iteration 118"],
        ["0002", "running", "–"],
    ]
    assert [len(table.rows) for table in (size_table(runs), fit_table(runs), cost_table(runs))] == [1, 1, 1]


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        (["narrow", "narrow"], "(narrow width)"),
        (["standard", "narrow"], "(1 of 2 narrow width)"),
        (["standard"] * 2, ""),
    ],
)
def test_narrow_width_is_said_in_every_title(tmp_path: Path, widths: list[str], said: str) -> None:
    jobs = [WrittenJob(0.5 + number / 10, {"width": width}) for number, width in enumerate(widths)]
    (section,) = split_sections(read_runs(write_sweep(tmp_path, jobs)))
    for table in section.tables:
        assert table.title.endswith(said)
        assert ("narrow" in table.title) == bool(said)


def test_a_missing_size_bin_is_missing(tmp_path: Path) -> None:
    table = size_table(runs_of(tmp_path, WrittenJob()))
    cells = dict(zip([column.title for column in table.columns], table.rows[0].cells, strict=True))
    assert (cells["val small"].text, cells["val small"].value) == ("–", None)
    assert cells["test small"].text == "6.0"
    assert any("not the same as 0" in note for note in table.notes)


def test_the_size_table_has_no_test_columns_where_test_was_not_scored(tmp_path: Path) -> None:
    table = size_table(runs_of(tmp_path, WrittenJob(), labelled={"val": True, "test": False}))
    assert [column.title for column in table.columns] == ["title", "val AP", "val small", "val medium", "val large"]


def test_train_against_val(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, WrittenJob(0.6))
    _, epoch, train, val, gap, *_ = texts(fit_table([run]))[0]
    assert (epoch, train) == ("12 of 12", "72.0")
    assert float(gap) == pytest.approx(float(train) - float(val), abs=0.11)


def test_costs_have_their_units_and_no_memory_on_the_cpu(tmp_path: Path) -> None:
    table = cost_table(runs_of(tmp_path, WrittenJob()))
    cells = dict(zip([column.title for column in table.columns], texts(table)[0], strict=True))
    assert cells["wall time (min)"] == "12.0"
    assert cells["peak memory (GB)"] == "–"


def test_notes_of_jobs_are_gathered(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, WrittenJob(0.5), WrittenJob(0.6), labelled={"val": True, "test": False})
    assert texts(notes_table(runs)) == [["test split is not labelled", "all"]]


def test_different_data_never_share_a_table(tmp_path: Path) -> None:
    one = read_runs(write_sweep(tmp_path, [WrittenJob()], sweep_id="a", fingerprint="aaaa"))
    two = read_runs(write_sweep(tmp_path, [WrittenJob()], sweep_id="b", fingerprint="bbbb"))
    sections = split_sections(type(one)("both", (*one.sweeps, *two.sweeps), (*one.runs, *two.runs)))
    assert [section.fingerprint for section in sections] == ["aaaa", "bbbb"]


def test_the_same_title_of_two_sweeps_is_told_apart(tmp_path: Path) -> None:
    runs = [run for name in ("a", "b") for run in read_runs(write_sweep(tmp_path, [WrittenJob()], sweep_id=name)).runs]
    assert sorted(row[0] for row in texts(study_table(runs))) == [
        "faster-rcnn_resnet50_fpn_sgd_512 · a/0001",
        "faster-rcnn_resnet50_fpn_sgd_512 · b/0001",
    ]


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns, but a row of 1 cells"):
        Table("t", "t", (Column("a"), Column("b")), (Row("", (text_cell("a"),)),))


def test_ap_is_shown_in_points_and_kept_whole() -> None:
    assert ap_cell(0.41249).text == "41.2"
    assert ap_cell(0.41249).value == pytest.approx(41.249)
    assert ap_cell(0.0).text == "0.0"
