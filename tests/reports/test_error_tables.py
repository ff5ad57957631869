"""Tables of errors, confusions and sizes, and of what differs in them between arms."""

import pytest

from reports.sweep_report import Report
from reports.table import Table, Tone


def table_of(report: Report, name: str) -> Table:
    (found,) = (table for table in report.tables if table.name == name)
    return found


def test_an_arm_is_the_mean_of_its_runs_which_stand_below_it(diagnosed: Report) -> None:
    table = table_of(diagnosed, "errors")
    titles = [row.cells[0].text for row in table.rows]
    assert titles[0] == "resnet101 (mean of 3)"
    assert titles[4] == "resnet50 (mean of 3)"
    for start in (0, 4):
        for column in range(1, 8):
            mean, *runs = (row.cells[column].value for row in table.rows[start : start + 4])
            assert mean == pytest.approx(sum(float(value or 0) for value in runs) / 3)
    assert table.rows[4].cells[2].tone is Tone.BAD  # classification, the costliest
    assert all(row.key for row in (*table.rows[1:4], *table.rows[5:]))


def test_a_confused_pair_is_told_in_words_and_counted(diagnosed: Report) -> None:
    rows = {row.cells[0].text: row.cells for row in table_of(diagnosed, "confusions").rows}
    few, many = rows["resnet101 (mean of 3)"], rows["resnet50 (mean of 3)"]
    assert few[1].text == many[1].text == "Paper pack called Paper"
    assert (few[3].value, many[3].value) == (24.0, 24.0)
    assert float(many[2].value or 0) > 3 * float(few[2].value or 0)


def test_a_difference_stands_with_its_interval_and_noise_is_muted(diagnosed: Report) -> None:
    rows = {row.cells[1].text: row.cells for row in table_of(diagnosed, "error-differences").rows}
    classification, missed = rows["classification"], rows["missed"]
    assert classification[0].text == "resnet101 over resnet50"
    assert classification[6].text == "less"
    low, high = (float(end) for end in classification[5].text.split(" to "))
    assert low < float(classification[4].value or 0) < high < 0
    assert missed[6].tone is Tone.MUTED
    (pair,) = table_of(diagnosed, "confusion-differences").rows
    assert (pair.cells[1].text, pair.cells[6].text) == ("Paper pack called Paper", "less")


def test_sizes_stand_with_their_counts(diagnosed: Report) -> None:
    table = table_of(diagnosed, "own-sizes")
    counts, *arms = ([cell.text for cell in row.cells] for row in table.rows)
    # A square of 32 pixels is both small and medium, as COCO has it.
    assert counts == ["objects in images", "48 in 24", "48 in 24", "0 in 0", "24 in 24", "24 in 24", "24 in 24"]
    assert [arm[0] for arm in arms] == ["resnet101 (mean of 3)", "resnet50 (mean of 3)"]
    assert arms[0][3] == "–"


def test_numbers_of_too_few_objects_are_grey(tmp_path_factory: pytest.TempPathFactory) -> None:
    from reports.diagnosis.sizes import COCO_BINS, SizeRow
    from reports.error_tables import _mean_cell

    cell = _mean_cell([SizeRow(COCO_BINS[0], n_objects=19, n_groups=19, ap=0.5, ap50=0.9)])
    assert (cell.text, cell.tone) == ("90.0", Tone.MISSING)
    assert "too few to judge" in cell.hint
