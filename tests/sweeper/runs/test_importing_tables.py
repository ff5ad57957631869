"""Tables of others: what a heading means, in which unit numbers are, and what is refused because it could be either."""

from pathlib import Path

import pytest

from runners.contract.displayed import read_displayed
from runners.contract.errors import UserError
from sweeper.cli import main
from sweeper.runs.headings import meaning_of
from sweeper.runs.importing_tables import read_table

# The study's first table and its next, as they were typed into a spreadsheet.
STUDY = """title,train loss,val mAP50,TEST mAP
Faster R-CNN R-50 512,0.31,45.2,0.41
"Faster R-CNN R-101, 512",0.29,46.1,0.423
Faster R-CNN X-101-32x4d 512,0.24,48.0,
"""


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("val mAP50", "val mAP50"),
        ("val_mAP@0.5", "val mAP50"),
        ("Validation mAP @ .50", "val mAP50"),
        ("best/val/bbox_mAP_50", "val mAP50"),
        ("val/AP50 (%)", "val mAP50"),
        ("valid bbox mAP@[IoU=0.50]", "val mAP50"),
        ("metrics/mAP50(B)", "mAP50 of a split that the file does not name"),
        ("mAP@50", "mAP50 of a split that the file does not name"),
        ("val mAP50-95", "val mAP"),
        ("val mAP@[.5:.95]", "val mAP"),
        ("val mAP@[0.50:0.05:0.95]", "val mAP"),
        ("test_map", "test mAP"),
        ("TEST mAP", "test mAP"),
        ("test average precision 75", "test mAP75"),
        ("val/bbox_mAP_s", "val mAP, small objects"),
        ("train loss", "train loss"),
        ("Training Loss", "train loss"),
        ("val_loss", "val loss"),
        ("loss", "some loss"),
        ("loss_cls", None),
        ("epoch", None),
        ("val recall", None),
        ("map size", None),
        ("", None),
    ],
)
def test_a_heading_means_a_metric_or_nothing(heading: str, words: str | None) -> None:
    meaning = meaning_of(heading)
    assert (meaning and meaning.words) == words


def test_the_studys_table_is_understood_column_by_column(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text(STUDY)
    read = read_table(tmp_path / "study.csv")
    assert read.understood == [
        "'train loss': train loss, as given",
        "'val mAP50': val mAP50, given in percent",
        "'TEST mAP': test mAP, given in 0-1",
    ]
    titles = ["Faster R-CNN R-50 512", "Faster R-CNN R-101, 512", "Faster R-CNN X-101-32x4d 512"]
    assert [title for title, _ in read.table.rows] == titles
    assert [values for _, values in read.table.rows] == [[0.31, 0.452, 0.41], [0.29, 0.461, 0.423], [0.24, 0.48, None]]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Name;val mAP50\na;41,5\nb;40\n", [0.415, 0.4]),
        ("\ufeffrun\tval mAP50\na\t0.5\n\nb\t-1\n", [0.5, None]),
        ("name,val mAP50,url\na,41.5%,x\nb,0.9%,y\n", [0.415, 0.009]),
        ("run,name,val mAP50 (%)\n1,a,0.9\n2,b,1.0\n", [0.009, 0.01]),
        ("title,val mAP50\na,0\nb,1\n", [0.0, 1.0]),
    ],
    ids=["decimal commas", "tabs and gaps", "per cent signs", "per cent in the heading", "edges"],
)
def test_spellings_of_numbers(tmp_path: Path, text: str, values: list[float | None]) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert [row[1][0] for row in read_table(tmp_path / "t.csv").table.rows] == pytest.approx(values)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("title,val mAP50\na,41.2\nb,0.43\nc,44\n", ["ambiguous unit in F line 3, column 'val mAP50': 0.43"]),
        ("title,val mAP50\na,41%\nb,43\n", ["ambiguous unit in F line 3, column 'val mAP50': 43 without %"]),
        ("title,val mAP50,val_map@.5\na,1,2\n", ["ambiguous columns in F line 1: 'val mAP50' and 'val_map@.5'"]),
        ('title,val mAP50\na,"1,234"\nb,x\n', ["ambiguous number '1,234'", "no number 'x' in F line 3"]),
        ("title,val mAP50\na,120\n,3\n", ["row without a name in F line 3", "no average precision in F line 2"]),
        ("title,val mAP50\na,1,2\n", ["too many columns in F line 2: 3"]),
        ("epoch,val mAP50\n1,2\n", ["no column of names in F line 1: found epoch, val mAP50"]),
        ("title,url\na,b\n", ["no metrics in F line 1: found title, url"]),
        ("name,name,val mAP50\na,b,1\n", ["two columns of names in F line 1"]),
        ("title,val mAP50\n", ["no rows in F"]),
        ("", ["no table in F"]),
    ],
)
def test_what_could_be_two_things_is_refused_with_its_line(tmp_path: Path, text: str, problems: list[str]) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_table(path)
    said = [problem.replace(str(path), "F") for problem in caught.value.problems]
    assert len(said) == len(problems)
    for problem, start in zip(said, problems, strict=True):
        assert problem.startswith(start)


def test_the_command_keeps_a_table_once_and_none_of_several_if_one_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, broken = tmp_path / "the study.csv", tmp_path / "broken.csv"
    study.write_text(STUDY)
    broken.write_text("title,val mAP50\na,x\n")
    words = [str(study), f"output_dir={tmp_path / 'runs'}"]
    assert main(["import", *words, str(broken)]) == 2
    assert read_displayed(tmp_path / "runs") == []
    assert main(["import", *words]) == 0
    assert "'TEST mAP': test mAP, given in 0-1" in capsys.readouterr().out
    before = read_displayed(tmp_path / "runs")
    assert main(["import", *words]) == 0
    assert "is here already" in capsys.readouterr().out
    assert read_displayed(tmp_path / "runs") == before
    study.write_text(STUDY + "another,1,2,0.3\n")
    assert main(["import", *words]) == 0
    assert "in the place of another the study.csv" in capsys.readouterr().out
    (table,) = read_displayed(tmp_path / "runs")
    assert (table.name, len(table.rows)) == ("the-study", 4)
